package node

import (
	"fmt"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

const (
	// calmTime is for how long nobody may lack anything before a node leaves by the rule swarm: two announces of everybody, so
	// that one which was lost doesn't send a room's seeds away, and one more which was just on its way.
	calmTime = 12 * time.Second
	// idleTime is for how long nobody may fetch anything from a node before it takes those who still lack something for served
	// by others, or for dead.
	idleTime = 30 * time.Second

	// A boot part is given away before its kernel is started: until nobody lacks anything for partCalm, which is enough for the tracker's
	// answer to "completed", or nobody has fetched any of it for partIdle; and not for longer than the fetch itself took, but at least
	// partLeast and at most partMost. So in a room that starts at once those that are done first stay until the others have what the
	// seeder sent once, and a machine alone doesn't wait.
	partCalm            = 500 * time.Millisecond
	partIdle            = 2 * time.Second
	partLeast, partMost = 3 * time.Second, 10 * time.Second
)

// demand is what the swarm wants of a node at one moment.
type demand struct {
	// Uploaded is what the node has given away of the system so far, Runtime what of its runtime, in bytes.
	Uploaded, Runtime int64
	// Leechers is how many others lack something.
	Leechers int
}

// leaving decides when a node that has everything goes on.
type leaving struct {
	rule catalog.Seeding
	// limit is how long it stays at most; calm and idle are calmTime and idleTime, or a boot part's.
	limit, calm, idle time.Duration

	size  int64 // what there is to fetch of the system, in bytes
	began time.Time
	// wanted is when somebody last lacked something, used when something was last given away.
	wanted, used time.Time
	// uploaded is of the system, given of its runtime too.
	uploaded, given int64
	// why is the reason, once it is over.
	why string
}

func newLeaving(rule catalog.Seeding, size int64, now time.Time) *leaving {
	return &leaving{
		rule: rule, limit: time.Duration(rule.Limit) * time.Second, calm: calmTime, idle: idleTime, size: size, began: now, wanted: now, used: now,
	}
}

// newPartLeaving is for a boot part of size bytes, whose fetch took so long.
func newPartLeaving(took time.Duration, size int64, now time.Time) *leaving {
	return &leaving{
		rule: catalog.Seeding{Until: catalog.UntilSwarm}, limit: min(max(took, partLeast), partMost), calm: partCalm, idle: partIdle,
		size: size, began: now, wanted: now, used: now,
	}
}

// over reports whether to go on, by what the swarm wants now.
func (l *leaving) over(now time.Time, d demand) bool {
	if d.Leechers > 0 {
		l.wanted = now
	}
	if given := d.Uploaded + d.Runtime; given != l.given {
		l.given, l.used = given, now
	}
	l.uploaded = d.Uploaded
	switch {
	case l.left(now) <= 0:
		l.why = "the time is over"
	case l.rule.Until == catalog.UntilRatio && l.ratio() >= l.rule.Ratio:
		l.why = fmt.Sprintf("that is %.2f times its size", l.ratio())
	case l.rule.Until == catalog.UntilSwarm && now.Sub(l.wanted) >= l.calm:
		l.why = "no other node lacks anything"
	case l.rule.Until == catalog.UntilSwarm && now.Sub(l.used) >= l.idle:
		l.why = fmt.Sprintf("%s still lacking something, but fetching nothing here", nodes(d.Leechers))
	}
	return l.why != ""
}

// left is how long the node stays at most.
func (l *leaving) left(now time.Time) time.Duration {
	return l.began.Add(l.limit).Sub(now)
}

// ratio is what was given away, in sizes of the system.
func (l *leaving) ratio() float64 { return float64(l.uploaded) / float64(max(l.size, 1)) }

// until says what is waited for, to follow "All of it is here"; empty if it is the time alone.
func (l *leaving) until(now time.Time, d demand) string {
	switch {
	case l.rule.Until == catalog.UntilRatio:
		return fmt.Sprintf("given away are %.2f of %.2f times that", l.ratio(), l.rule.Ratio)
	case l.rule.Until != catalog.UntilSwarm:
		return ""
	case d.Leechers > 0:
		return nodes(d.Leechers) + " still fetching it"
	}
	return fmt.Sprintf("no other node lacks anything: starting in %d s", int((l.calm-now.Sub(l.wanted)+time.Second-1)/time.Second))
}

// nodes is "1 node is" or "5 nodes are".
func nodes(n int) string {
	if n == 1 {
		return "1 node is"
	}
	return fmt.Sprintf("%d nodes are", n)
}
