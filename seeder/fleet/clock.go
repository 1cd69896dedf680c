package fleet

import (
	"regexp"
	"strconv"
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

// timed is a line with the time of day before it, where that is known, and with the date where another day begins. day is that of the
// line before.
func timed(line string, started time.Time, day *string) string {
	at, ok := uptime(line)
	if !ok || started.IsZero() {
		return line
	}
	t := started.Add(at).Local()
	date := ""
	if today := t.Format(time.DateOnly); *day != "" && *day != today {
		date = today + " "
		*day = today
	} else {
		*day = today
	}
	return date + t.Format(time.TimeOnly) + " " + line
}
