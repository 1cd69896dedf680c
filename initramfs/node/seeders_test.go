package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/initramfs/network"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
	wire "github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/swarm"
)

// lab is a site with several seeders of one system, each at an address of its own on the loopback interface.
type lab struct {
	t       *testing.T
	public  minisign.PublicKey
	private minisign.PrivateKey
	content []byte
	system  catalog.System
	seeders []*siteSeeder
}

// siteSeeder is one of them: catalog, list of seeders, reports, tracker, and seed.
type siteSeeder struct {
	*seeder
	mu      sync.Mutex
	reports []wire.Report
	// hangs is closed when it takes requests and answers none, until its end, which closes over.
	hangs, over chan struct{}
	// forged is what it serves instead of what the site says, by path.
	forged map[string][]byte
}

// labSpeed is how fast a seeder of a lab sends, in bytes per second.
const labSpeed = 2 << 20

// newLab has a seeder at each of the addresses.
func newLab(t *testing.T, size int, addresses ...string) *lab {
	t.Helper()
	l := &lab{t: t, content: bytes.Repeat([]byte("a kernel, for all it is worth\n"), size/30)}
	for i := range l.content { // no piece is like another
		l.content[i] += byte(i >> 16)
	}
	var err error
	if l.public, l.private, err = minisign.GenerateKey(nil); err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		l.add(a)
	}
	l.publish(7)
	return l
}

func (l *lab) add(address string) {
	l.t.Helper()
	s := &siteSeeder{seeder: &seeder{t: l.t, mux: http.NewServeMux()}, hangs: make(chan struct{}), over: make(chan struct{})}
	addr := netip.MustParseAddr(address)
	var err error
	if s.engine, err = swarm.New(swarm.Config{Listen: netip.AddrPortFrom(addr, 0), UploadLimit: labSpeed}); err != nil {
		l.t.Fatal(err)
	}
	listener, err := net.Listen("tcp4", net.JoinHostPort(address, "0"))
	if err != nil {
		l.t.Fatal(err)
	}
	s.server = &httptest.Server{Listener: listener, Config: &http.Server{Handler: s}}
	s.server.Start()
	s.url = s.server.URL
	l.t.Cleanup(func() { close(s.over); s.server.Close(); s.engine.Close() })
	s.mux.HandleFunc(catalog.PathAnnounce, func(w http.ResponseWriter, _ *http.Request) {
		port := s.engine.Port()
		fmt.Fprintf(w, "d8:intervali2e5:peers6:%se", append(addr.AsSlice(), byte(port>>8), byte(port))) // BEP 23
	})
	s.mux.HandleFunc(catalog.PathReport, func(w http.ResponseWriter, r *http.Request) {
		var report wire.Report
		if err := json.NewDecoder(r.Body).Decode(&report); err != nil {
			l.t.Error(err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.reports = append(s.reports, report)
	})
	l.system, s.torrent = s.offer(kexec("tiny"), offered{"vmlinuz", l.content})
	l.seeders = append(l.seeders, s)
}

// publish has all serve a catalog with a counter, and a list of all.
func (l *lab) publish(counter uint64) {
	l.t.Helper()
	document, err := (&catalog.Catalog{Version: catalog.Version, Site: "lab", Counter: counter, Systems: []catalog.System{l.system}}).Encode()
	if err != nil {
		l.t.Fatal(err)
	}
	for _, s := range l.seeders {
		list := catalog.SeederList{Seeders: []catalog.SeederAddress{s.address()}}
		for _, other := range l.seeders {
			if other != s {
				list.Seeders = append(list.Seeders, other.address())
			}
		}
		l.serve(s, catalog.PathCatalog, document)
		l.serve(s, catalog.PathSignature, catalog.Sign(l.private, document))
		known, err := json.Marshal(list)
		if err != nil {
			l.t.Fatal(err)
		}
		l.serve(s, catalog.PathSeeders, known)
	}
}

func (l *lab) serve(s *siteSeeder, path string, content []byte) {
	s.mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { w.Write(content) })
}

func (s *siteSeeder) address() catalog.SeederAddress {
	a := s.server.Listener.Addr().(*net.TCPAddr).AddrPort().Addr()
	return catalog.SeederAddress{HTTP: s.url, Torrent: netip.AddrPortFrom(a, uint16(s.engine.Port()))}
}

// ServeHTTP implements http.Handler.
func (s *siteSeeder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case <-s.hangs:
		select {
		case <-s.over:
		case <-r.Context().Done():
		}
		panic(http.ErrAbortHandler)
	default:
		if forged, ok := s.forged[r.URL.Path]; ok {
			w.Write(forged)
			return
		}
		s.mux.ServeHTTP(w, r)
	}
}

// hang is the end of a machine whose program stands still: it takes connections, and nothing comes.
func (s *siteSeeder) hang() {
	close(s.hangs)
	s.engine.Close()
}

// die is the end of a seeder whose machine still runs: every connection is refused.
func (s *siteSeeder) die() {
	s.server.Listener.Close()
	s.server.CloseClientConnections()
	s.engine.Close()
}

// heard reports whether a report came to it of which so is true.
func (s *siteSeeder) heard(so func(wire.Report) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.reports {
		if so(r) {
			return true
		}
	}
	return false
}

// logged keeps a node's log.
type logged struct {
	mu    sync.Mutex
	lines []string
}

func (l *logged) all() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

// node is a node on the loopback interface which is told of the first of the seeders.
func (l *lab) node() (*Node, *person, *logged) {
	l.t.Helper()
	first, p := newNode(l.t, "")
	log, config := &logged{}, first.Config
	config.Image.PublicKey, config.Cmdline.Seeder = l.public.String(), l.seeders[0].url
	config.Log = func(format string, args ...any) {
		log.mu.Lock()
		defer log.mu.Unlock()
		log.lines = append(log.lines, fmt.Sprintf(format, args...))
		l.t.Logf(format, args...)
	}
	n, err := New(config)
	if err != nil {
		l.t.Fatal(err)
	}
	n.askDHCP = func(context.Context, network.Lease) ([]string, error) {
		return nil, errors.New("there is no DHCP here")
	}
	n.link.setLease(network.Lease{Interface: "lo", Addr: netip.MustParsePrefix("127.0.0.1/32")})
	return n, p, log
}

// begin has a node find the first seeder and read its catalog.
func (l *lab) begin(n *Node) (context.Context, catalog.System) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), 2*need.Patience)
	l.t.Cleanup(cancel)
	if err := n.Discover(ctx); err != nil {
		l.t.Fatal(err)
	}
	cat, err := n.Catalog(ctx)
	if err != nil {
		l.t.Fatal(err)
	}
	eventually(l.t, "knowing all seeders", func() bool { return len(n.session.Known()) == len(l.seeders) })
	sys, _ := cat.System(l.system.Name)
	return ctx, sys
}

func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(need.Patience); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came: %s", what)
		}
	}
}

// The seeder falls silent in the middle of a fetch, and the next one dies: each time the fetch goes on with the next, which hears of the machine,
// and the console says so. What came is not fetched again.
func TestSeedersDieInTheMiddleOfAFetch(t *testing.T) {
	l := newLab(t, 20<<20, "127.0.0.2", "127.0.0.3", "127.0.0.4")
	n, p, log := l.node()
	ctx, sys := l.begin(n)
	fetched := make(chan error, 1)
	go func() { fetched <- n.Fetch(ctx, sys) }()
	done := func(share int64) func() bool {
		return func() bool { return n.Report.Snapshot().Done >= sys.Size*share/100 }
	}
	eventually(t, "a fifth", done(20))
	l.seeders[0].hang()
	began, from := time.Now(), n.Report.Snapshot().Done
	flows := make(chan time.Duration, 1)
	go func() { // what was on its way may still come
		for n.Report.Snapshot().Done < from+8*sys.PieceLength && ctx.Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
		flows <- time.Since(began)
	}()
	eventually(t, "going on with another", func() bool { return n.session.Base() != l.seeders[0].url })
	moved := time.Now()
	p.see("has been silent for 10 s; going on with 127.0.0.")
	second := l.seeders[1]
	if n.session.Base() != second.url {
		second = l.seeders[2]
	}
	eventually(t, "a report to the other", func() bool {
		return second.heard(func(r wire.Report) bool { return r.Step == n.Report.Snapshot().Step })
	})
	heard := time.Now()
	t.Logf("silent: more bytes after %.1f s; left after %.1f s, and %.2f s later the other one has the report",
		(<-flows).Seconds(), moved.Sub(began).Seconds(), heard.Sub(moved).Seconds())
	eventually(t, "two thirds", done(66))
	second.die()
	began = time.Now()
	if err := result(t, fetched); err != nil {
		t.Fatalf("%v\n%s", err, log.all())
	}
	t.Logf("all is here %.1f s after the second one died", time.Since(began).Seconds())
	got, err := os.ReadFile(filepath.Join(n.Folder(sys), "vmlinuz"))
	if err != nil || !bytes.Equal(got, l.content) {
		t.Errorf("what came is another: %v", err)
	}
	if r := n.Report.Snapshot(); r.Received() > sys.Size*12/10 {
		t.Errorf("of %d bytes %d came", sys.Size, r.Received())
	}
	if !strings.Contains(log.all(), "the seeder 127.0.0.2 has been silent for 10 s; going on with 127.0.0.3") {
		t.Errorf("the log:\n%s", log.all())
	}
}

// A seeder that sends what is not the site's is refused in words, once, and what it was asked for comes from the next one.
func TestForgedSeederIsLeft(t *testing.T) {
	t.Parallel()
	foreign := func(l *lab) map[string][]byte {
		document, err := (&catalog.Catalog{Version: catalog.Version, Site: "lab", Counter: 9, Systems: []catalog.System{l.system}}).Encode()
		if err != nil {
			t.Fatal(err)
		}
		_, key, err := minisign.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		return map[string][]byte{catalog.PathCatalog: document, catalog.PathSignature: catalog.Sign(key, document)}
	}
	old := func(l *lab) map[string][]byte {
		document, err := (&catalog.Catalog{Version: catalog.Version, Site: "lab", Counter: 6, Systems: []catalog.System{l.system}}).Encode()
		if err != nil {
			t.Fatal(err)
		}
		return map[string][]byte{catalog.PathCatalog: document, catalog.PathSignature: catalog.Sign(l.private, document)}
	}
	list := func(l *lab) map[string][]byte {
		changed := catalog.FileList{{Path: "vmlinuz", Size: int64(len(l.content)), SHA256: strings.Repeat("0", 64)}}
		document, err := changed.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return map[string][]byte{catalog.FileListPath(l.system.InfoHash): document}
	}
	torrent := func(l *lab) map[string][]byte {
		return map[string][]byte{catalog.TorrentPath(l.system.InfoHash): bytes.Replace(l.seeders[0].torrent, []byte("6:pieces"), []byte("6:pieceS"), 1)}
	}
	for name, c := range map[string]struct {
		forge func(*lab) map[string][]byte
		says  string
	}{
		"a catalog of another key": {foreign, "is refused: catalog: signature does not verify"},
		"an old catalog":           {old, "offers a catalog with the counter 6, and this machine has seen one in this boot with the counter 7"},
		"a changed list of files":  {list, "is refused: "},
		"a changed torrent":        {torrent, "is refused: "},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, 1<<20, "127.0.0.5", "127.0.0.6")
			l.seeders[0].forged = c.forge(l)
			n, _, log := l.node()
			n.raise(7)
			ctx, sys := l.begin(n)
			if err := n.Fetch(ctx, sys); err != nil {
				t.Fatalf("%v\n%s", err, log.all())
			}
			said := "the seeder " + l.seeders[0].url + " is refused: "
			if strings.Count(log.all(), said) != 1 || !strings.Contains(log.all(), c.says) || n.session.Base() != l.seeders[1].url ||
				!strings.Contains(log.all(), "the seeder 127.0.0.5 is refused; going on with 127.0.0.6") {
				t.Errorf("using %s; the log:\n%s", n.session.Base(), log.all())
			}
		})
	}
}

// The seeder that the kernel command line names is dead when it is looked for again: one that was learned of is taken.
func TestLearnedSeederIsFound(t *testing.T) {
	t.Parallel()
	l := newLab(t, 1<<20, "127.0.0.7", "127.0.0.8")
	n, _, _ := l.node()
	ctx, _ := l.begin(n)
	l.seeders[0].die()
	if err := n.Discover(ctx); err != nil || n.session.Base() != l.seeders[1].url {
		t.Errorf("using %s, %v", n.session.Base(), err)
	}
}
