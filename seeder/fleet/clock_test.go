package fleet

import (
	"testing"
	"time"
)

// Lines get the time of day from when they came; of several batches the one that came soonest after it was written counts.
func TestTimed(t *testing.T) {
	t.Setenv("TZ", "")
	noon := time.Date(2026, 3, 4, 12, 0, 0, 0, time.Local)
	late := started([]string{"[    0.000000] Linux version 6", "[    9.500000] seen", "... 3 lines are missing here ..."}, noon.Add(10*time.Second))
	if want := noon.Add(500 * time.Millisecond); !late.Equal(want) {
		t.Errorf("started %v, want %v", late, want)
	}
	soon := started([]string{"[   20.000000] next"}, noon.Add(20*time.Second))
	began := earliest(earliest(time.Time{}, late), soon)
	if !began.Equal(noon) || !earliest(began, time.Time{}).Equal(noon) {
		t.Errorf("of %v and %v it takes %v", late, soon, began)
	}
	c := clock{started: began}
	for _, l := range []struct{ line, want string }{
		{"[    1.250000] one", "12:00:01 [    1.250000] one"},
		{"[43199.000000] before midnight", "23:59:59 [43199.000000] before midnight"},
		{"[43201.000000] after it", "2026-03-05 00:00:01 [43201.000000] after it"},
		{"[43202.000000] and on", "00:00:02 [43202.000000] and on"},
		{"no time", "no time"}, {"[x] no time", "[x] no time"},
	} {
		if got := c.timed(l.line); got != l.want {
			t.Errorf("%q becomes %q, want %q", l.line, got, l.want)
		}
	}
	if got := (&clock{}).timed("[    1.250000] one"); got != "[    1.250000] one" {
		t.Errorf("without a start it becomes %q", got)
	}
}
