package helpers

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/report"
)

const size = 16 << 20 // of an image

// room is a book with a clock that the test moves, and an image.
type room struct {
	*Book
	t     *testing.T
	time  time.Time
	on    bool
	log   bytes.Buffer
	image Image
	dir   string
}

const (
	kernelPath = "/boot/aa/vmlinuz"
	initrdPath = "/boot/bb/initramfs.img"
)

func newRoom(t *testing.T) *room {
	r := &room{t: t, time: time.Unix(1_800_000_000, 0), on: true, dir: t.TempDir()}
	r.Book = New(Config{
		Log: slog.New(slog.NewTextHandler(&r.log, nil)), Now: func() time.Time { return r.time }, On: func() bool { return r.on },
		Group: func(a netip.Addr) netip.Prefix { p, _ := a.Prefix(24); return p },
	})
	r.offer(1)
	return r
}

// offer has an image that differs with fill.
func (r *room) offer(fill byte) {
	r.t.Helper()
	r.image = Image{InfoHash: catalog.InfoHash{fill}}
	for _, path := range []string{kernelPath, initrdPath} {
		name := filepath.Join(r.dir, fmt.Sprint(filepath.Base(path), fill))
		if err := os.WriteFile(name, bytes.Repeat([]byte{fill}, size/2), 0o644); err != nil {
			r.t.Fatal(err)
		}
		r.image.Files = append(r.image.Files, File{Path: path, Name: name, Size: size / 2})
	}
	r.Offer([]Image{r.image})
}

func addr(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}) }

func (r *room) ask(i int) Turn { return r.Turn(addr(i), kernelPath, initrdPath) }

// load has a machine take all of phase 1 from the seeder in so many seconds.
func (r *room) load(i int, seconds float64) {
	r.t.Helper()
	for _, path := range []string{kernelPath, initrdPath} {
		sent := r.Sending(addr(i), path)
		r.time = r.time.Add(time.Duration(seconds / 2 * float64(time.Second)))
		sent(size / 2)
	}
	r.Loaded(addr(i))
}

// node is the report of a machine that is up.
func (r *room) node(i int) report.Report {
	return report.Report{
		Boot: fmt.Sprint("boot", i), MAC: fmt.Sprintf("52:54:00:00:00:%02x", i), IP: addr(i).String(), Step: report.Fetch, State: report.Running, Uptime: 5,
	}
}

// tell sends a report.
func (r *room) tell(i int, p *report.Phase1) string {
	rep := r.node(i)
	rep.Phase1 = p
	return r.Report(rep, addr(i), r.image.InfoHash.String(), true)
}

// busy is a room where the seeder's link takes so many seconds for one machine, which has loaded, and others wait.
func busy(t *testing.T, seconds float64, others int) *room {
	r := newRoom(t)
	if turn := r.ask(1); turn != (Turn{}) {
		t.Fatalf("the first machine of a room gets %+v, want the seeder", turn)
	}
	r.load(1, seconds)
	for i := range others {
		r.ask(2 + i)
	}
	return r
}

// While one machine fills the link, the next waits and is told for how many.
func TestOthersWait(t *testing.T) {
	r := newRoom(t)
	r.ask(1)
	for i := 2; i < 20; i++ {
		if turn := r.ask(i); turn.Wait < time.Second || turn.Wait > 5*time.Second || turn.Before != i-1 {
			t.Errorf("machine %d: %+v", i, turn)
		}
		r.time = r.time.Add(10 * time.Millisecond)
	}
	if c := r.Counts(); c.Loading != 1 || c.Waiting != 18 {
		t.Errorf("%+v", c)
	}
	r.load(1, 6)
	if turn := r.ask(2); turn != (Turn{}) {
		t.Errorf("when the first has loaded, the second gets %+v", turn)
	}
}

// A machine that is switched off while it loads, or has its turn and does not begin, keeps nobody waiting; neither does one that waits and is gone.
func TestPlacesOfTheGone(t *testing.T) {
	r := newRoom(t)
	r.ask(1)
	sent := r.Sending(addr(1), kernelPath)
	for range 10 { // slow, but alive
		r.time = r.time.Add(idle - time.Second)
		sent(1000)
		if turn := r.ask(3); turn.Wait == 0 {
			t.Fatalf("while the first loads: %+v", turn)
		}
	}
	r.ask(2)
	r.time = r.time.Add(idle + time.Second)
	if turn := r.ask(3); turn != (Turn{}) {
		t.Errorf("the first is gone, and the third gets %+v", turn)
	}
	if c := r.Counts(); c.Loading != 1 || c.Waiting != 0 {
		t.Errorf("%+v", c)
	}
}

// Machines wait only where helpers are on and the script names an image that nodes can give.
func TestOff(t *testing.T) {
	r := newRoom(t)
	r.ask(1)
	for _, paths := range [][]string{{}, {"/boot/vmlinuz", "/boot/initramfs.img"}, {kernelPath, "/boot/cc/initramfs.img"}} {
		if turn := r.Turn(addr(2), paths...); turn != (Turn{}) {
			t.Errorf("%q: %+v", paths, turn)
		}
	}
	r.on = false
	if turn := r.ask(2); turn != (Turn{}) {
		t.Errorf("off: %+v", turn)
	}
}

// As many load at a time as bring more together, and no more.
func TestPaceFollowsTheLink(t *testing.T) {
	for _, c := range []struct {
		link, machine float64 // MB/s
		least, most   int
	}{{2.5, 100, 1, 2}, {12.5, 100, 1, 2}, {125, 10, 8, 32}, {125, 125, 1, 2}} {
		p, now := pace{limit: 1}, time.Unix(0, 0)
		for range 200 {
			n := p.limit
			var marks []loadMark
			for range n {
				marks = append(marks, p.begin(now))
			}
			rate := min(c.link, float64(n)*c.machine) * 1e6
			now = now.Add(time.Duration(float64(n) * size / rate * float64(time.Second)))
			p.sent += int64(n) * size
			for _, m := range marks {
				p.finish(m, now)
				p.end()
			}
		}
		if p.limit < c.least || p.limit > c.most || p.now != 0 {
			t.Errorf("link %g, machine %g MB/s: %d at a time, want %d to %d", c.link, c.machine, p.limit, c.least, c.most)
		}
	}
}

// Nodes are asked when the rest of a room would wait for long, and not else.
func TestWhenNodesAreAsked(t *testing.T) {
	for _, c := range []struct {
		seconds float64
		others  int
		want    bool
	}{{6.7, 0, false}, {6.7, 1, false}, {6.7, 3, true}, {6.7, 15, true}, {0.14, 15, false}, {0.14, 60, true}} {
		r := busy(t, c.seconds, c.others)
		if got := r.tell(1, nil) != ""; got != c.want {
			t.Errorf("%g s a load, %d others: asked %v", c.seconds, c.others, got)
		}
	}
	r := busy(t, 6.7, 15)
	rep := r.node(1)
	rep.IP = "10.0.0.77"
	if r.Report(rep, addr(1), r.image.InfoHash.String(), true) != "" {
		t.Error("a node is asked whose report comes from another address than it says")
	}
	if r.Report(r.node(1), addr(1), r.image.InfoHash.String(), false) != "" {
		t.Error("a node is asked that can't")
	}
	if r.Report(r.node(1), addr(1), catalog.InfoHash{9}.String(), true) != "" {
		t.Error("a node is asked for an image that there isn't")
	}
	far := netip.MustParseAddr("10.7.0.1")
	rep = r.node(1)
	rep.IP = far.String()
	r.arrivals = nil
	if r.Report(rep, far, r.image.InfoHash.String(), true) != "" {
		t.Error("a node is asked in whose network nobody loads")
	}
}

// serve is a helper's server on loopback; what it sends may be changed.
func (r *room) serve(change func([]byte)) (at netip.AddrPort) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		for _, f := range r.image.Files {
			if f.Path == req.URL.Path {
				b, _ := os.ReadFile(f.Name)
				change(b)
				http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(b))
				return
			}
		}
		http.NotFound(w, req)
	}))
	r.t.Cleanup(s.Close)
	return netip.MustParseAddrPort(s.Listener.Addr().String())
}

// helpAt has a node say that it helps. Its server is on loopback, wherever its address is.
func (r *room) helpAt(i int, at netip.AddrPort) *helper {
	r.t.Helper()
	r.cfg.Client.Transport = &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, to string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", at.String())
	}}
	r.tell(i, &report.Phase1{Port: 6882, Image: r.image.InfoHash.String()})
	h := r.helpers[addr(i)]
	if h == nil {
		r.t.Fatal("the node was not asked")
	}
	return h
}

// try1 tries a helper now, however slow this machine is.
func (r *room) try1(h *helper) { r.try(r.t.Context(), h, r.image, time.Hour) }

// Machines are sent to a helper when it was found right, a few at a time, and come back when it is not.
func TestHelper(t *testing.T) {
	r := busy(t, 6.7, 15)
	if r.tell(1, nil) == "" {
		t.Fatal("nobody is asked")
	}
	wrong := false
	h := r.helpAt(1, r.serve(func(b []byte) {
		if wrong {
			for i := range b {
				b[i]++
			}
		}
	}))
	if turn := r.ask(2); turn.Helper.IsValid() {
		t.Fatalf("a machine is sent to a helper that was not tried: %+v", turn)
	}
	r.try1(h)
	for i := range perHelper {
		if turn := r.ask(3 + i); turn.Helper != netip.AddrPortFrom(addr(1), 6882) {
			t.Fatalf("machine %d: %+v", i, turn)
		}
	}
	if turn := r.ask(9); turn.Helper.IsValid() {
		t.Errorf("the helper has as many as it may have, and one more: %+v", turn)
	}
	r.time = r.time.Add(2 * time.Second)
	r.Loaded(addr(3))
	if turn := r.ask(9); !turn.Helper.IsValid() {
		t.Errorf("one has loaded, and the next gets %+v", turn)
	}
	// Another one comes to the seeder: the helper gets no more machines before it was tried again.
	r.Sending(addr(4), kernelPath)
	if turn := r.ask(10); turn.Helper.IsValid() {
		t.Errorf("a machine had to leave the helper, and the next is sent there")
	}
	wrong = true
	r.try1(h)
	if c := r.Counts(); c.Helpers != 0 || c.Fallbacks != 1 || c.LoadsHelpers != 1 || !strings.Contains(r.log.String(), "are not those of the image") {
		t.Errorf("%+v; log %s", c, r.log.String())
	}
	wrong = false
	r.time = r.time.Add(outTime + time.Second)
	r.helpAt(1, r.serve(func([]byte) {}))
	r.try1(h)
	if c := r.Counts(); c.Helpers != 1 {
		t.Errorf("it serves the right bytes again: %+v", c)
	}
	// Its reports stop.
	r.time = r.time.Add(silence + time.Second)
	if c := r.Counts(); c.Helpers != 0 {
		t.Errorf("its reports have stopped: %+v", c)
	}
}

// A helper that is slow is not used, unless it is slow because machines load from it.
func TestSlowHelper(t *testing.T) {
	for _, machines := range []int{0, 1} {
		r := busy(t, 6.7, 15)
		r.tell(1, nil)
		slow := false
		h := r.helpAt(1, r.serve(func([]byte) {
			if slow { // at the speed of this, a load takes a minute
				time.Sleep(longest / (size / trialSize) * 3)
			}
		}))
		r.try1(h)
		for i := range machines {
			r.ask(3 + i)
		}
		slow = true
		r.try(t.Context(), h, r.image, r.slowestTrial(h, size))
		if got := r.Counts().Helpers; got != machines {
			t.Errorf("with %d machines: %d helpers are used, want %d", machines, got, machines)
		}
	}
}

// Who was not asked is no helper, whatever it reports; nor is another boot at the address of one that was, or a port of the system.
func TestForgedReports(t *testing.T) {
	r := busy(t, 6.7, 0)
	r.tell(5, &report.Phase1{Port: 6882, Image: r.image.InfoHash.String()})
	if len(r.helpers) != 0 {
		t.Fatal("a node that was not asked is taken")
	}
	for i := range 15 {
		r.ask(2 + i)
	}
	r.tell(1, nil)
	r.tell(1, &report.Phase1{Port: 22, Image: r.image.InfoHash.String()})
	if h := r.helpers[addr(1)]; h.at.IsValid() {
		t.Errorf("it would be asked at %v", h.at)
	}
	r.tell(1, &report.Phase1{Port: 6882, Image: r.image.InfoHash.String(), Served: 1 << 50})
	if c := r.Counts(); c.FromHelpers != 0 {
		t.Errorf("counted %d bytes", c.FromHelpers)
	}
	rep := r.node(1)
	rep.Boot, rep.Phase1 = "other", &report.Phase1{Port: 6882, Image: r.image.InfoHash.String()}
	r.Report(rep, addr(1), r.image.InfoHash.String(), false)
	if len(r.helpers) != 0 {
		t.Error("another boot at the address of a helper is one")
	}
}

// A helper ends when the node says so, when the site turns helpers off, and when the image is replaced.
func TestHelperEnds(t *testing.T) {
	for name, end := range map[string]func(*room) string{
		"node":  func(r *room) string { return r.tell(1, nil) },
		"image": func(r *room) string { r.offer(2); return "" },
	} {
		r := busy(t, 6.7, 15)
		r.tell(1, nil)
		r.try1(r.helpAt(1, r.serve(func([]byte) {})))
		if r.Counts().Helpers != 1 {
			t.Fatal("no helper")
		}
		end(r)
		if r.Counts().Helpers != 0 {
			t.Errorf("%s: it is one still", name)
		}
	}
	r := busy(t, 6.7, 15)
	r.tell(1, nil)
	r.helpAt(1, r.serve(func([]byte) {}))
	r.on = false
	if got := r.tell(1, &report.Phase1{Port: 6882, Image: r.image.InfoHash.String()}); got != report.HelpStop {
		t.Errorf("off: the answer has %q", got)
	}
}

// Nodes that are asked and never help do not keep a room waiting.
func TestNodesThatNeverHelp(t *testing.T) {
	r := busy(t, 6.7, 15)
	r.tell(1, nil)
	if turn := r.ask(2); turn.Wait == 0 {
		t.Errorf("the link is left to the first helper, but: %+v", turn)
	}
	began, done := r.time, 0
	for done < 15 && r.time.Sub(began) < 10*time.Minute {
		for i := range 15 {
			if m := r.machines[addr(2+i)]; m != nil && m.state == loaded {
				continue
			}
			if turn := r.ask(2 + i); turn == (Turn{}) {
				r.load(2+i, 6.7)
				r.tell(2+i, nil)
				done++
			}
		}
		r.time = r.time.Add(time.Second)
	}
	if took := r.time.Sub(began).Seconds(); done < 15 || took > 15*6.7+2*(6.7+3)+60 {
		t.Errorf("%d of 15 machines have loaded after %.0f s", done, took)
	}
}

// An image's counter of helpers in a network grows with the machines that wait, and no further than it may.
func TestHowMany(t *testing.T) {
	r := busy(t, 6.7, 100)
	asked := 0
	for i := range 60 {
		if r.tell(120+i, nil) != "" {
			asked++
		}
	}
	if asked != maxHelpers {
		t.Errorf("%d nodes are asked, want %d", asked, maxHelpers)
	}
}
