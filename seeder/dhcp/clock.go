package dhcp

import "time"

// clock tells the time in two ways, so that no jump of the machine's clock, forwards or back, ends a lease or keeps one for ever.
type clock struct {
	// steady never jumps; all times in memory are its. It starts at the wall clock's time, for people who read the log.
	steady func() time.Time
	// wall is the machine's clock; times on disk are its, for want of another that survives a restart.
	wall func() time.Time
}

func systemClock() clock {
	start := time.Now()
	return clock{
		// Without Round(0) the sum would still have both readings, which two jumps can't tell apart on disk.
		steady: func() time.Time { return start.Round(0).Add(time.Since(start)) },
		wall:   func() time.Time { return time.Now().Round(0) },
	}
}

// toWall converts a steady time to one for the disk, and fromWall one from the disk; a time further ahead than longest was
// written by a clock that was wrong.
func (c clock) toWall(t time.Time) time.Time { return c.wall().Add(t.Sub(c.steady())) }

func (c clock) fromWall(t time.Time, longest time.Duration) time.Time {
	return c.steady().Add(min(t.Sub(c.wall()), longest))
}
