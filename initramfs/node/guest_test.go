package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/decision"
	"github.com/boottorrent/boottorrent/initramfs/launch"
	"github.com/boottorrent/boottorrent/initramfs/network"
	"github.com/boottorrent/boottorrent/internal/catalog"
	wire "github.com/boottorrent/boottorrent/internal/report"
)

// fake is a method whose systems end when they are told to, and the system that it started.
type fake struct {
	launch.Method // not called
	face          launch.Face
	fails         error // of Load
	notes         []string
	exit          wire.Exit

	job     launch.Job
	ended   chan struct{}
	once    sync.Once
	closed  int
	stopped bool
}

func newFake(face launch.Face, exit wire.Exit) *fake {
	return &fake{face: face, exit: exit, ended: make(chan struct{})}
}

func (f *fake) Load(_ context.Context, job launch.Job) error                  { f.job = job; return f.fails }
func (f *fake) Start(_ context.Context, job launch.Job) (launch.Guest, error) { return f, nil }
func (f *fake) Face() launch.Face                                             { return f.face }
func (f *fake) Notes() []string                                               { return f.notes }
func (f *fake) Done() <-chan struct{}                                         { return f.ended }
func (f *fake) Exit() wire.Exit                                               { return f.exit }
func (f *fake) end()                                                          { f.once.Do(func() { close(f.ended) }) }
func (f *fake) Stop()                                                         { f.stopped = true; f.end() }
func (f *fake) Close() error                                                  { f.closed++; f.end(); return nil }

// Attach shows the guest, and leaves at the key x.
func (f *fake) Attach(ctx context.Context, tty launch.Terminal) error {
	fmt.Fprintf(tty, "THE GUEST on %s\r\n", tty.Name())
	typed := make(chan struct{})
	go func() {
		b := make([]byte, 1)
		for {
			if _, err := tty.Read(b); err != nil {
				return
			}
			if b[0] == 'x' {
				close(typed)
				return
			}
		}
	}()
	select {
	case <-ctx.Done():
	case <-f.ended:
	case <-typed:
		return launch.ErrLeft
	}
	return nil
}

// visiting starts a guest on a node with one console and a seeder, whose reports it returns.
func visiting(t *testing.T, f *fake, after string) (n *Node, p *person, ended <-chan decision.Decision, reports func() []wire.Report) {
	t.Helper()
	var mu sync.Mutex
	var got []wire.Report
	seeder := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var report wire.Report
		if json.NewDecoder(r.Body).Decode(&report) == nil {
			mu.Lock()
			got = append(got, report)
			mu.Unlock()
		}
	}))
	t.Cleanup(seeder.Close)
	n, p = newNode(t, seeder.URL)
	n.link.setLease(network.Lease{Interface: "eth0", MAC: make([]byte, 6), Addr: netip.MustParsePrefix("10.0.0.7/24")})
	sys := kexec("guest")
	sys.Launch = catalog.Launch{Method: catalog.MethodBin, Bin: &catalog.Bin{Program: "x"}, After: after}
	next := kexec("next")
	n.session.catalog = &catalog.Catalog{Systems: []catalog.System{sys, next}}
	choices := make(chan decision.Decision, 1)
	go func() {
		choice, err := n.host(t.Context(), f, sys)
		if err != nil {
			t.Error(err)
		}
		choices <- choice
	}()
	return n, p, choices, func() []wire.Report { mu.Lock(); defer mu.Unlock(); return slices.Clone(got) }
}

func await(t *testing.T, choices <-chan decision.Decision) decision.Decision {
	t.Helper()
	select {
	case c := <-choices:
		return c
	case <-time.After(patience):
		t.Fatal("the node does not go on")
	}
	return decision.Decision{}
}

// A system that ends by itself: its exit is reported and shown, and then the site's word counts, or the person's.
func TestGuestEnds(t *testing.T) {
	for _, tt := range []struct {
		after, shows, key string
		want              decision.Decision
	}{
		{"", "the menu", "\r", decision.Decision{Action: decision.Choose}},
		{catalog.AfterMenu, "the menu", "\r", decision.Decision{Action: decision.Choose}},
		{catalog.AfterReboot, "a restart of this machine", "\r", decision.Decision{Action: decision.Reboot}},
		{catalog.AfterPowerOff, "switched off", "\r", decision.Decision{Action: decision.PowerOff}},
		{"next", "System next", "\r", decision.Decision{Action: decision.Start, System: "next"}},
		{"next", "System next", "m", decision.Decision{Action: decision.Choose}},
	} {
		f := newFake(launch.FaceTerminal, wire.Exit{Code: 3, Lines: []string{"last words"}})
		n, p, choices, reports := visiting(t, f, tt.after)
		p.see("THE GUEST on ttyS0")
		if info, err := os.Stat(f.job.Scratch); err != nil || !info.IsDir() || f.job.Vars["IP"] != "10.0.0.7" {
			t.Errorf("the job is %+v, %v", f.job, err)
		}
		f.end()
		p.see("has ended with exit code 3")
		p.see("last words")
		p.see(tt.shows)
		p.send(tt.key)
		if got := await(t, choices); got != tt.want {
			t.Errorf("after %q, key %q: %+v, want %+v", tt.after, tt.key, got, tt.want)
		}
		all := reports()
		if len(all) == 0 || all[len(all)-1].Exit == nil || all[len(all)-1].Exit.Code != 3 || all[len(all)-1].Exit.System != "guest" {
			t.Errorf("reported: %+v", all)
		}
		if _, err := os.Stat(f.job.Scratch); !errors.Is(err, os.ErrNotExist) || f.closed != 1 {
			t.Errorf("left behind: %v, closed %d times", err, f.closed)
		}
		_ = n
	}
}

// A person leaves, goes back, and ends it in one of the ways there are.
func TestGuestIsLeft(t *testing.T) {
	for key, want := range map[string]decision.Action{"qq": decision.Choose, "rr": decision.Reboot, "pp": decision.PowerOff} {
		f := newFake(launch.FaceTerminal, wire.Exit{})
		_, p, choices, _ := visiting(t, f, catalog.AfterReboot)
		p.see("THE GUEST")
		p.send("x")
		p.see("is running")
		p.send("b")
		p.seeTimes("THE GUEST", 2)
		shown := strings.Count(p.all(), "enter back to it")
		p.send("x")
		p.seeTimes("enter back to it", shown+1)
		p.send(key)
		if got := await(t, choices); got.Action != want || !f.stopped {
			t.Errorf("%s: %+v, stopped %v", key, got, f.stopped)
		}
	}
}

// Somebody ends a guest and lets the node go on giving its system away, until a key is pressed.
func TestGuestIsQuitAndGivenAway(t *testing.T) {
	s := newSeeder(t)
	n, p := newNode(t, s.url)
	n.link.setLease(network.Lease{Interface: "lo", Addr: netip.MustParsePrefix("127.0.0.1/8")})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := n.Fetch(ctx, s.system); err != nil {
		t.Fatal(err)
	}
	f := newFake(launch.FaceTerminal, wire.Exit{})
	choices := make(chan decision.Decision, 1)
	go func() {
		choice, err := n.host(t.Context(), f, s.system)
		if err != nil {
			t.Error(err)
		}
		choices <- choice
	}()
	p.see("THE GUEST")
	p.send("x")
	p.see("is running")
	p.send("ee")
	p.see("Giving away System tiny")
	p.see("Until somebody presses a key")
	if !f.stopped || n.Report.Snapshot().Exit == nil {
		t.Errorf("stopped %v, reported %+v", f.stopped, n.Report.Snapshot().Exit)
	}
	if _, ok := n.download.engine.Stats(s.system.InfoHash); !ok {
		t.Error("nothing is given away")
	}
	p.send(" ")
	if got := await(t, choices); got != (decision.Decision{Action: decision.Choose}) {
		t.Errorf("then %+v", got)
	}
	n.download.stopEngine()
}

// seeTimes waits until the console has shown a text so many times.
func (p *person) seeTimes(text string, times int) {
	p.t.Helper()
	timeout := time.After(patience)
	for strings.Count(p.all(), text) < times {
		select {
		case <-p.more:
		case <-timeout:
			p.t.Fatalf("the console never showed %q %d times, but:\n%s", text, times, p.all())
		}
	}
}

// A guest on the network has no console: its screen is the one that asks, and ends with it.
func TestRemoteGuest(t *testing.T) {
	f := newFake(launch.FaceRemote, wire.Exit{})
	f.notes = []string{"emulated, which is slow", "VNC at 10.0.0.7"}
	_, p, choices, _ := visiting(t, f, "")
	p.see("It is shown on the network. Note: emulated, which is slow; VNC at 10.0.0.7.")
	f.end()
	p.see("has ended well")
	p.send("\r")
	if got := await(t, choices); got.Action != decision.Choose {
		t.Errorf("%+v", got)
	}
}

// What can't be started leaves nothing behind.
func TestGuestFails(t *testing.T) {
	n, _ := newNode(t, "http://10.0.0.1:1")
	f := newFake(launch.FaceTerminal, wire.Exit{})
	f.fails = errors.New("no loader")
	if _, err := n.host(t.Context(), f, kexec("guest")); !errors.Is(err, f.fails) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(f.job.Scratch); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left behind: %v", err)
	}
}
