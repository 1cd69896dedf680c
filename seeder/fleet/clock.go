package fleet

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Nodes have no clock that is right. Their log lines begin with the seconds since their kernel started, as the kernel's own do; when
// that was is found out from when the lines came.

// stamp is the time at the beginning of a line: "[   12.345678] ".
var stamp = regexp.MustCompile(`^\[ *([0-9]{1,9}\.[0-9]{1,9})\] `)

// uptime is the time that a line has, since the node's kernel started.
func uptime(line string) (time.Duration, bool) {
	m := stamp.FindStringSubmatch(line)
	if m == nil {
		return 0, false
	}
	seconds, err := strconv.ParseFloat(m[1], 64)
	return time.Duration(seconds * float64(time.Second)), err == nil
}

// started is when the kernel started at the latest whose lines have come now; zero if none of them has a time.
func started(lines []string, now time.Time) time.Time {
	for i := len(lines) - 1; i >= 0; i-- {
		if at, ok := uptime(lines[i]); ok {
			return now.Add(-at).UTC().Truncate(time.Millisecond)
		}
	}
	return time.Time{}
}

// earliest is the earlier of two times that are known. Lines come some time after they were written, so the earlier is the better
// guess.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// clock gives the lines of one log their time of day.
type clock struct {
	// started is when the kernel whose lines come now began to count; zero: not known.
	started time.Time
	// tookOver says that it is not the first kernel of the boot.
	tookOver bool
	// day is that of the line before.
	day string
}

// timed is a line with the time of day before it, where that is known, and with the date where another day begins.
func (c *clock) timed(line string) string {
	if at, ok := takenOver(line); ok {
		c.started, c.tookOver = at, true
		return "==== " + at.Local().Format(time.DateTime) + ": the boot goes on under another kernel ===="
	}
	at, ok := uptime(line)
	if !ok || c.started.IsZero() {
		return line
	}
	t := c.started.Add(at).Local()
	date := ""
	if today := t.Format(time.DateOnly); c.day != "" && c.day != today {
		date = today + " "
		c.day = today
	} else {
		c.day = today
	}
	return date + t.Format(time.TimeOnly) + " " + line
}

// A node whose system has a kernel of its own goes on under that, as the same boot: the times of its lines begin anew. A line of the
// seeder's stands where they do, with the time at which that kernel began to count.
const (
	takeoverBegin = "==== another kernel since "
	takeoverEnd   = " ===="
	// backwards is by how much the times of lines go back where another kernel runs: processors write them in almost the same order.
	backwards = time.Second
)

func takeoverLine(started time.Time) string {
	return takeoverBegin + started.UTC().Format(time.RFC3339Nano) + takeoverEnd
}

// takenOver is the time in a line of takeoverLine's.
func takenOver(line string) (started time.Time, ok bool) {
	line, begins := strings.CutPrefix(line, takeoverBegin)
	line, ends := strings.CutSuffix(line, takeoverEnd)
	if !begins || !ends {
		return started, false
	}
	started, err := time.Parse(time.RFC3339Nano, line)
	return started, err == nil
}

// lastTakeover is the time in the last such line of a text; zero if there is none.
func lastTakeover(text string) (last time.Time) {
	for line := range strings.Lines(text) {
		if at, ok := takenOver(strings.TrimSuffix(line, "\n")); ok {
			last = at
		}
	}
	return last
}

// span is the time of the first and of the last of some lines that have one, since their kernel started.
func span(lines []string) (first, last time.Duration, ok bool) {
	for _, line := range lines {
		at, timed := uptime(line)
		if timed && !ok {
			first, ok = at, true
		}
		if timed {
			last = at
		}
	}
	return first, last, ok
}
