package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/status"
)

// newMirror makes the folder of a mirror that is served on an address and follows the seeder at a base URL.
func newMirror(t *testing.T, of *site.Site, base, addr, more string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "mirror")
	key, err := of.PublicKey()
	must(t, err)
	must(t, site.InitMirror(dir, base, key))
	config := fmt.Sprintf("upstream: [%q]\nserve: {address: %s}\ndhcp: {mode: off}\nports: {http: %d, tftp: %d, torrent: %d}\n%s",
		base, addr, need.Port(t), need.Port(t), need.Port(t), more)
	must(t, os.WriteFile(filepath.Join(dir, site.MirrorFile), []byte(config), 0o644))
	return dir
}

// startMirror runs a mirror until the function that it returns is called, or the test ends.
func startMirror(t *testing.T, dir string) (r *running, stop func()) {
	t.Helper()
	return startMirrorWith(t, dir, func(*Mirror) {})
}

// startMirrorWith is startMirror with other options.
func startMirrorWith(t *testing.T, dir string, change func(*Mirror)) (r *running, stop func()) {
	t.Helper()
	m, problems := site.LoadMirror(dir)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	key, err := m.PublicKey()
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	r = &running{t: t, dir: dir, log: &logged{more: make(chan struct{})}, base: fmt.Sprintf("http://%s:%d", m.Serve.Address, m.Ports.HTTP)}
	log := slog.New(slog.NewTextHandler(io.MultiWriter(t.Output(), r.log), nil))
	options := &Mirror{Upstream: m.Upstream, Key: key, Carry: m.Carries, Disk: m.Disk}
	change(options)
	go func() {
		err := Run(ctx, Options{Site: m.Site, Log: log, Count: 300 * time.Millisecond, Mirror: options})
		if ctx.Err() == nil {
			t.Errorf("the mirror ended by itself: %v", err)
		}
		ended <- err
	}()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the mirror ended with %v", err)
		}
	}
	t.Cleanup(stop)
	return r, stop
}

// read is what is served at a path; nil if it isn't.
func read(base, path string) []byte {
	resp, err := http.Get(base + path)
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return nil
	}
	return b
}

// await waits until something is so.
func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(need.Patience); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not so: %s", what)
		}
	}
}

// awaitSystem waits until a system is in a state at a seeder, and returns it.
func awaitSystem(t *testing.T, base, name string, state status.State) (found status.System) {
	t.Helper()
	await(t, name+" is "+string(state), func() bool {
		for _, s := range statusOf(base).Systems {
			if s.Name == name && s.State == state {
				found = s
				return true
			}
		}
		return false
	})
	return found
}

// A mirror serves what the first seeder has signed, follows it, goes on alone, and comes up alone.
func TestMirrorFollows(t *testing.T) {
	s := newSite(t)
	must(t, os.MkdirAll(filepath.Join(s.Dir, site.ImageDir), 0o755))
	must(t, os.WriteFile(filepath.Join(s.Dir, site.ImageDir, "vmlinuz"), kernel(100<<10, 'k'), 0o644))
	must(t, os.WriteFile(filepath.Join(s.Dir, site.ImageDir, "initramfs.img"), bytes.Repeat([]byte("i"), 200<<10), 0o644))
	ctx, cancel := context.WithCancel(t.Context())
	first := startUntil(t, ctx, s)
	dir := newMirror(t, s, first.base, "127.0.0.1", "")
	second, stop := startMirror(t, dir)
	awaitSystem(t, second.base, "one", status.Published)
	for _, path := range []string{catalog.PathCatalog, catalog.PathSignature, catalog.PathManifest, catalog.PathManifestSignature, "/boot/vmlinuz", "/boot/initramfs.img"} {
		if a, b := read(first.base, path), read(second.base, path); a == nil || !bytes.Equal(a, b) {
			t.Errorf("%s: the mirror serves %d bytes, the first seeder %d others", path, len(b), len(a))
		}
	}
	script := string(read(second.base, catalog.PathScript))
	if !strings.Contains(script, second.base) || !strings.Contains(script, "console=tty0") || strings.Contains(script, first.base) {
		t.Errorf("the mirror's boot script is %s", script)
	}

	writeSystem(t, s.Dir, "two", 'b')
	two := awaitSystem(t, second.base, "two", status.Published)
	path := catalog.WebSeedPath(*two.InfoHash) + "two/vmlinuz"
	if got := read(second.base, path); !bytes.Equal(got, kernel(300<<10, 'b')) {
		t.Errorf("%s has %d other bytes", path, len(got))
	}

	cancel()
	<-first.ended
	second.awaitLog("nothing new comes from the other seeder")
	stop()
	again, _ := startMirror(t, dir)
	awaitSystem(t, again.base, "two", status.Published)
	if got := read(again.base, path); !bytes.Equal(got, kernel(300<<10, 'b')) {
		t.Errorf("alone it serves %d other bytes as %s", len(got), path)
	}
	if problems := statusOf(again.base).Problems; len(problems) != 1 || !strings.Contains(problems[0], "the catalog that is served on was made") {
		t.Errorf("it says %q of its catalog's age", problems)
	}
}

// A system that is not carried is fetched when somebody wants it.
func TestMirrorFetchesWhatIsWanted(t *testing.T) {
	s := newSite(t)
	writeSystem(t, s.Dir, "two", 'b')
	s, problems := site.Load(s.Dir)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	first := start(t, s)
	second, _ := startMirror(t, newMirror(t, s, first.base, "127.0.0.1", "systems: [one]\n"))
	awaitSystem(t, second.base, "one", status.Published)
	two := awaitSystem(t, second.base, "two", status.Elsewhere)
	file := catalog.WebSeedPath(*two.InfoHash) + "two/vmlinuz"
	if read(second.base, file) != nil {
		t.Error("a file is served that is not here")
	}
	if read(second.base, catalog.TorrentPath(*two.InfoHash)) == nil {
		t.Error("the torrent of a system that is not carried is not served")
	}
	awaitSystem(t, second.base, "two", status.Published)
	if got := read(second.base, file); !bytes.Equal(got, kernel(300<<10, 'b')) {
		t.Errorf("%d other bytes", len(got))
	}
}

// What another key has signed, and what is older than what was here, is not served.
func TestMirrorRefuses(t *testing.T) {
	s, other := newSite(t), newSite(t)
	stranger := start(t, other)
	second, stop := startMirror(t, newMirror(t, s, stranger.base, "127.0.0.1", ""))
	second.awaitLog("nothing new comes from the other seeder", "signature")
	if read(second.base, catalog.PathCatalog) != nil {
		t.Error("a catalog of another key is served")
	}
	stop()

	ctx, cancel := context.WithCancel(t.Context())
	first := startUntil(t, ctx, s)
	dir := newMirror(t, s, first.base, "127.0.0.1", "")
	second, stop = startMirror(t, dir)
	awaitSystem(t, second.base, "one", status.Published)
	served := read(second.base, catalog.PathCatalog)
	earlier := earlierSeeder(t, s, second.base)
	stop()
	cancel()
	<-first.ended
	config, err := os.ReadFile(filepath.Join(dir, site.MirrorFile))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, site.MirrorFile), bytes.ReplaceAll(config, []byte(first.base), []byte(earlier)), 0o644))
	second, _ = startMirror(t, dir)
	second.awaitLog("is refused")
	if !bytes.Equal(read(second.base, catalog.PathCatalog), served) {
		t.Error("an older catalog took the place of a newer one")
	}
}

// earlierSeeder serves what a seeder serves, with a catalog from before, and returns its base URL.
func earlierSeeder(t *testing.T, s *site.Site, base string) string {
	t.Helper()
	key, err := s.SecretKey()
	must(t, err)
	cat, err := catalog.Open(key.Public().(minisign.PublicKey), read(base, catalog.PathCatalog), read(base, catalog.PathSignature))
	must(t, err)
	cat.Counter = 1
	document, err := cat.Encode()
	must(t, err)
	documents := map[string][]byte{
		catalog.PathCatalog: document, catalog.PathSignature: catalog.Sign(key, document),
		catalog.PathManifest: read(base, catalog.PathManifest), catalog.PathManifestSignature: read(base, catalog.PathManifestSignature),
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(documents[r.URL.Path]) }))
	t.Cleanup(server.Close)
	return server.URL
}

// statusOf is what a seeder says of its systems.
func statusOf(base string) (s status.Site) {
	_ = json.Unmarshal(read(base, status.Path), &s)
	return s
}
