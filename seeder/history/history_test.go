package history

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/report"
)

var begin = time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)

// room is a history with a clock.
type room struct {
	*History
	t   *testing.T
	dir string
	log *bytes.Buffer
	now time.Time
}

func newRoom(t *testing.T) *room {
	r := &room{t: t, dir: t.TempDir(), log: &bytes.Buffer{}, now: begin}
	r.open()
	return r
}

func (r *room) open() {
	r.History = Open(r.dir, slog.New(slog.NewTextHandler(r.log, nil)), func() time.Time { return r.now })
}

// restart ends the seeder and starts it again.
func (r *room) restart() {
	r.end()
	r.open()
}

func (r *room) end() {
	ctx, cancel := context.WithCancel(r.t.Context())
	cancel()
	r.Run(ctx)
}

func mac(n int) string { return fmt.Sprintf("52:54:00:00:%02x:%02x", n>>8, n&255) }

// report is one of a node, seconds after its kernel started.
func (r *room) report(n int, id string, step report.Step, state report.State, uptime float64) {
	r.Observe(report.Node{Seen: r.now, Report: report.Report{MAC: mac(n), Boot: id, Machine: fmt.Sprint("desk-", n), System: "debian", Step: step, State: state,
		Uptime: uptime, Error: map[report.State]string{report.Failed: "no carrier"}[state],
		Durations: map[report.Step]float64{report.Hardware: 2, report.Fetch: 40}, Transfer: report.Transfer{FromSeeder: 10, FromNodes: 90}}},
		netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}))
}

// What was booted is known over a restart, also of a boot that goes on meanwhile, which stays one.
func TestOverARestart(t *testing.T) {
	r := newRoom(t)
	r.report(1, "a", report.Network, report.Failed, 10)
	r.now = r.now.Add(time.Hour)
	r.report(1, "b", report.Fetch, report.Running, 20)
	r.report(2, "c", report.Choose, report.Running, 30)
	r.restart()
	r.now = r.now.Add(time.Minute)
	r.report(1, "b", report.Launch, report.Done, 80)
	r.restart()
	got := r.Boots(mac(1))
	if len(got) != 2 || got[0].ID != "b" || got[0].Step != report.Launch || got[0].State != report.Done || got[0].Name != "desk-1" ||
		!got[0].Began.Equal(begin.Add(time.Hour-20*time.Second)) || !got[0].Seen.Equal(begin.Add(time.Hour+time.Minute)) || got[0].Phase1() != 42 ||
		got[1].ID != "a" || got[1].Error != "no carrier" || got[1].FromNodes != 90 {
		t.Errorf("desk-1: %+v", got)
	}
	if all := r.Boots(""); len(all) != 3 {
		t.Errorf("%d boots in all: %+v", len(all), all)
	}
	if r.log.Len() > 0 {
		t.Errorf("log: %s", r.log)
	}
}

// A machine that boots without end has its last boots; a stranger who makes up machines takes no place from the others'.
func TestBounds(t *testing.T) {
	r := newRoom(t)
	for n := range 3 * maxBoots {
		r.now = r.now.Add(time.Second)
		r.report(1, fmt.Sprint(n), report.Choose, report.Running, 1)
	}
	if got := r.Boots(mac(1)); len(got) != maxBoots || got[0].ID != fmt.Sprint(3*maxBoots-1) {
		t.Errorf("%d boots, the last is %s", len(got), got[0].ID)
	}
	r.write()
	r.stock.SetLimit(64 << 10)
	for n := range 1000 {
		r.now = r.now.Add(time.Second)
		rep := report.Node{Seen: r.now, Report: report.Report{MAC: mac(1000 + n), Boot: "x", Step: report.Choose, State: report.Running, Uptime: 1e300, System: strings.Repeat("y", 255)}}
		r.Observe(rep, netip.MustParseAddr("10.9.9.9"))
	}
	if got := r.Boots(mac(1)); len(got) != maxBoots {
		t.Errorf("a stranger left %d boots of %d", len(got), maxBoots)
	}
	if total := r.stock.Total(); total > 64<<10 {
		t.Errorf("all take %d bytes", total)
	}
	before := len(r.Boots(""))
	r.restart()
	if after := len(r.Boots("")); after != before {
		t.Errorf("%d boots before the restart, %d after it", before, after)
	}
}

// A boot that goes on as it was is not written again and again.
func TestSeldomWritten(t *testing.T) {
	r := newRoom(t)
	r.report(1, "a", report.Give, report.Running, 10)
	r.write()
	for range 10 {
		r.now = r.now.Add(20 * time.Second)
		r.report(1, "a", report.Give, report.Running, 10)
		if b := r.find(mac(1), "a"); b.dirty {
			t.Fatal("it is written again though nothing changed")
		}
	}
	r.now = r.now.Add(settled)
	r.report(1, "a", report.Give, report.Running, 10)
	if b := r.find(mac(1), "a"); !b.dirty {
		t.Error("it is not written again at all")
	}
}

// Whatever happened to the file, the seeder starts: the file is moved aside, with a message, and what comes is kept in a new one.
func TestDamagedFile(t *testing.T) {
	whole := func() []byte {
		r := newRoom(t)
		for n := range 300 {
			r.report(n, "a", report.Fetch, report.Running, 10)
		}
		r.end()
		text, err := os.ReadFile(filepath.Join(r.dir, File))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}()
	page := os.Getpagesize()
	for name, change := range map[string]func([]byte) []byte{
		"text":            func([]byte) []byte { return []byte(strings.Repeat("nothing", 10000)) },
		"one byte":        func([]byte) []byte { return []byte("x") },
		"half of it":      func(b []byte) []byte { return b[:len(b)/2] },
		"two pages of it": func(b []byte) []byte { return b[:2*page] },
		"zeros inside":    func(b []byte) []byte { clear(b[2*page:]); return b },
		"no heads":        func(b []byte) []byte { clear(b[:2*page]); return b },
		"noise inside": func(b []byte) []byte {
			for i := 2 * page; i < len(b); i += 61 {
				b[i] ^= 0xa5
			}
			return b
		},
		"not our entries": func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(`{"mac":"`), []byte(`{"cam":"`)) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t)
			r.end()
			if err := os.WriteFile(filepath.Join(r.dir, File), change(slices.Clone(whole)), 0o600); err != nil {
				t.Fatal(err)
			}
			r.open()
			if log := r.log.String(); !strings.Contains(log, "damaged: it is moved aside") || strings.Count(log, "\n") != 1 {
				t.Errorf("log: %s", log)
			}
			if _, err := os.Stat(filepath.Join(r.dir, File+".damaged")); err != nil {
				t.Error(err)
			}
			r.report(1, "new", report.Choose, report.Running, 1)
			r.restart()
			if got := r.Boots(""); len(got) != 1 || got[0].ID != "new" {
				t.Errorf("after it: %+v", got)
			}
		})
	}
}

// Where no file can be had, there is a history of this run.
func TestWithoutAFile(t *testing.T) {
	r := newRoom(t)
	r.end()
	r.dir = filepath.Join(r.dir, "none")
	r.open()
	r.report(1, "a", report.Choose, report.Running, 1)
	r.write()
	if got := r.Boots(mac(1)); len(got) != 1 || !strings.Contains(r.log.String(), "can't be kept") {
		t.Errorf("%+v, log: %s", got, r.log)
	}
	r.end()
}
