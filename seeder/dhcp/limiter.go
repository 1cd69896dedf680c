package dhcp

import (
	"sync"
	"time"
)

// limiter lets a message through once in a while. Its zero value is ready to use.
type limiter struct {
	mu sync.Mutex
	// next is when each message is due again.
	next map[string]time.Time
}

const (
	// limitEvery is the time between two of the same message where the message says no other.
	limitEvery = time.Minute
	// limitKeys bounds the memory that made-up hardware addresses can take.
	limitKeys = 4096
)

// allow reports whether the message named key is due at now; the next time is due after every, or limitEvery if that is zero.
func (l *limiter) allow(key string, now time.Time, every time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Before(l.next[key]) {
		return false
	}
	if l.next == nil || len(l.next) >= limitKeys {
		l.next = map[string]time.Time{}
	}
	if every == 0 {
		every = limitEvery
	}
	l.next[key] = now.Add(every)
	return true
}
