package admit

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/need"
)

// port is a server under a policy on loopback, whose clients come from 127.0.0.N.
type port struct {
	*Policy
	t    *testing.T
	addr string
	log  lockedBuffer
	// held are the requests that /hold is serving; they end by release.
	held    chan string
	release chan struct{}
	// idle are the connections on which a request has been served and its answer is sent. A client has the answer a little earlier.
	idle chan net.Addr
}

type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

func newPort(t *testing.T, connections int, hold Kind) *port {
	t.Helper()
	p := &port{t: t, held: make(chan string, 100), release: make(chan struct{}), idle: make(chan net.Addr, 100)}
	p.Policy = New(Config{Connections: connections, Log: slog.New(slog.NewTextHandler(&p.log, nil))})
	mux := http.NewServeMux()
	mux.Handle("/", p.Handler(Kind{Name: "any"}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello") })))
	mux.Handle("/hold", p.Handler(hold, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.held <- r.RemoteAddr
		select {
		case <-p.release:
		case <-r.Context().Done():
		}
	})))
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: mux, ConnContext: p.ConnContext, ConnState: func(c net.Conn, state http.ConnState) {
		if state == http.StateIdle {
			p.idle <- c.RemoteAddr()
		}
	}}
	done := make(chan struct{})
	go func() { _ = server.Serve(p.Listener(l)); close(done) }()
	t.Cleanup(func() { server.Close(); <-done })
	p.addr = l.Addr().String()
	return p
}

// client is a connection from 127.0.0.n.
type client struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

func (p *port) dial(n int) *client {
	p.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(n))}}
	c, err := d.Dial("tcp4", p.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(need.Patience)) // that a test ends
	return &client{c, p.t, bufio.NewReader(c)}
}

func (c *client) ask(path string) *client {
	_, _ = fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
	return c
}

// answer is the status and what the client is told when to come again; 0 if the connection was closed.
func (c *client) answer() (int, string) {
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return 0, ""
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.Header.Get("Retry-After")
}

func (c *client) want(code int) {
	c.t.Helper()
	if got, retry := c.answer(); got != code || (code == 503) != (retry == "5") {
		c.t.Errorf("%s is answered %d, Retry-After %q; want %d", c.LocalAddr(), got, retry, code)
	}
}

// Idle connections of one address keep nobody out, and those without progress for longest are closed.
func TestIdleConnectionsGiveWay(t *testing.T) {
	p := newPort(t, 8, Kind{})
	// served asks for something and waits until the connection has its new place in the order.
	served := func(c *client) {
		t.Helper()
		c.ask("/").want(200)
		if got := <-p.idle; got.String() != c.LocalAddr().String() {
			t.Fatalf("%s is idle, want %s", got, c.LocalAddr())
		}
	}
	var idle []*client
	for range 8 {
		c := p.dial(1)
		served(c)
		idle = append(idle, c)
	}
	served(idle[0]) // the youngest now
	served(p.dial(2))
	served(p.dial(1)) // its own gives way too
	idle[1].ask("/").want(0)
	idle[2].ask("/").want(0)
	idle[0].ask("/").want(200)
}

// Connections whose requests are being served stay: a newcomer of the same address is told to come again, one of another address gets in.
func TestBusyConnections(t *testing.T) {
	p := newPort(t, 8, Kind{})
	for range 8 {
		p.dial(1).ask("/hold")
		<-p.held
	}
	for range 3 {
		p.dial(1).ask("/").want(503)
	}
	p.dial(2).ask("/").want(200)
	if n := strings.Count(p.log.String(), "turned away"); n != 1 {
		t.Errorf("%d lines say that somebody is turned away, want 1:\n%s", n, &p.log)
	}
	close(p.release)
}

// A room whose connections are all busy, each from another address, is left alone.
func TestNobodyIsGreedy(t *testing.T) {
	p := newPort(t, 8, Kind{})
	for n := range 8 {
		p.dial(1 + n).ask("/hold")
		<-p.held
	}
	p.dial(20).ask("/").want(503)
	close(p.release)
}

// A slot that one address holds too many of goes to another one, and to no other of its own.
func TestSlots(t *testing.T) {
	p := newPort(t, 100, Kind{Name: "hold", Slots: 8})
	var first *client
	for i := range 8 {
		c := p.dial(1).ask("/hold")
		if i == 0 {
			first = c
		}
		<-p.held
	}
	p.dial(1).ask("/hold").want(503)
	second := p.dial(2).ask("/hold")
	if got := <-p.held; !strings.HasPrefix(got, "127.0.0.2:") {
		t.Errorf("%s has the slot", got)
	}
	first.want(0)
	close(p.release)
	second.want(200)
}

// Turn after turn: whoever had his gives way to anybody, others don't.
func TestTurn(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	p := New(Config{Now: func() time.Time { return now }})
	held, over := make(chan string, 10), make(chan string, 10)
	h := p.Handler(Kind{Name: "x", Slots: 4, Turn: 10 * time.Second}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		held <- r.RemoteAddr
		<-r.Context().Done()
		over <- r.RemoteAddr
	}))
	ask := func(addr string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", "/", nil).WithContext(t.Context())
		r.RemoteAddr = addr + ":1"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	for n := range 4 {
		go ask(fmt.Sprintf("10.0.0.%d", n))
		<-held
		now = now.Add(time.Second)
	}
	if w := ask("10.0.0.9"); w.Code != 503 {
		t.Errorf("%d, want 503: nobody's turn is over", w.Code)
	}
	now = now.Add(6 * time.Second)
	go ask("10.0.0.9")
	if who := <-held; who != "10.0.0.9:1" {
		t.Errorf("%s has a slot", who)
	}
	if who := <-over; who != "10.0.0.0:1" {
		t.Errorf("the turn of %s is over, want that of the first", who)
	}
}

func TestRate(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	p := New(Config{Now: func() time.Time { return now }})
	h := p.Handler(Kind{Name: "x", PerSecond: 2, Burst: 3}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	ask := func(addr string) int {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = addr
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	var got []int
	for range 4 {
		got = append(got, ask("10.0.0.1:1"))
	}
	got = append(got, ask("10.0.0.2:1"))
	now = now.Add(time.Second)
	got = append(got, ask("10.0.0.1:1"), ask("[::ffff:10.0.0.1]:1"), ask("10.0.0.1:1"))
	if want := "[200 200 200 503 200 200 200 503]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
	for n := range maxRates + 100 {
		ask(fmt.Sprintf("10.1.%d.%d:1", n>>8, n&255))
	}
	if p.rates.Len() != maxRates {
		t.Errorf("%d rates are remembered, want %d", p.rates.Len(), maxRates)
	}
}

// The body of a request that needs none, or that comes too slowly, doesn't hold a connection.
func TestSlowBody(t *testing.T) {
	p := newPort(t, 8, Kind{})
	mux := http.NewServeMux()
	mux.Handle("/", p.Handler(Kind{Name: "x", BodyTime: 50 * time.Millisecond}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err == nil {
			t.Error("a body that never came was read")
		}
		w.WriteHeader(400)
	})))
	s := httptest.NewServer(mux)
	defer s.Close()
	c, err := net.Dial("tcp4", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || resp.StatusCode != 400 {
		t.Errorf("%+v, %v", resp, err)
	}
}
