package swarm

import (
	"testing"
	"time"

	"github.com/anacrolix/torrent"
)

// second is what a connection does in each tick of a second: blocks that come, and whether requests wait.
type second struct {
	got     [4]int
	waiting int
}

// TestSnubbed plays rooms second by second and looks which peers are taken for snubbed and for slow.
func TestSnubbed(t *testing.T) {
	fast, crowd := second{[4]int{30, 30, 30, 30}, 8}, second{[4]int{1, 2, 1, 2}, 6}
	sparse := second{[4]int{0, 0, 1, 0}, 6}
	mute, idle, slow := second{waiting: 3}, second{}, second{[4]int{0, 1, 0, 0}, 6}
	for name, c := range map[string]struct {
		room []second
		// silent is the second by whose end the last one is, 0 for never; slow whether it is after five.
		silent int
		slow   bool
	}{
		"mute among fast ones":              {[]second{fast, fast, fast, mute}, 2, false},
		"mute in a crowd":                   {[]second{crowd, crowd, crowd, mute}, 2, false},
		"mute where all wait long":          {[]second{sparse, sparse, sparse, mute}, 0, false},
		"mute, and nobody else":             {[]second{mute}, 0, false},
		"everybody is silent (machine, us)": {[]second{mute, mute, mute}, 0, false},
		"nothing is asked of it":            {[]second{fast, fast, idle}, 0, false},
		"slow among fast ones":              {[]second{fast, fast, fast, slow}, 0, true},
		"slow among slow ones":              {[]second{slow, sparse, slow}, 0, false},
		"one seeder only":                   {[]second{slow}, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			room := make([]*pace, len(c.room))
			for i := range room {
				room[i] = &pace{waiting: c.room[i].waiting}
			}
			last, silent := room[len(room)-1], 0
			for s := 1; s <= 5 && silent == 0; s++ {
				for tick := range 4 {
					for i := range room {
						room[i].got = c.room[i].got[tick]
					}
					if ordinary := compare(room); last.judge(ordinary, 1) {
						silent = s
					}
				}
			}
			if silent != c.silent || last.slow != c.slow {
				t.Errorf("silent in second %d, slow %v; want %d, %v (%s a request)", silent, last.slow, c.silent, c.slow, last.perRequest())
			}
		})
	}
}

// TestPatienceOfLargeRequests has a peer that is silent taken for snubbed after as many bytes of others', however they are asked for, but
// not before an ordinary one might answer.
func TestPatienceOfLargeRequests(t *testing.T) {
	for _, c := range []struct {
		blocks int
		// block is what an ordinary peer takes for one, patience how long another may be silent.
		block, patience time.Duration
	}{
		{1, 10 * time.Millisecond, leastSilence}, {1, 500 * time.Millisecond, 4 * time.Second}, {2, 500 * time.Millisecond, 4 * time.Second},
		{4, 500 * time.Millisecond, 8 * time.Second},
	} {
		mute, ticks := &pace{}, 0
		for ; !mute.judge(c.block*time.Duration(c.blocks), c.blocks); ticks++ {
			mute.silent++
		}
		if got := time.Duration(ticks) * compareTick; got != c.patience {
			t.Errorf("%d blocks of %s: silent for %s, want %s", c.blocks, c.block, got, c.patience)
		}
	}
}

// TestGraceFollowsTheRoom has a request stay with its peer for three times as long as peers take for one.
func TestGraceFollowsTheRoom(t *testing.T) {
	p := &newEngine(t, "127.0.4.2", Config{}).snubs
	w := &watched{entry: &entry{layout: &layout{pieceLength: 256 << 10}}, pace: pace{waiting: 2}}
	p.mu.Lock()
	p.peers[nil] = w
	p.mu.Unlock()
	for _, answers := range []int{1, 5} {
		for range 100 {
			w.got = answers
			p.check(time.Now())
		}
		p.received(torrent.ReceivedUsefulDataEvent{})
		if want := graceTimes * compareTick / time.Duration(answers); (*p.grace - want).Abs() > want/100 {
			t.Errorf("%d answers a tick: %s, want %s", answers, *p.grace, want)
		}
	}
}

func TestBackoffGrows(t *testing.T) {
	e := newEngine(t, "127.0.4.1", Config{})
	now := time.Now()
	w := &watched{addr: e.addrPort().Addr(), entry: &entry{layout: &layout{pieceLength: 256 << 10}}}
	e.snubs.mu.Lock()
	e.snubs.peers[nil] = w
	e.snubs.mu.Unlock()
	for _, want := range []time.Duration{5, 10, 20, 40, 60, 60} {
		w.silent = 1000
		if got := e.snubs.check(now)[w]; got != want*time.Second {
			t.Errorf("left alone for %s, want %s", got, want*time.Second)
		}
	}
	if !e.snubs.snubbed(w.addr) {
		t.Error("it is not left alone")
	}
}
