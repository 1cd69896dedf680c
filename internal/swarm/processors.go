package swarm

import (
	"context"
	"runtime"
	"syscall"
	"time"
)

// Where a program runs on several processors, Go wakes another one's thread for nearly each packet that comes, and lets it sleep again.
// Of eight nodes on links of 14 Mbit/s that was a tenth of what they cost. One processor of a PC suffices for some 400 MB/s.

const (
	// enough is the share of one processor's time from which on a program runs on all, little that below which one suffices again, if it
	// is so for calmTicks of them.
	enough, little = 0.8, 0.5
	processorTick  = 250 * time.Millisecond
	calmTicks      = 8
)

// FitProcessors has this program run on one processor while that suffices, and otherwise on all, until ctx ends. It is for nodes' programs.
func FitProcessors(ctx context.Context) {
	if all := runtime.GOMAXPROCS(0); all > 1 {
		runtime.GOMAXPROCS(1)
		go fitting{all: all}.run(ctx, processorTime, func(n int) { runtime.GOMAXPROCS(n) })
	}
}

// fitting is how many processors a program has.
type fitting struct {
	all int
	// spread says that it has all and not one, calm for how many ticks little was used of them.
	spread bool
	calm   int
}

// run has set called with another number of processors whenever used, the time of them so far, calls for it.
func (f fitting) run(ctx context.Context, used func() time.Duration, set func(int)) {
	ticker := time.NewTicker(processorTick)
	defer ticker.Stop()
	last, lastUsed := time.Now(), used()
	for {
		select {
		case <-ctx.Done():
			set(f.all)
			return
		case <-ticker.C:
		}
		now, sum := time.Now(), used()
		if f.look(float64(sum-lastUsed) / float64(now.Sub(last))) {
			set(f.processors())
		}
		last, lastUsed = now, sum
	}
}

func (f *fitting) processors() int {
	if f.spread {
		return f.all
	}
	return 1
}

// look takes up what was used since the last tick, in processors, and reports whether their number changes.
func (f *fitting) look(used float64) bool {
	f.calm++
	if used >= little {
		f.calm = 0
	}
	switch {
	case !f.spread && used >= enough, f.spread && f.calm >= calmTicks:
		f.spread, f.calm = !f.spread, 0
		return true
	}
	return false
}

// processorTime is what this program has used so far.
func processorTime() time.Duration {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
