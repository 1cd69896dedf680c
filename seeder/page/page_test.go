package page

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/seeder/history"
	"github.com/boottorrent/boottorrent/seeder/selftest"
	"github.com/boottorrent/boottorrent/seeder/status"
	"github.com/boottorrent/boottorrent/seeder/web"
	page "github.com/boottorrent/boottorrent/templates/page"
)

// fake is a page with a registry that tests fill.
type fake struct {
	*Page
	t   testing.TB
	log strings.Builder

	mu       sync.Mutex
	nodes    []report.Node
	findings []selftest.Finding
	person   page.Person
}

// newFake returns the page of a site with two groups, a machine that has never reported, and a system.
func newFake(t testing.TB, change func(*Config)) *fake {
	f := &fake{t: t}
	start := "debian"
	cat := &catalog.Catalog{Site: "Room 12", Defaults: catalog.Defaults{System: start, Timeout: 10},
		Systems: []catalog.System{
			{Name: "debian", Title: "Debian <12>", Description: "a desktop & more", Arch: "amd64", Size: 1 << 30, Launch: catalog.Launch{Method: "root"}, InfoHash: catalog.InfoHash{1}},
			{Name: "tiny", Title: "Tiny", Arch: "amd64", Size: 4 << 20, Launch: catalog.Launch{Method: "kexec"}, InfoHash: catalog.InfoHash{2}},
		},
		Rules: catalog.Rules{
			Groups: []catalog.Group{
				{Name: "teachers", Match: catalog.Match{MAC: []string{"52:54:00:00:01:*"}}}, {Name: "all"}},
			Machines: []catalog.Machine{{MAC: "52:54:00:00:01:01", Name: "lectern"}, {MAC: "52:54:00:00:01:02", Name: "spare"}},
		}}
	release := &web.Release{Site: "Room 12", Default: start, Counter: 7, Torrents: map[catalog.InfoHash]web.Torrent{}}
	for _, s := range cat.Systems {
		release.Torrents[s.InfoHash] = web.Torrent{System: s, Files: catalog.FileList{{Path: "sub/a b", Size: 1 << 20}, {Path: "vmlinuz", Size: 5}}}
	}
	cfg := Config{
		Log: slog.New(slog.NewTextHandler(&f.log, nil)), Site: "starting",
		Nodes: func() []report.Node {
			f.mu.Lock()
			defer f.mu.Unlock()
			return append([]report.Node{}, f.nodes...)
		},
		Catalog: func() *catalog.Catalog { return cat }, Release: func() *web.Release { return release },
		Systems: func() status.Site {
			return status.Site{Problems: []string{"the default is <gone>"}, Systems: []status.System{
				{Name: "well", State: status.Published}, {Name: "kept", State: status.Kept, Problems: []string{"kernel a is empty", "initrd b & c are missing"}},
				{Name: "half", State: status.Writing, Since: time.Now().Add(-30 * time.Minute)},
			}}
		},
		Findings: func() []selftest.Finding {
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.findings
		},
		Links:   func() []web.Link { return []web.Link{{URL: "/catalog.json", Text: "the catalog"}} },
		Session: func(*http.Request) page.Person { f.mu.Lock(); defer f.mu.Unlock(); return f.person },
	}
	if change != nil {
		change(&cfg)
	}
	f.Page = New(cfg)
	return f
}

// set replaces the nodes.
func (f *fake) set(nodes ...report.Node) {
	f.mu.Lock()
	f.nodes = nodes
	f.mu.Unlock()
	f.Page.mu.Lock()
	f.Page.room = nil
	f.Page.mu.Unlock()
}

func (f *fake) setPerson(p page.Person) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.person = p
}

// get asks for a document.
func (f *fake) get(path string) *httptest.ResponseRecorder {
	f.t.Helper()
	w := httptest.NewRecorder()
	f.Documents().ServeHTTP(w, httptest.NewRequest("GET", "http://seeder:8080"+path, nil))
	return w
}

// serve serves everything on the loopback.
func (f *fake) serve() string { return f.serveWith(func(*http.ServeMux) {}) }

// serveWith serves more beside it.
func (f *fake) serveWith(more func(*http.ServeMux)) string {
	f.t.Helper()
	mux := http.NewServeMux()
	more(mux)
	for _, p := range Paths {
		mux.Handle(p, f.Documents())
	}
	mux.Handle("GET "+web.PathEvents, f.Events())
	s := httptest.NewServer(mux)
	f.t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.URL
}

// desk is a node that downloads.
func desk(n int, percent int64) report.Node {
	now := time.Now()
	node := report.Node{Since: now, Seen: now, FetchBegan: now.Add(-20 * time.Second), Report: report.Report{
		Boot: "b", MAC: fmt.Sprintf("52:54:00:00:00:%02x", n), IP: fmt.Sprintf("10.0.0.%d", n), Name: fmt.Sprint("desk-", n), Group: "all",
		Step: report.Fetch, State: report.Running, System: "debian", InfoHash: strings.Repeat("0", 40), LinkMbps: 1000,
		Transfer: report.Transfer{Size: 1 << 30, Done: percent * (1 << 30) / 100, Down: 8 << 20, Peers: 5, FromSeeder: percent * 3 << 20, FromNodes: percent * 7 << 20}}}
	for i := range 3 {
		if other := n%3 + i + 1; other != n {
			node.Sources = append(node.Sources, report.Source{Addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(other)}), Bytes: percent * 2 << 20})
		}
	}
	return node
}

func failedNode(n int, message string) report.Node {
	node := desk(n, 0)
	node.Step, node.State, node.Error, node.Transfer, node.FetchBegan = report.Network, report.Failed, message, report.Transfer{}, time.Time{}
	return node
}

// row is the row of a machine in a document, without its tags.
func row(t *testing.T, document, mac string) string {
	t.Helper()
	_, rest, ok := strings.Cut(document, `data-id="`+mac+`"`)
	if !ok {
		t.Fatalf("no row of %s in\n%s", mac, document)
	}
	rest, _, _ = strings.Cut(rest, "</tr>")
	return rest
}

// The front page without scripts is a table of all machines, failed ones first, with sums, problems, and who gave to whom.
func TestRoom(t *testing.T) {
	f := newFake(t, nil)
	f.findings = []selftest.Finding{{Severity: selftest.Problem, What: "there is no image & nothing to start", Do: "mkimage <site>"}}
	lectern := desk(1, 100)
	lectern.MAC, lectern.Name, lectern.Group, lectern.IP = "52:54:00:00:01:01", "dhcp-name", "", "10.0.0.50"
	lectern.Step, lectern.State, lectern.Complete, lectern.Uploaded = report.Give, report.Running, true, 5<<20
	lectern.FetchEnded = lectern.FetchBegan.Add(12 * time.Second)
	waiting := desk(4, 0)
	waiting.Step, waiting.Transfer, waiting.FetchBegan = report.Choose, report.Transfer{}, time.Time{}
	f.set(desk(10, 41), desk(9, 55), failedNode(3, "no carrier on <b>eth0</b>"), waiting, lectern)
	w := f.get("/")
	body := w.Body.String()
	if w.Code != 200 || !strings.Contains(w.Header().Get("Content-Security-Policy"), "script-src 'self'") || strings.Contains(body, "<style") ||
		strings.Contains(body, " style=") || strings.Contains(body, "onclick") {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	at := -1
	for _, mac := range []string{"52:54:00:00:00:03", "52:54:00:00:01:01", "52:54:00:00:01:02", "52:54:00:00:00:04", "52:54:00:00:00:09", "52:54:00:00:00:0a"} {
		next := strings.Index(body, `data-id="`+mac+`"`)
		if next < at {
			t.Errorf("%s stands too far up: failed ones come first, then groups, then names", mac)
		}
		at = next
	}
	for mac, want := range map[string][]string{
		"52:54:00:00:00:0a": {"desk-10", "downloads", `value="41"`, "8.0 MiB/s", "30 % seeder · 70 % "},
		"52:54:00:00:00:03": {`data-state="failed"`, "no carrier on &lt;b&gt;eth0&lt;/b&gt;", "Try: its cable"},
		"52:54:00:00:01:01": {"lectern", "teachers", "runs, gives to others", "gave 5.0 MiB"},
		"52:54:00:00:01:02": {"spare", "teachers", "has not reported", `data-state="off"`},
		"52:54:00:00:00:04": {"waits for a choice", "data-none"},
	} {
		for _, part := range want {
			if got := row(t, body, mac); !strings.Contains(got, part) {
				t.Errorf("the row of %s lacks %q: %s", mac, part, got)
			}
		}
	}
	for _, want := range []string{
		`data-t="waiting">1<`, `data-t="downloading">2<`, `data-t="running">1<`, `data-t="failed">1<`, `data-t="off">1<`, "The room has been downloading for 20s (3 machines); one machine took 12s",
		"The seeder sent 0.57 copies of Debian &lt;12&gt; to 3 machines", "mkimage &lt;site&gt;", "kernel a is empty<br>initrd b &amp; c are missing", "being written, 30m",
		"the default is &lt;gone&gt;", "the seeder gave 300 MiB to lectern", `<noscript><meta http-equiv="refresh"`, `href="/?group=teachers"`, "Debian &lt;12&gt;</a> (default)",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(body, "<b>eth0") || strings.Contains(body, "well") || strings.Contains(body, "sub/a b") || strings.Contains(body, "<form method=\"post\" action=\"/login\"") {
		t.Error("the page has what it must not")
	}
	if group := f.get("/?group=teachers").Body.String(); strings.Contains(group, ">desk-9<") || !strings.Contains(group, "lectern") || !strings.Contains(group, `aria-current="page">teachers`) {
		t.Error("the page of a group has others, or not its own")
	}
	if t.Failed() {
		t.Log(body)
	}
	if f.log.Len() > 0 {
		t.Errorf("log: %s", &f.log)
	}
}

// Buttons are there for who is logged in, a login for who can; neither in a site without a password.
func TestButtons(t *testing.T) {
	f := newFake(t, nil)
	f.set(desk(1, 10))
	f.setPerson(page.Person{Password: true})
	if body := f.get("/").Body.String(); strings.Contains(body, "/api/v1/") || !strings.Contains(body, `action="/login"`) {
		t.Error("who is not logged in gets buttons, or no login")
	}
	f.setPerson(page.Person{Password: true, LoggedIn: true, CSRF: "token"})
	for _, path := range []string{"/?group=all", "/node/52:54:00:00:00:01"} {
		body := f.get(path).Body.String()
		for _, want := range []string{`formaction="/api/v1/wake"`, `formaction="/api/v1/next"`, `formaction="/api/v1/orders"`, `name="csrf" value="token"`,
			`name="back" value="` + path + `"`, `name="target" value="52:54:00:00:00:01"`, `<option value="debian">`, `action="/logout"`} {
			if !strings.Contains(body, want) {
				t.Errorf("%s lacks %s", path, want)
			}
		}
	}
}

// What booted before the seeder started is there, as machines that are off; the page where people log in leads back.
func TestKnownFromBefore(t *testing.T) {
	f := newFake(t, func(c *Config) {
		c.Known = func() []history.Boot {
			return []history.Boot{{MAC: "52:54:00:00:00:55", Name: "desk-55", Group: "all", System: "debian", Seen: time.Now().Add(-time.Hour)},
				{MAC: "52:54:00:00:00:56", Name: "desk-56", Seen: time.Now().Add(-2 * forgotten)}, {MAC: "52:54:00:00:01:01", Seen: time.Now().Add(-time.Hour)}}
		}
	})
	f.set(desk(1, 10))
	body := f.get("/").Body.String()
	if got := row(t, body, "52:54:00:00:00:55"); !strings.Contains(got, "desk-55") || !strings.Contains(got, "did not report since") {
		t.Errorf("desk-55: %s", got)
	}
	if got := row(t, body, "52:54:00:00:01:01"); !strings.Contains(got, "lectern") || !strings.Contains(got, "did not report since") {
		t.Errorf("lectern: %s", got)
	}
	if strings.Contains(body, "desk-56") {
		t.Error("what has not booted for months is there")
	}
	f.setPerson(page.Person{Password: true})
	if body := f.get("/login?back=%2Fnode%2F%22x").Body.String(); !strings.Contains(body, `name="back" value="/node/&#34;x"`) || !strings.Contains(body, `action="/login"`) {
		t.Errorf("log in: %s", body)
	}
}

// A machine's own page has facts, the rules that hold, steps, history and its log; one that only the history knows is found as well.
func TestNodePages(t *testing.T) {
	began := time.Date(2026, 11, 30, 9, 0, 0, 0, time.Local)
	f := newFake(t, func(c *Config) {
		c.History = func(mac string) []history.Boot {
			if mac == "52:54:00:00:00:77" {
				return []history.Boot{{Began: began, System: "debian", Step: report.Fetch, State: report.Failed, Error: "no <room>"},
					{Began: began.Add(-time.Hour), Step: report.Give, State: report.Running, FromSeeder: 25 << 20, FromNodes: 75 << 20, Durations: map[report.Step]float64{report.Fetch: 40}}}
			}
			return nil
		}
		c.Notes = func(string) string { return "by the <door>" }
	})
	n := desk(1, 41)
	n.Vendor, n.Model, n.MemoryMiB, n.SecureBoot, n.HostKey, n.Durations = "ACME", "<i>X</i>", 8192, true, "SHA256:abc", map[report.Step]float64{report.Network: 2.5}
	n.Exit = &report.Exit{System: "probe", Code: 3, Lines: []string{"last <words>"}}
	n.Seeders = []report.Source{{Addr: netip.MustParseAddr("10.0.0.253"), Bytes: 70 << 20}, {Addr: netip.MustParseAddr("10.1.0.253"), Bytes: 30 << 20}}
	f.set(n)
	body := f.get("/node/52:54:00:00:00:01").Body.String()
	for _, want := range []string{"desk-1", "ACME &lt;i&gt;X", "8192 MiB", "1000 Mbit/s", "10.0.0.253 70 MiB, 10.1.0.253 30 MiB", "by the &lt;door&gt;", "SHA256:abc", "all — all others", "debian — the site", "2.5 s",
		"last &lt;words&gt;", "probe ended with exit code 3", "It has sent no log yet"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page of desk-1 lacks %q:\n%s", want, body)
		}
	}
	body = f.get("/node/52:54:00:00:00:77").Body.String()
	for _, want := range []string{"2026-11-30 09:00:00", "failed: download: no &lt;room&gt;", "ran", "40.0 s", "100 MiB, 75 % of it from nodes"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page of a machine that only the history knows lacks %q:\n%s", want, body)
		}
	}
	for _, path := range []string{"/node/52:54:00:00:00:99", "/node/x", "/node/52:54:00:00:00:01/log", "/system/gone", "/page/x.js"} {
		if w := f.get(path); w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

// Files are on their systems' own pages.
func TestFiles(t *testing.T) {
	f := newFake(t, nil)
	for path, want := range map[string][]string{
		"/files":         {"/system/debian", "/system/tiny", "/catalog.json", "counter is 7"},
		"/system/debian": {"sub/a%20b", "1.0 MiB", "/torrents/01"},
		page.StyleURL:    {"prefers-color-scheme"},
		page.ScriptURL:   {"EventSource"},
		"/page/icon.svg": {"<svg"},
	} {
		w := f.get(path)
		for _, part := range want {
			if w.Code != 200 || !strings.Contains(w.Body.String(), part) {
				t.Errorf("%s: %d, lacks %q: %s", path, w.Code, part, w.Body)
			}
		}
	}
}
