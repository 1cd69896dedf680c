package sim

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// small is a room that takes some milliseconds.
func small(nodes int) Scenario {
	s := Default()
	s.Nodes, s.Size, s.Seeder, s.Link = nodes, 16<<20, 30e6, 30e6
	return s
}

func run(t *testing.T, s Scenario) Result {
	t.Helper()
	r, err := Run(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestOneNodeTakesTheLink(t *testing.T) {
	if r := run(t, small(1)); r.Ratio < 1 || r.Ratio > 1.05 || r.SeederCopies != 1 {
		t.Errorf("ratio %.3f, %.2f copies, want 1.00 to 1.05 and 1", r.Ratio, r.SeederCopies)
	}
}

func TestNodesShare(t *testing.T) {
	r := run(t, small(8))
	if r.Ratio < 1 || r.Ratio > 1.5 || r.SeederCopies < 1 || r.SeederCopies > 1.5 {
		t.Errorf("ratio %.2f, %.2f copies, want both from 1 to 1.5", r.Ratio, r.SeederCopies)
	}
	if r.TFirst > r.TMedian || r.TMedian > r.TLast {
		t.Errorf("first %.1f, median %.1f, last %.1f s", r.TFirst, r.TMedian, r.TLast)
	}
}

func TestSameSeedSameRun(t *testing.T) {
	s := small(40)
	s.Racks, s.Uplink, s.Conns, s.SeederConns = 4, 30e6, 10, 12 // connections are refused and replaced
	a, b := run(t, s), run(t, s)
	a.WallS, b.WallS = 0, 0
	if a != b {
		t.Errorf("two runs:\n%+v\n%+v", a, b)
	}
	s.Seed++
	if c := run(t, s); c.TLast == a.TLast {
		t.Errorf("another seed, the same end: %.6f s", c.TLast)
	}
}

// TestUplinkIsTheLimit has a rack's uplink bound what the rack can have.
func TestUplinkIsTheLimit(t *testing.T) {
	s := small(20)
	s.Racks, s.Uplink = 2, 3e6
	r := run(t, s)
	if r.Ratio < 1 || r.TLast < float64(s.Size*8)/3e6 {
		t.Errorf("all had it after %.1f s through %d bit/s", r.TLast, s.Uplink)
	}
	s.Near, s.Far = 60, 2
	if known := run(t, s); known.UplinkCopies >= r.UplinkCopies {
		t.Errorf("a tracker that knows the racks: %.1f copies through an uplink, %.1f without", known.UplinkCopies, r.UplinkCopies)
	}
}

func TestTrackerKnowsRacks(t *testing.T) {
	s := small(40)
	s.Racks, s.Near, s.Far = 4, 5, 2
	r := newRoom(&s)
	for _, d := range r.nodes[1:] {
		d.announced = 1
		r.trackers[0].announce(d, 0)
	}
	d := r.nodes[7]
	d.announced = 2
	peers := r.trackers[0].announce(d, 1500*time.Millisecond)
	near := 0
	for _, i := range peers[1:] {
		if r.nodes[i].rack == d.rack {
			near++
		}
	}
	slices.Sort(peers)
	if near != 5 || len(peers) != 8 || len(slices.Compact(peers)) != 8 || peers[0] != 0 || slices.Contains(peers, 7) {
		t.Errorf("told of %v, %d of them near, want the seeder, 5 near and 2 others", peers, near)
	}
	if r.trackers[0].announces != 41 || !slices.Equal(r.trackers[0].perSecond, []int{40, 1}) {
		t.Errorf("%d announces, %v a second", r.trackers[0].announces, r.trackers[0].perSecond)
	}
}

func TestLeast(t *testing.T) {
	s := Scenario{Nodes: 40, Racks: 2, Size: 10e6, PieceLength: 10e6, Seeder: 80e6, Link: 80e6}
	for uplink, want := range map[int64]time.Duration{0: time.Second, 40e6: 2 * time.Second, 400e6: time.Second} {
		s.Uplink = uplink
		if got := s.Least(); got != want {
			t.Errorf("uplinks of %d bit/s: %s, want %s", uplink, got, want)
		}
	}
}

func TestImpossibleScenarios(t *testing.T) {
	for want, change := range map[string]func(*Scenario){
		"racks":       func(s *Scenario) { s.Racks = 9 },
		"blocks":      func(s *Scenario) { s.PieceLength = 2 << 20 },
		"speed":       func(s *Scenario) { s.Link = 0 },
		"connections": func(s *Scenario) { s.Numwant = 0 },
	} {
		s := small(8)
		change(&s)
		if _, err := Run(t.Context(), s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want something about %s", err, want)
		}
	}
}

func TestClock(t *testing.T) {
	var c clock
	for k := range 1000 {
		c.add(event{at: time.Duration(k * 7919 % 1000)})
	}
	for k := range 1000 {
		if e, ok := c.next(); !ok || e.at != time.Duration(k) || c.now != e.at {
			t.Fatalf("event %d is at %d", k, e.at)
		}
	}
	if _, ok := c.next(); ok {
		t.Error("an event too many")
	}
}

func TestCommand(t *testing.T) {
	var out strings.Builder
	dir := t.TempDir()
	if err := Command(t.Context(), []string{"--nodes", "4", "--image", "4", "--runs", "2", "--scenario", "x", "--results", dir}, &out); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(out.String(), "\n"); lines != 3 {
		t.Errorf("%d lines, want a head and two runs:\n%s", lines, out.String())
	}
}

// mirrored is a small site: two networks with a mirror in each.
func mirrored() Scenario {
	s := small(40)
	s.Size, s.Racks, s.Uplink, s.Mirrors, s.Mirror = 8<<20, 2, 30e6, true, 30e6
	return s
}

// An uplink carries the image once, however many nodes are behind it, and the mirror gives before it has all.
func TestMirrorsTakeTheImageOnce(t *testing.T) {
	s := mirrored()
	r := run(t, s)
	if r.UplinkIn < 1 || r.UplinkIn > 1.01 || r.Ratio > 6 {
		t.Errorf("%.2f copies through an uplink, %.1f times the least time, want 1 and at most 6", r.UplinkIn, r.Ratio)
	}
	if r.TFirst < r.TMirror*0.5 || r.TLast > 2*r.TMirror {
		t.Errorf("nodes have it from %.1f to %.1f s, the mirrors after %.1f s", r.TFirst, r.TLast, r.TMirror)
	}
	if r.AnnouncesPeak != 2 || r.MirrorAnnounces != 20 {
		t.Errorf("%d announces a second at the seeder and %d at a mirror, want those of the mirrors and of 20 nodes", r.AnnouncesPeak, r.MirrorAnnounces)
	}
	s.Mirrors, s.Near, s.Far = false, 60, 5
	if without := run(t, s); without.UplinkIn < 2*r.UplinkIn || without.TLast < r.TLast {
		t.Errorf("without mirrors %.1f copies and %.1f s, with them %.1f and %.1f", without.UplinkIn, without.TLast, r.UplinkIn, r.TLast)
	}
}

// Nothing passes the uplinks when the mirrors have the image.
func TestMirrorsThatHaveIt(t *testing.T) {
	s := mirrored()
	s.Kept = true
	if r := run(t, s); r.UplinkIn != 0 || r.SeederCopies != 0 || r.MirrorCopies < 1 || r.TLast > 3*r.TMin {
		t.Errorf("%+v", r)
	}
}

// TestMirrorIsNoRival keeps the rule: nodes and a mirror that divided the pieces among them would wait for each other.
func TestMirrorIsNoRival(t *testing.T) {
	s := mirrored()
	apart := run(t, s)
	s.Rule = AsSeeder
	if any := run(t, s); any.UplinkIn > 1.01 || apart.TLast > 1.5*any.TLast {
		t.Errorf("choosing only what the mirror has takes %.1f s, any piece %.1f s", apart.TLast, any.TLast)
	}
	s.Rule = AsPeer
	if as, err := Run(t.Context(), s); err == nil && as.TLast < 2*apart.TLast {
		t.Errorf("taken for a peer like others: %.1f s, apart %.1f s: then the rule is not needed", as.TLast, apart.TLast)
	}
}

func TestTableOfSites(t *testing.T) {
	dir := t.TempDir()
	s := mirrored()
	s.Nodes, s.Name = 4, "site-x"
	if err := save(dir, s.Name, []Result{run(t, s)}); err != nil {
		t.Fatal(err)
	}
	doc := filepath.Join(dir, "doc.md")
	if err := os.WriteFile(doc, []byte("before\n"+mark+"old\n"+end+"after\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Command(t.Context(), []string{"--docs", doc, "--results", dir}, io.Discard); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(doc)
	if err != nil || !strings.Contains(string(text), "| 4, 2 | 30, 30, 30 | 8 | fetch while they give (offered) |") || !strings.HasSuffix(string(text), end+"after\n") || strings.Contains(string(text), "old") {
		t.Errorf("%v:\n%s", err, text)
	}
}
