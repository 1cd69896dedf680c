package logonce

import (
	"strconv"
	"testing"
	"time"
)

func TestLimiter(t *testing.T) {
	var l Limiter
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	if !l.Allow("a", start, 0) || l.Allow("a", start.Add(59*time.Second), 0) || !l.Allow("b", start, time.Hour) || !l.Allow("a", start.Add(time.Minute), 0) {
		t.Error("want each message once a minute")
	}
	if l.Allow("b", start.Add(59*time.Minute), time.Hour) || !l.Allow("b", start.Add(time.Hour), time.Hour) {
		t.Error("want that message once an hour")
	}
	for n := range 3 * maxKeys {
		l.Allow(strconv.Itoa(n), start, 0)
	}
	if len(l.next) > maxKeys {
		t.Errorf("it remembers %d messages, want at most %d", len(l.next), maxKeys)
	}
}
