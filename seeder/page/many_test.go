package page

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/seeder/web"
	page "github.com/boottorrent/boottorrent/templates/page"
)

// room is so many machines that download, in racks of 250.
func manyNodes(n int, percent int64) []report.Node {
	nodes := make([]report.Node, n)
	for i := range nodes {
		one := desk(1, percent)
		one.MAC, one.Name = fmt.Sprintf("02:00:00:00:%02x:%02x", i>>8, i&255), fmt.Sprint("pc-", i+1)
		one.IP = fmt.Sprintf("10.1.%d.%d", i/250, i%250+1)
		one.Sources = nil
		for j := range report.MaxSources {
			other := (i + 7*j + 1) % n
			one.Sources = append(one.Sources, report.Source{Addr: netip.AddrFrom4([4]byte{10, 1, byte(other / 250), byte(other%250 + 1)}), Bytes: 1 << 20})
		}
		nodes[i] = one
	}
	return nodes
}

// However many machines there are, the page stays one to look at, and the picture one with a dozen names; what has failed is on it.
func TestManyMachines(t *testing.T) {
	f := newFake(t, nil)
	nodes := manyNodes(10_000, 30)
	nodes[7777].State, nodes[7777].Error = report.Failed, "no carrier"
	f.set(nodes...)
	began := time.Now()
	body := f.get("/").Body.String()
	t.Logf("a page of %d bytes of 10,000 machines in %v", len(body), time.Since(began))
	if len(body) > 2<<20 || strings.Count(body, "<tr role=\"row\" data-id=") > maxShown+1 {
		t.Errorf("the page has %d bytes", len(body))
	}
	for _, want := range []string{"no carrier", "9002 more machines"} { // two that the site knows are among them
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for n, want := range map[int]string{3: "pc-2", 500: "10.1.1.0/24 (250)", 5000: "4989 others"} {
		f.set(manyNodes(n, 30)...)
		picture := f.get("/gave.svg").Body.String()
		for d := xml.NewDecoder(strings.NewReader(picture)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%d machines: the picture is no XML: %v", n, err)
			}
		}
		if names := strings.Count(picture, "<text"); !strings.Contains(picture, want) || names > 2*maxEnds+2 {
			t.Errorf("%d machines: the picture has %d names, and not %q: %s", n, names, want, picture)
		}
	}
}

// listener is a page that is open.
type fakeListener struct {
	io.Reader
	cancel context.CancelFunc
	ended  chan struct{}
	code   int
}

// pipeResponse is an http.ResponseWriter that somebody reads.
type pipeResponse struct {
	*io.PipeWriter
	header http.Header
	code   chan int
	once   bool
}

func (p *pipeResponse) Header() http.Header { return p.header }
func (p *pipeResponse) WriteHeader(code int) {
	if !p.once {
		p.once = true
		p.code <- code
	}
}
func (p *pipeResponse) Write(b []byte) (int, error) { p.WriteHeader(200); return p.PipeWriter.Write(b) }
func (p *pipeResponse) Flush()                      {}

// listen opens the events.
func (f *fake) listen(path string) *fakeListener { return listen(f.Events(), "192.0.2.1", path) }

func listen(h http.Handler, addr, path string) *fakeListener {
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	l := &fakeListener{Reader: r, cancel: func() { cancel(); r.Close() }, ended: make(chan struct{})}
	resp := &pipeResponse{PipeWriter: w, header: http.Header{}, code: make(chan int, 1)}
	go func() {
		defer close(l.ended)
		request := httptest.NewRequest("GET", path, nil).WithContext(ctx)
		request.RemoteAddr = addr + ":4711"
		h.ServeHTTP(resp, request)
		w.Close()
	}()
	l.code = <-resp.code
	return l
}

// next is the next event.
func (l *fakeListener) next(t *testing.T) event {
	t.Helper()
	buf := make([]byte, 1<<20)
	n := 0
	for !strings.HasSuffix(string(buf[:n]), "\n\n") {
		m, err := l.Read(buf[n:])
		if err != nil {
			t.Fatal(err)
		}
		if n += m; string(buf[:n]) == string(comment) {
			n = 0
		}
	}
	var e event
	data, ok := strings.CutPrefix(string(buf[:n]), "data: ")
	if err := json.Unmarshal([]byte(data), &e); !ok || err != nil || strings.Count(data, "\n") != 2 {
		t.Fatalf("%q: %v", buf[:n], err)
	}
	return e
}

// Listeners get all first and then what changes, gathered; one that doesn't read is let go, and one too many is told to come again. When all
// have gone, nothing goes on.
func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, nil)
		f.set(desk(1, 10), desk(2, 20))
		l := f.listen("/events?group=all")
		all := l.next(t)
		if !all.Full || len(all.Rows) != 2 || all.Rows["52:54:00:00:00:01"]["percent"] != "10" || all.Text["downloading"] != "2" || all.Findings == nil {
			t.Errorf("first %+v", all)
		}
		f.set(desk(1, 11), desk(2, 20))
		f.set(desk(1, 12), desk(2, 20))
		began := time.Now()
		e := l.next(t)
		if took := time.Since(began); took > tick || e.Full || len(e.Rows) != 1 || e.Rows["52:54:00:00:00:01"]["percent"] != "12" || e.Rows["52:54:00:00:00:01"]["name"] != "" {
			t.Errorf("after %v: %+v", took, e)
		}
		f.set(failedNode(1, "no carrier"))
		e = l.next(t)
		if cells := e.Rows["52:54:00:00:00:01"]; cells["state"] != page.Failed || !strings.Contains(e.Say, "desk-1 failed: no network. no carrier") || len(e.Gone) != 1 {
			t.Errorf("after a failure: %+v", e)
		}
		// One that doesn't read.
		stuck := f.listen("/events")
		for percent := range int64(12) {
			f.set(desk(1, percent))
			time.Sleep(tick)
			l.next(t)
		}
		stuck.Close()
		<-stuck.ended
		var more []*fakeListener
		for range maxListeners - 1 {
			more = append(more, f.listen("/events"))
		}
		if late := f.listen("/events"); late.code != 503 {
			t.Errorf("one too many got %d", late.code)
		} else {
			late.Close()
		}
		for _, one := range append(more, l) {
			one.cancel()
			<-one.ended
		}
		synctest.Wait()
		f.hub.mu.Lock()
		defer f.hub.mu.Unlock()
		if f.hub.number != 0 || len(f.hub.channels) != 0 || f.hub.stop != nil {
			t.Errorf("%d listeners, %d groups are left", f.hub.number, len(f.hub.channels))
		}
	})
}

// A machine that opens the events as often as it may keeps nobody else from them.
func TestListenersOfOneAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := web.New(web.Config{Events: newFake(t, nil).Events()})
		var all []*fakeListener
		for range web.MaxListeners {
			all = append(all, listen(server, "10.0.0.66", "/events"))
			time.Sleep(time.Second)
		}
		for _, addr := range []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"} {
			l := listen(server, addr, "/events")
			if all = append(all, l); l.code != 200 {
				t.Errorf("%s: %d", addr, l.code)
			}
		}
		for _, l := range all {
			l.cancel()
			<-l.ended
		}
	})
}

// Close stops reading.
func (l *fakeListener) Close() { l.Reader.(*io.PipeReader).Close() }

// The slowest machine and why: by what it reports beside what the others do.
func TestSlowest(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*report.Node)
		want   string
	}{
		"as fast as the others": {func(n *report.Node) { n.Done = 55 << 30 / 100 }, ""},
		"link":                  {func(n *report.Node) { n.LinkMbps = 100 }, "its link has 100 Mbit/s, the others' 1000"},
		"fallback":              {func(n *report.Node) { n.Fallback = true }, "falls back to HTTP"},
		"was by HTTP":           {func(n *report.Node) { n.FromHTTP = 1 << 40 }, "most of it came by HTTP"},
		"processor":             {func(n *report.Node) { n.CPU = 97 }, "its processor is busy (97 %)"},
		"memory":                {func(n *report.Node) { n.Writing = 20 << 20 }, "its memory or disk takes 20 MiB/s, the others' 800 MiB/s"},
		"peers":                 {func(n *report.Node) { n.Peers = 1 }, "connected to 1 others, they to 5"},
		"wrong data":            {func(n *report.Node) { n.Banned = []netip.Addr{{}} }, "wrong data"},
		"nothing":               {func(*report.Node) {}, "Nothing that it reports says why"},
	} {
		nodes := []report.Node{desk(1, 60), desk(2, 50), desk(3, 70), desk(4, 5)}
		for i := range nodes {
			nodes[i].Writing = 800 << 20
		}
		c.change(&nodes[3])
		got := newRoom(nil, nodes, nil, time.Now()).view("").sums.Slowest
		if c.want == "" && got != "" || !strings.Contains(got, c.want) || c.want != "" && !strings.HasPrefix(got, "Slowest: desk-4 is at 5 %") {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	// When all are done, it is said of the past; of one machine alone nothing is.
	nodes := []report.Node{desk(1, 100), desk(2, 100), desk(3, 100)}
	for i := range nodes {
		nodes[i].Step, nodes[i].State, nodes[i].FetchEnded = report.Launch, report.Done, nodes[i].FetchBegan.Add(time.Duration(10+5*i*i)*time.Second)
	}
	v := newRoom(nil, nodes, nil, time.Now()).view("")
	if got := v.sums.Slowest; !strings.HasPrefix(got, "Slowest: desk-3 got ") {
		t.Error(got)
	}
	if want := "Downloading took the room 30s (3 machines); one machine took 10s."; v.sums.Time != want {
		t.Errorf("%q, want %q", v.sums.Time, want)
	}
	if got := newRoom(nil, nodes[:1], nil, time.Now()).view("").sums; got.Slowest != "" || got.Time != "Downloading took the room 10s." {
		t.Errorf("of one machine: %+v", got)
	}
}
