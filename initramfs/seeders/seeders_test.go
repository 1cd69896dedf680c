package seeders

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/initramfs/client"
	"github.com/boottorrent/boottorrent/initramfs/seen"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/swarm"
)

// site is a site with any number of seeders.
type site struct {
	t       *testing.T
	public  minisign.PublicKey
	private minisign.PrivateKey
}

func newSite(t *testing.T) *site {
	t.Helper()
	public, private, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &site{t, public, private}
}

// server is a seeder that serves a catalog, and takes reports.
type server struct {
	*httptest.Server
	list atomic.Pointer[[]byte]
	// stuck is closed when it answers again, if it does not; nil: it answers.
	mu    sync.Mutex
	stuck chan struct{}
	posts atomic.Int64
}

// seeder serves a catalog with a counter.
func (s *site) seeder(counter uint64) *server {
	s.t.Helper()
	document, err := (&catalog.Catalog{Version: catalog.Version, Site: "lab", Counter: counter}).Encode()
	if err != nil {
		s.t.Fatal(err)
	}
	v, signature := &server{}, catalog.Sign(s.private, document)
	v.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v.mu.Lock()
		stuck := v.stuck
		v.mu.Unlock()
		if stuck != nil {
			select {
			case <-stuck:
			case <-r.Context().Done():
				return
			}
		}
		switch r.URL.Path {
		case catalog.PathCatalog:
			w.Write(document)
		case catalog.PathSignature:
			w.Write(signature)
		case catalog.PathReport:
			v.posts.Add(1)
		case catalog.PathSeeders:
			if list := v.list.Load(); list != nil {
				w.Write(*list)
				return
			}
			http.NotFound(w, r)
		default:
			http.NotFound(w, r)
		}
	}))
	s.t.Cleanup(func() { v.answer(); v.Server.Close() })
	return v
}

// hang makes it take connections and say nothing, as a machine whose program stands still; answer ends that.
func (v *server) hang() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.stuck = make(chan struct{})
}

func (v *server) answer() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.stuck != nil {
		close(v.stuck)
		v.stuck = nil
	}
}

// lists has it name itself and others.
func (v *server) lists(others ...*server) {
	entries := []string{}
	for _, o := range append([]*server{v}, others...) {
		entries = append(entries, fmt.Sprintf(`{"http":%q,"torrent":"127.0.0.1:6881"}`, o.URL))
	}
	list := []byte(`{"seeders":[` + strings.Join(entries, ",") + `]}`)
	v.list.Store(&list)
}

// node is a node that uses a seeder, in quick time.
type node struct {
	*Seeders
	t      *testing.T
	memory *seen.Memory
	moved  atomic.Int64
	mu     sync.Mutex
	lines  []string
}

func (s *site) node(own *server) *node {
	s.t.Helper()
	n := &node{t: s.t, memory: seen.New(s.t.TempDir() + "/seen")}
	n.Seeders = New(Config{
		Key: s.public, Newest: n.memory.Check, Refresh: 50 * time.Millisecond, Moved: func() { n.moved.Add(1) },
		Log: func(format string, args ...any) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.lines = append(n.lines, fmt.Sprintf(format, args...))
		},
	})
	n.times = times{silent: 700 * time.Millisecond, refused: 300 * time.Millisecond, pause: 50 * time.Millisecond, retry: 50 * time.Millisecond, list: 100 * time.Millisecond, probe: 100 * time.Millisecond}
	n.Use(own.URL)
	return n
}

// watch has it watch until the test ends.
func (n *node) watch() {
	ctx, cancel := context.WithCancel(n.t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); n.Watch(ctx) }()
	n.t.Cleanup(func() { cancel(); <-ended })
}

func (n *node) log() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.lines, "\n")
}

func (n *node) await(what string, so func() bool) {
	n.t.Helper()
	for deadline := time.Now().Add(need.Patience); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			n.t.Fatalf("it never came: %s; the log:\n%s", what, n.log())
		}
	}
}

// uses waits until it uses a seeder.
func (n *node) uses(v *server) {
	n.t.Helper()
	n.await("going on with "+v.URL, func() bool { return n.Base() == v.URL })
}

// knows waits until it knows so many seeders.
func (n *node) knows(count int) {
	n.t.Helper()
	n.await(fmt.Sprintf("knowing %d seeders", count), func() bool { return len(n.Swarm()) == count })
}

// says reports how often a text is in the log.
func (n *node) says(text string) int { return strings.Count(n.log(), text) }

// post sends a report, which is what tells a node that its seeder is dead.
func (n *node) post() error { return Poster{n.Seeders}.Report(n.t.Context(), report.Report{}) }

// engine notes whom it is told of.
type engine struct {
	list atomic.Pointer[[]swarm.Seeder]
}

func (e *engine) SetSeeders(list []swarm.Seeder) { e.list.Store(&list) }

func (e *engine) first() string {
	if list := e.list.Load(); list != nil && len(*list) > 0 {
		return (*list)[0].HTTP
	}
	return ""
}

// The own seeder dies: what is asked goes to the next one, BitTorrent and the node are told, and a line says so. That the first one is back
// changes nothing; when the second one dies, it is the next again.
func TestGoesOnWithTheNext(t *testing.T) {
	s := newSite(t)
	a, b := s.seeder(7), s.seeder(7)
	a.lists(b)
	n := s.node(a)
	var e engine
	defer n.Attach(&e)()
	n.watch()
	n.knows(2)
	if e.first() != a.URL || (*e.list.Load())[1].HTTP != b.URL || (*e.list.Load())[0].Torrent.Port() != 6881 {
		t.Errorf("the engine knows %v", *e.list.Load())
	}
	a.hang()
	if err := n.post(); err != nil || b.posts.Load() != 1 {
		t.Errorf("the report: %v, %d came to the other one", err, b.posts.Load())
	}
	n.uses(b)
	n.await("Moved", func() bool { return n.moved.Load() == 1 })
	if e.first() != b.URL || n.says("the seeder "+a.URL+" has been silent for 1 s; going on with "+b.URL) != 1 || !strings.Contains(n.Note(), "going on with "+b.URL) {
		t.Errorf("the engine's own seeder is %s; the note is %q; the log:\n%s", e.first(), n.Note(), n.log())
	}
	a.answer()
	n.knows(2) // that of b is an older release's, which lists nobody: the first one is not forgotten
	if err := n.post(); err != nil || n.Base() != b.URL || a.posts.Load() > 1 {
		t.Errorf("%v, using %s", err, n.Base())
	}
	b.CloseClientConnections()
	b.Listener.Close()
	if err := n.Insist(t.Context(), func(ctx context.Context, c *client.Client) error { return c.Probe(ctx) }); err != nil {
		t.Error(err)
	}
	n.uses(a)
}

// A seeder that is slow, or sends data while it answers nothing, is not left; nor one that is started again at once.
func TestSlowSeederIsNotLeft(t *testing.T) {
	s := newSite(t)
	a, b := s.seeder(7), s.seeder(7)
	a.lists(b)
	n := s.node(a)
	n.times.silent = 3 * time.Second
	n.watch()
	n.knows(2)
	a.hang()
	limited, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := (Poster{n.Seeders}).Report(limited, report.Report{}); err == nil || !n.Silent() {
		t.Fatalf("%v, silent: %v", err, n.Silent())
	}
	a.answer()
	n.await("the doubt's end", func() bool { return !n.Silent() })

	a.hang()
	n.times.silent = time.Second
	stop := time.After(3 * time.Second)
	limited, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_ = Poster{n.Seeders}.Report(limited, report.Report{})
	sent := report.Transfer{}
	for more := true; more; {
		now := sent
		now.Seeders = []report.Source{{Addr: netip.MustParseAddr("127.0.0.1"), Bytes: int64(len(sent.Seeders)) + 1}}
		if len(sent.Seeders) > 0 {
			now.Seeders[0].Bytes = sent.Seeders[0].Bytes + 1
		}
		n.Received(now, sent)
		sent = now
		select {
		case <-stop:
			more = false
		case <-time.After(20 * time.Millisecond):
		}
	}
	if n.Base() != a.URL {
		t.Errorf("a seeder that sends was left:\n%s", n.log())
	}
	n.uses(b) // now it sends nothing any more
}

// Where nobody else serves, the node stays with its own seeder, says so once, and what it can't do without fails as it would without others.
func TestNobodyElse(t *testing.T) {
	s := newSite(t)
	a, b := s.seeder(7), s.seeder(7)
	a.lists(b)
	n := s.node(a)
	n.watch()
	n.knows(2)
	b.Close()
	a.hang()
	err := n.Insist(t.Context(), func(ctx context.Context, c *client.Client) error {
		ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		defer cancel()
		return c.Probe(ctx)
	})
	if err == nil || !n.Silent() || n.Base() != a.URL {
		t.Errorf("%v, silent: %v", err, n.Silent())
	}
	n.await("the line", func() bool { return n.says("no other one that this node knows serves") == 1 })
	a.answer()
	n.await("the end", func() bool { return n.says("answers again") == 1 && !n.Silent() })
	if n.says("no other one") != 1 || n.moved.Load() != 0 {
		t.Errorf("the log:\n%s", n.log())
	}
}

// Those that serve another site's catalog, or an old one, are refused in words, and the next is taken.
func TestForgedAndOldAreRefused(t *testing.T) {
	s := newSite(t)
	a, foreign, old, good := s.seeder(7), newSite(t).seeder(9), s.seeder(6), s.seeder(7)
	a.lists(foreign, old, good)
	n := s.node(a)
	if err := n.memory.Raise(7); err != nil {
		t.Fatal(err)
	}
	n.watch()
	n.knows(4)
	a.Close()
	_ = n.post()
	n.uses(good)
	if n.says("the seeder "+foreign.URL+" is refused: catalog: signature") != 1 || n.says("the seeder "+old.URL+" is refused: "+old.URL+" offers a catalog with the counter 6") != 1 {
		t.Errorf("the log:\n%s", n.log())
	}
}

// What a seeder sent is found to be wrong later: another is taken, and one that was refused before comes last, wherever lists have it.
func TestRefusedComesLast(t *testing.T) {
	s := newSite(t)
	a, b, c := s.seeder(7), s.seeder(7), s.seeder(7)
	a.lists(b)
	b.lists(a, c)
	n := s.node(a)
	n.watch()
	n.knows(2)
	damaged := errors.New("its copy is damaged")
	if !n.Refuse(t.Context(), damaged) || n.Base() != b.URL {
		t.Fatalf("using %s", n.Base())
	}
	n.knows(3)
	if !n.Refuse(t.Context(), damaged) || n.Base() != c.URL {
		t.Errorf("using %s", n.Base())
	}
	if !n.Refuse(t.Context(), damaged) {
		t.Error("nothing is left where all were refused, and it may be better now")
	}
}

// The own seeder sends what doesn't verify: it is refused at once, and the next one asked the same. One that was never in doubt is not asked.
func TestOwnSeederIsRefused(t *testing.T) {
	s := newSite(t)
	a, b := s.seeder(7), s.seeder(7)
	a.lists(b)
	n := s.node(a)
	n.watch()
	n.knows(2)
	changed := errors.New("the list was changed")
	asked := ""
	ask := func(_ context.Context, c *client.Client) error {
		asked += c.Base + " "
		if c.Base == a.URL {
			return client.Verified(changed)
		}
		return nil
	}
	if err := n.Insist(t.Context(), ask); err != nil || asked != a.URL+" "+b.URL+" " {
		t.Errorf("%v, asked %s", err, asked)
	}
	if n.says("the seeder "+a.URL+" is refused: the list was changed") != 1 || n.says(a.URL+" is refused; going on with "+b.URL) != 1 {
		t.Errorf("the log:\n%s", n.log())
	}
	if err := n.Insist(t.Context(), func(context.Context, *client.Client) error { return client.Verified(changed) }); !errors.Is(err, changed) {
		t.Errorf("all forge: %v", err)
	}
	gone := &client.StatusError{Code: http.StatusNotFound}
	if err := n.Insist(t.Context(), func(context.Context, *client.Client) error { return gone }); !errors.Is(err, gone) || n.Silent() {
		t.Errorf("an answer is an answer: %v", err)
	}
}

// Before a seeder was found there is nobody to ask.
func TestNoSeeder(t *testing.T) {
	n := New(Config{Log: t.Logf, Refresh: time.Minute})
	ask := func(context.Context, *client.Client) error { return errors.New("somebody was asked") }
	if err := n.Ask(t.Context(), ask); !errors.Is(err, errNone) || n.Client() != nil || n.Silent() || len(n.Swarm()) != 0 {
		t.Errorf("%v", err)
	}
	if err := n.Insist(t.Context(), ask); !errors.Is(err, errNone) {
		t.Errorf("%v", err)
	}
}

// A list is a hint: what it says too much is left out, and what the signed catalog says stays behind it.
func TestLearn(t *testing.T) {
	n := New(Config{Log: t.Logf})
	n.Use("http://10.0.0.1:8080")
	address := func(i int) catalog.SeederAddress {
		return catalog.SeederAddress{HTTP: fmt.Sprintf("http://10.1.0.%d:8080", i), Torrent: netip.MustParseAddrPort("10.1.0.1:6881")}
	}
	var many []catalog.SeederAddress
	for i := range 2 * catalog.MaxSeeders {
		many = append(many, address(i))
	}
	n.Hint([]string{"http://10.0.0.1:8080", "http://10.9.0.1:8080"})
	n.Learn(many)
	all := n.Swarm()
	if len(all) != catalog.MaxSeeders+2 || all[0].HTTP != "http://10.0.0.1:8080" || all[len(all)-1].HTTP != "http://10.9.0.1:8080" {
		t.Errorf("%d, %v", len(all), all)
	}
	n.Learn([]catalog.SeederAddress{{HTTP: "http://seeder:8080", Torrent: netip.MustParseAddrPort("0.0.0.0:7000")}, address(200)})
	if all := n.Swarm(); all[0].Torrent != netip.MustParseAddrPort("10.0.0.1:7000") || all[1].HTTP != address(200).HTTP || all[2].HTTP != address(1).HTTP {
		t.Errorf("%v", all[:3])
	}
	n.Near = func(a netip.Addr) bool { return a == netip.MustParseAddr("10.1.0.9") }
	n.mu.Lock()
	defer n.mu.Unlock()
	if c := n.candidates(); c[0] != "http://10.1.0.9:8080" || c[1] != address(200).HTTP {
		t.Errorf("%v", c[:2])
	}
}

func TestNumeric(t *testing.T) {
	for base, want := range map[string]string{
		"http://10.0.0.1:8080": "http://10.0.0.1:8080", "http://[fd00::1]:8080": "http://[fd00::1]:8080",
		"http://localhost:8080": "http://127.0.0.1:8080", "http://localhost": "http://127.0.0.1:80", "https://seeder": "https://seeder",
	} {
		if got, err := Numeric(t.Context(), base); got != want || err != nil {
			t.Errorf("%s: %s, %v, want %s", base, got, err, want)
		}
	}
}
