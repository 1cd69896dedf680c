package dhcp

import (
	"sync"
	"time"
)

// limiter lets a message through once a minute. Its zero value is ready to use.
type limiter struct {
	mu   sync.Mutex
	last map[string]time.Time
}

const (
	limitEvery = time.Minute
	// limitKeys bounds the memory that made-up hardware addresses can take.
	limitKeys = 4096
)

// allow reports whether the message named key is due at now.
func (l *limiter) allow(key string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if last, ok := l.last[key]; ok && now.Sub(last) < limitEvery {
		return false
	}
	if l.last == nil || len(l.last) >= limitKeys {
		l.last = map[string]time.Time{}
	}
	l.last[key] = now
	return true
}
