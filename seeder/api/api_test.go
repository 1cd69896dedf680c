package api

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"aead.dev/minisign"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"golang.org/x/crypto/bcrypt"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/seeder/auth"
	"github.com/boottorrent/boottorrent/seeder/history"
	"github.com/boottorrent/boottorrent/seeder/next"
	"github.com/boottorrent/boottorrent/seeder/orders"
	"github.com/boottorrent/boottorrent/seeder/room"
	"github.com/boottorrent/boottorrent/seeder/selftest"
	"github.com/boottorrent/boottorrent/seeder/status"
	"github.com/boottorrent/boottorrent/seeder/wol"
)

const one, two = "52:54:00:00:00:01", "52:54:00:00:00:02"

// office is the interface of a room with two machines, of which the first waits at its chooser. Every request and every answer is checked
// with the description.
type office struct {
	t       *testing.T
	handler http.Handler
	router  routers.Router
	auth    *auth.Auth
	asked   map[string]bool // "METHOD /path"
	next    *next.Store
	orders  *orders.Orders
	catalog *catalog.Catalog
	woken   []net.HardwareAddr
	deaf    bool // no packet can be sent
}

func newOffice(t *testing.T) *office {
	t.Helper()
	_, secret, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	o := &office{t: t, asked: map[string]bool{}, next: next.Open(t.TempDir(), log, time.Now)}
	o.catalog = &catalog.Catalog{
		Systems: []catalog.System{{Name: "debian"}, {Name: "live"}},
		Rules:   catalog.Rules{Groups: []catalog.Group{{Name: "empty", Match: catalog.Match{Arch: []string{"mips"}}}, {Name: catalog.GroupAll}}},
	}
	served := func() *catalog.Catalog { return o.catalog }
	var last uint64
	o.orders = orders.New(orders.Config{
		Key: func() (minisign.PrivateKey, error) { return secret, nil }, Counter: func() (uint64, error) { last++; return last, nil },
		Catalog: served, Log: log, Now: time.Now,
	})
	o.auth = auth.New(auth.Config{Page: func() (string, bool) { return string(hash), false }})
	api := New(Config{
		Targets: func(netip.Addr) []Target {
			return []Target{{Targets: []string{"10.0.0.1:8080"}, Labels: map[string]string{"__meta_boottorrent_site": "school"}}}
		},
		Log: log, Catalog: served, Next: o.next, Orders: o.orders,
		Listed: func() []room.Listed {
			return []room.Listed{{MAC: one, Name: "desk-1", Notes: "by the door"}, {MAC: two, Name: "desk-2", Hostname: "two", Address: "10.0.0.2"}}
		},
		Nodes: func() []report.Node {
			return []report.Node{{Report: report.Report{MAC: one, Boot: "b00t", Step: report.Choose, State: report.Running, IP: "10.0.0.1", Durations: map[report.Step]float64{}}, Since: time.Now(), Seen: time.Now()}}
		},
		Systems: func() status.Site {
			return status.Site{Counter: 7, Systems: []status.System{{Name: "debian", State: status.Published, Since: time.Now(), InfoHash: &catalog.InfoHash{1}}}}
		},
		History: func(mac string) []history.Boot {
			if mac == two {
				return nil
			}
			return []history.Boot{{MAC: one, ID: "b00t", Name: "desk-1", System: "debian", Began: time.Now(), Seen: time.Now(), Step: report.Launch, State: report.Done,
				Durations: map[report.Step]float64{report.Fetch: 2.5}, FromNodes: 7, From: netip.MustParseAddr("10.0.0.1")}}
		},
		Findings: func() []selftest.Finding {
			return []selftest.Finding{{Severity: "warning", About: "clock", What: "it is behind", Do: "set it"}}
		},
		Wake: func(_ context.Context, macs []net.HardwareAddr) []wol.Sent {
			o.woken = macs
			sent := wol.Sent{Interface: "eth0"}
			if o.deaf {
				sent.Error = "no such device"
			}
			return []wol.Sent{sent}
		},
	})
	o.handler = api.Handler(o.auth)
	text, err := describe()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err == nil {
		err = doc.Validate(t.Context())
	}
	if err == nil {
		o.router, err = gorillamux.NewRouter(doc)
	}
	if err != nil {
		t.Fatal(err)
	}
	// Every route is described, and nothing that is not there.
	described := map[string]bool{}
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			described[method+" "+strings.TrimPrefix(path, "/")] = true
		}
	}
	for _, r := range append(api.routes(), route{method: "GET", path: "openapi.json"}) {
		if !described[r.method+" "+r.path] {
			t.Errorf("%s %s is not described", r.method, r.path)
		}
		delete(described, r.method+" "+r.path)
	}
	for path := range described {
		t.Errorf("%s is described and not there", path)
	}
	return o
}

// ask sends a request with the password, checks the answer, and decodes its body into got.
func (o *office) ask(method, path string, body any, got any, change ...func(*http.Request)) int {
	o.t.Helper()
	var text []byte
	if body != nil {
		text, _ = json.Marshal(body)
	}
	r := httptest.NewRequest(method, Path+path, bytes.NewReader(text))
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	r.SetBasicAuth("", "secret")
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	o.handler.ServeHTTP(w, r)
	o.check(r, w)
	if got != nil {
		if err := json.Unmarshal(w.Body.Bytes(), got); err != nil {
			o.t.Errorf("%s %s: %v: %s", method, path, err, w.Body)
		}
	}
	return w.Code
}

// check compares an answer with what the description says of it.
func (o *office) check(r *http.Request, w *httptest.ResponseRecorder) {
	o.t.Helper()
	route, params, err := o.router.FindRoute(r)
	if err != nil {
		o.t.Errorf("%s %s is not described: %v", r.Method, r.URL, err)
		return
	}
	o.asked[route.Method+" "+route.Path] = true
	in := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: w.Code, Header: w.Header(), Body: io.NopCloser(bytes.NewReader(w.Body.Bytes()))}
	if err := openapi3filter.ValidateResponse(o.t.Context(), out); err != nil {
		o.t.Errorf("%s %s answers %d with what is not described: %v\n%s", r.Method, r.URL, w.Code, err, w.Body)
	}
}

func (o *office) fails(method, path string, body any, code int, words string) {
	o.t.Helper()
	var e Error
	if got := o.ask(method, path, body, &e); got != code || !strings.Contains(e.Error, words) {
		o.t.Errorf("%s %s %v: %d %q, want %d %q", method, path, body, got, e.Error, code, words)
	}
}

func TestEveryAnswerIsAsDescribed(t *testing.T) {
	o := newOffice(t)
	var nodes Nodes
	if o.ask("GET", "nodes", nil, &nodes); len(nodes.Machines) != 2 || nodes.Machines[0].Notes != "by the door" || nodes.Machines[0].Node == nil || nodes.Groups[1] != "all" {
		t.Errorf("nodes: %+v", nodes)
	}
	var site status.Site
	if o.ask("GET", "systems", nil, &site); len(site.Systems) != 1 || site.Counter != 7 {
		t.Errorf("systems: %+v", site)
	}
	var boots History
	if o.ask("GET", "history?mac=52-54-00-00-00-01", nil, &boots); len(boots.Boots) != 1 || boots.Boots[0].System != "debian" {
		t.Errorf("history: %+v", boots)
	}
	if o.ask("GET", "history?mac="+two, nil, &boots); boots.Boots == nil || len(boots.Boots) != 0 {
		t.Errorf("history of one that never booted: %+v", boots)
	}
	if code := o.ask("GET", "history?mac=x", nil, nil); code != http.StatusBadRequest {
		t.Errorf("history of no address: %d", code)
	}
	var targets []Target
	if o.ask("GET", "targets", nil, &targets); len(targets) != 1 || targets[0].Targets[0] != "10.0.0.1:8080" {
		t.Errorf("targets: %+v", targets)
	}
	var findings Findings
	if o.ask("GET", "findings", nil, &findings); len(findings.Findings) != 1 {
		t.Errorf("findings: %+v", findings)
	}
	var woken Woken
	if o.ask("POST", "wake", Request{Targets: []string{"desk-1", "two"}}, &woken); len(woken.Machines) != 2 || len(o.woken) != 2 || o.woken[1].String() != two {
		t.Errorf("woken: %+v, %v", woken, o.woken)
	}
	o.testNext()
	o.testOrders()
	o.ask("GET", "openapi.json", nil, &map[string]any{})
	o.deaf = true
	o.fails("POST", "wake", Request{Targets: []string{"all"}}, 500, "no packet could be sent: no such device")
	o.catalog = nil
	o.fails("POST", "next", Request{Targets: []string{"all"}, What: "debian"}, 409, "still reading its site")
	if len(o.asked) != 13 {
		t.Errorf("of the routes these were asked: %v", o.asked)
	}
}

func (o *office) testNext() {
	t := o.t
	var said, all, gone Next
	if o.ask("POST", "next", Request{Targets: []string{"all", one, "desk-1"}, What: "debian", Once: true}, &said); len(said.Next) != 2 || !said.Next[0].Once {
		t.Errorf("said: %+v", said)
	}
	o.next.Follow(two, said.Next[0].ID)
	if o.ask("GET", "next", nil, &all); len(all.Next) != 2 || all.Next[0].MAC != one || !slices.Equal(all.Next[1].Done, []string{two}) {
		t.Errorf("all: %+v", all)
	}
	if o.ask("POST", "next/clear", Request{Targets: []string{"desk-1"}}, &gone); len(gone.Next) != 1 || gone.Next[0].MAC != one || len(o.next.List()) != 1 {
		t.Errorf("gone: %+v", gone)
	}
	o.fails("POST", "next", Request{Targets: []string{"all"}, What: "windows"}, 400, `"windows" is no system; there are debian, live, menu, local`)
	o.fails("POST", "next", Request{Targets: []string{"nobody"}, What: "local"}, 400, `"nobody" is no group and no machine; groups: empty, all; machines: desk-1, desk-2`)
	o.fails("POST", "next", Request{What: "local"}, 400, "name a machine or a group")
	o.fails("POST", "next", map[string]string{"tragets": "all"}, 400, "tragets")
	o.fails("POST", "next", strings.Repeat("x", maxBody), 413, "too large")
}

func (o *office) testOrders() {
	t := o.t
	var given, later orders.Batch
	if o.ask("POST", "orders", Request{Targets: []string{"all"}, Action: "choose", System: "debian", Wait: 60}, &given); len(given.Nodes) != 2 ||
		given.Nodes[0].State != orders.Waiting || given.Nodes[1].State != orders.Unreachable {
		t.Errorf("given: %+v", given)
	}
	o.orders.Answer(report.Report{MAC: one, Boot: "b00t", Order: &report.Order{Counter: given.ID, State: report.OrderTaken, Text: "starting Debian"}})
	if o.ask("GET", "orders/1?waiting=0&wait=20", nil, &later); later.Nodes[0].State != orders.Taken || later.Nodes[0].Text != "starting Debian" {
		t.Errorf("later: %+v", later)
	}
	var list Orders
	if o.ask("GET", "orders", nil, &list); len(list.Orders) != 1 {
		t.Errorf("list: %+v", list)
	}
	o.fails("GET", "orders/7", nil, 404, "no order 7 is known")
	o.fails("GET", "orders/1?waiting=x", nil, 400, "waiting")
	o.fails("GET", "orders/one", nil, 400, `"one" is no number`)
	o.fails("POST", "orders", Request{Targets: []string{"all"}, Action: "explode"}, 400, "want one of [reboot poweroff choose]")
	o.fails("POST", "orders", Request{Targets: []string{"all"}, Action: "reboot", System: "debian"}, 400, "only choose has a system")
	o.fails("POST", "orders", Request{Targets: []string{"all"}, Action: "choose", System: "menu"}, 400, "no system")
	o.fails("POST", "orders", Request{Targets: []string{"empty"}, Action: "reboot"}, 409, "no machine of empty is known")
}

// A page's form does the same, with its token, and leads back to the page; without one nothing happens.
func TestForms(t *testing.T) {
	o := newOffice(t)
	login := httptest.NewRequest("POST", auth.PathLogin, strings.NewReader("password=secret"))
	login.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	o.auth.Login().ServeHTTP(w, login)
	cookie := w.Result().Cookies()[0]
	r := httptest.NewRequest("GET", "/", nil)
	r.AddCookie(cookie)
	token := o.auth.Session(r).CSRF
	post := func(path string, fields url.Values) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", Path+path, strings.NewReader(fields.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Accept", "text/html")
		r.AddCookie(cookie)
		w := httptest.NewRecorder()
		o.handler.ServeHTTP(w, r)
		return w
	}
	fields := url.Values{"target": {"desk-1", "desk-2"}, "what": {"local"}, "once": {"on"}, "back": {"/node/" + one}}
	if w := post("next", fields); w.Code != 403 || len(o.next.List()) != 0 {
		t.Errorf("without a token: %d %s", w.Code, w.Body)
	}
	fields.Set("csrf", token)
	if w := post("next", fields); w.Code != 303 || w.Header().Get("Location") != "/node/"+one || len(o.next.List()) != 2 || !o.next.List()[0].Once {
		t.Errorf("with one: %d %s", w.Code, w.Body)
	}
	fields.Set("what", "windows")
	if w := post("next", fields); w.Code != 400 || !strings.Contains(w.Body.String(), "is no system") {
		t.Errorf("a mistake: %d %s", w.Code, w.Body)
	}
	if w := post("orders", url.Values{"target": {"all"}, "action": {"reboot"}, "wait": {"30"}, "csrf": {token}}); w.Code != 303 || len(o.orders.List()) != 1 || o.orders.List()[0].Until.Sub(o.orders.List()[0].Given) != 30*time.Second {
		t.Errorf("an order: %d %s", w.Code, w.Body)
	}
}

// Nobody changes anything without the password, and everybody does on the socket that only the seeder's user can open.
func TestWhoMay(t *testing.T) {
	o := newOffice(t)
	for _, path := range []string{"wake", "next", "next/clear", "orders"} {
		if code := o.ask("POST", path, Request{Targets: []string{"all"}, What: "menu", Action: "reboot"}, nil, func(r *http.Request) { r.Header.Del("Authorization") }); code != 401 {
			t.Errorf("%s without a password: %d", path, code)
		}
	}
	if o.woken != nil || len(o.next.List()) != 0 || len(o.orders.List()) != 0 {
		t.Error("something was changed")
	}
	r := httptest.NewRequest("GET", Path+"nothing", nil)
	w := httptest.NewRecorder()
	if o.handler.ServeHTTP(w, r); w.Code != 404 || !strings.Contains(w.Body.String(), "openapi.json says what there is") {
		t.Errorf("what is not there: %d %s", w.Code, w.Body)
	}
	if codeOf(errors.New("x")) != 500 {
		t.Error("an error that nobody knows is not the server's")
	}
}
