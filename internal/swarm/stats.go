package swarm

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/seederurl"
)

// Stats is how a torrent stands.
type Stats struct {
	// Transfer counts what Config.Seeders sent apart from what others did.
	report.Transfer
	// Verifying says that all pieces are here and the files' SHA-256 sums are being computed.
	Verifying bool
	// Trouble is the last thing that went wrong and has not gone right since, in words; empty if nothing.
	Trouble string
	// Unreachable says that Trouble is that nobody answers at the seeder's addresses.
	Unreachable bool
}

// counters are a torrent's totals in bytes.
type counters struct {
	seeder, nodes, http atomic.Int64
	// sources are what came from which node, bySeeder what came from which seeder; connections.mu guards them.
	sources, bySeeder sources
	// lastPeer is when a peer last sent something, in nanoseconds since 1970.
	lastPeer atomic.Int64
}

// peersSilent is for how long nothing has come by BitTorrent.
func (c *counters) peersSilent(now time.Time) time.Duration {
	return now.Sub(time.Unix(0, c.lastPeer.Load()))
}

// received is the sum of all that came in.
func (c *counters) received() int64 { return c.seeder.Load() + c.nodes.Load() + c.http.Load() }

// defaultTick is how often speeds are sampled and progress is reported.
const defaultTick = 500 * time.Millisecond

// meter computes speeds from the totals it is shown at every tick.
type meter struct {
	samples [7]sample // a ring: six ticks are three seconds
	n       int       // samples seen so far
}

type sample struct {
	at       time.Time
	down, up int64
}

func (m *meter) add(s sample) {
	m.samples[m.n%len(m.samples)] = s
	m.n++
}

// rates returns bytes per second between the oldest and the newest sample.
func (m *meter) rates() (down, up int64) {
	if m.n < 2 {
		return 0, 0
	}
	last := m.samples[(m.n-1)%len(m.samples)]
	first := m.samples[max(0, m.n-len(m.samples))%len(m.samples)]
	seconds := last.at.Sub(first.at).Seconds()
	if seconds <= 0 {
		return 0, 0
	}
	return int64(float64(last.down-first.down) / seconds), int64(float64(last.up-first.up) / seconds)
}

// troubles remembers the last failure of each thing that can fail on and off.
type troubles struct {
	mu   sync.Mutex
	last map[string]error
}

// set notes what is wrong with the thing of that name; nil: nothing any more.
func (t *troubles) set(name string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		delete(t.last, name)
		return
	}
	if t.last == nil {
		t.last = map[string]error{}
	}
	t.last[name] = err
}

// unreachable is whether everything that fails does so because nobody answers.
func (t *troubles) unreachable() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, err := range t.last {
		if _, ok := seederurl.Unreachable(err); !ok {
			return false
		}
	}
	return len(t.last) > 0
}

// String lists the failures.
func (t *troubles) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []string
	for name, err := range t.last {
		all = append(all, name+": "+err.Error())
	}
	slices.Sort(all)
	return strings.Join(all, "; ")
}
