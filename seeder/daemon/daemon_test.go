package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/site"
)

// kernel makes content pass for a Linux kernel (Documentation/arch/x86/boot.rst: 0xAA55 at 0x1FE, HdrS at 0x202, protocol
// 2.15 at 0x206, loaded high at 0x211, relocatable at 0x234, 64-bit and loadable above 4 GiB at 0x236).
func kernel(size int, fill byte) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = fill
	}
	copy(b[0x1fe:], "\x55\xaa")
	copy(b[0x202:], "HdrS\x0f\x02")
	b[0x211], b[0x234], b[0x236] = 1, 1, 3
	return b
}

// newSite makes a site that is served on loopback.
func newSite(t *testing.T) *site.Site {
	t.Helper()
	return newSiteAt(t, "127.0.0.1")
}

// newSiteAt makes a site that is served on an address, without DHCP, on free ports.
func newSiteAt(t *testing.T, addr string) *site.Site {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "room")
	must(t, site.Init(dir, "room"))
	config := fmt.Sprintf("version: 1\nname: room\nserve: {address: %s}\ndhcp: {mode: off}\nports: {http: %d, tftp: %d, torrent: %d}\n",
		addr, need.Port(t), need.Port(t), need.Port(t))
	must(t, os.WriteFile(filepath.Join(dir, site.ConfigFile), []byte(config), 0o644))
	writeSystem(t, dir, "one", 'a')
	s, problems := site.Load(dir)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return s
}

func writeSystem(t *testing.T, dir, name string, fill byte) {
	t.Helper()
	folder := filepath.Join(dir, site.SystemsDir, name)
	must(t, os.MkdirAll(folder, 0o755))
	must(t, os.WriteFile(filepath.Join(folder, "vmlinuz"), kernel(300<<10, fill), 0o644))
	must(t, os.WriteFile(filepath.Join(folder, site.SystemFile), []byte("dispname: "+name+"\nmethod: kexec\nkernel: vmlinuz\n"), 0o644))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// running is a daemon in this process.
type running struct {
	t    *testing.T
	base string
	dir  string
	log  *logged
	// ended is closed when it has ended.
	ended chan struct{}
}

// start runs the daemon until the test ends, which it must then do without an error.
func start(t *testing.T, s *site.Site) *running {
	t.Helper()
	return startUntil(t, t.Context(), s)
}

// startUntil is start that ends with ctx as well.
func startUntil(t *testing.T, ctx context.Context, s *site.Site) *running {
	t.Helper()
	return startWith(t, ctx, s, nil)
}

// startWith is startUntil with files from elsewhere coming through a transport.
func startWith(t *testing.T, ctx context.Context, s *site.Site, origins http.RoundTripper) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	ready, ended := make(chan Summary, 1), make(chan error, 1)
	r := &running{t: t, dir: s.Dir, log: &logged{more: make(chan struct{})}, ended: make(chan struct{})}
	log := slog.New(slog.NewTextHandler(io.MultiWriter(t.Output(), r.log), nil))
	go func() {
		ended <- Run(ctx, Options{Site: s, Log: log, Quiet: 100 * time.Millisecond, Retry: 200 * time.Millisecond, Count: 300 * time.Millisecond, Origins: origins, Ready: func(sum Summary) { ready <- sum }})
		close(r.ended)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the daemon ended with %v", err)
		}
	})
	select {
	case sum := <-ready:
		r.base = sum.Base[0]
	case err := <-ended:
		ended <- nil
		t.Fatal(err)
	}
	return r
}

// logged is a log that can be waited on.
type logged struct {
	mu sync.Mutex
	// text is what no call of awaitLog has passed, whole all there was.
	text, whole string
	more        chan struct{} // closed and replaced when something is written
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text += string(p)
	l.whole += string(p)
	close(l.more)
	l.more = make(chan struct{})
	return len(p), nil
}

func (l *logged) all() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.whole
}

// awaitLog waits for a line with all the parts in it that no earlier call has passed.
func (r *running) awaitLog(parts ...string) {
	r.t.Helper()
	deadline := time.After(need.Patience)
	for {
		r.log.mu.Lock()
		more := r.log.more
		for strings.Contains(r.log.text, "\n") {
			var line string
			line, r.log.text, _ = strings.Cut(r.log.text, "\n")
			if !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(line, p) }) {
				r.log.mu.Unlock()
				return
			}
		}
		r.log.mu.Unlock()
		select {
		case <-more:
		case <-deadline:
			r.t.Fatalf("nothing was logged with %q", parts)
		}
	}
}

func (r *running) get(path string) []byte {
	r.t.Helper()
	resp, err := http.Get(r.base + path)
	must(r.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(r.t, err)
	if resp.StatusCode != http.StatusOK {
		r.t.Fatalf("GET %s: %s: %s", path, resp.Status, b)
	}
	return b
}

func (r *running) catalog() *catalog.Catalog {
	r.t.Helper()
	var c catalog.Catalog
	must(r.t, json.Unmarshal(r.get(catalog.PathCatalog), &c))
	return &c
}

// await polls the catalog until it is as wanted: it is what nodes do.
func (r *running) await(what string, as func(*catalog.Catalog) bool) *catalog.Catalog {
	r.t.Helper()
	deadline := time.After(need.Patience)
	for {
		c := r.catalog()
		if as(c) {
			return c
		}
		select {
		case <-deadline:
			r.t.Fatalf("the catalog did not come to have %s: %+v", what, c.Systems)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// A catalog that is served is signed with the site's key, and a second seeder of one site is refused.
func TestServesSignedCatalogOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := start(t, s)
	key, err := s.PublicKey()
	must(t, err)
	if _, err := catalog.Open(key, r.get(catalog.PathCatalog), r.get(catalog.PathSignature)); err != nil {
		t.Error(err)
	}
	err = Run(t.Context(), Options{Site: s, Log: slog.New(slog.DiscardHandler)})
	if err == nil {
		t.Error("two seeders serve one site at the same time")
	}
}

func TestInterfaces(t *testing.T) {
	if _, _, err := interfaces(site.Serve{Interfaces: []string{"nosuch0"}}); err == nil {
		t.Error("an interface that is not there was accepted")
	}
	on, _, err := interfaces(site.Serve{Interfaces: []string{"lo"}})
	if err != nil || len(on) != 1 || on[0].Addr.Addr().String() != "127.0.0.1" {
		t.Errorf("lo: %v, %v", on, err)
	}
}

// A node is listed by the name that the site reserves for it, whoever hands out the addresses.
func TestReservedNames(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	config := filepath.Join(s.Dir, site.ConfigFile)
	body, err := os.ReadFile(config)
	must(t, err)
	const reservation = "dhcp: {mode: off, reservations: [{mac: '52:54:00:00:00:01', address: 10.0.0.9, hostname: desk-1}]}"
	must(t, os.WriteFile(config, bytes.ReplaceAll(body, []byte("dhcp: {mode: off}"), []byte(reservation)), 0o644))
	r := start(t, load(t, s))
	for _, mac := range []string{"52:54:00:00:00:01", "52:54:00:00:00:02"} {
		body := fmt.Sprintf(`{"mac": %q, "name": "own", "step": "network", "state": "done"}`, mac)
		resp, err := http.Post(r.base+catalog.PathReport, "application/json", strings.NewReader(body))
		must(t, err)
		resp.Body.Close()
	}
	names := map[string]string{}
	var list []report.Node
	must(t, json.Unmarshal(r.get(catalog.PathNodes), &list))
	for _, n := range list {
		names[n.MAC] = n.Name
	}
	if names["52:54:00:00:00:01"] != "desk-1" || names["52:54:00:00:00:02"] != "own" {
		t.Errorf("the nodes are listed as %v", names)
	}
}
