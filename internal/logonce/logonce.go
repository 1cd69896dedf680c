// Package logonce keeps a log readable where the network decides how often something happens: a message goes through once in a
// while, whatever happens in between.
package logonce

import (
	"sync"
	"time"
)

const (
	// Usual is the time between two of the same message where nothing else is said.
	Usual = time.Minute
	// maxKeys bounds the memory that made-up addresses and names can take.
	maxKeys = 4096
)

// Limiter lets a message through once in a while. Its zero value is ready to use, also by several goroutines.
type Limiter struct {
	mu sync.Mutex
	// next is when each message is due again.
	next map[string]time.Time
}

// Allow reports whether the message named key is due at now; it is due again after every, or [Usual] if that is zero.
func (l *Limiter) Allow(key string, now time.Time, every time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Before(l.next[key]) {
		return false
	}
	if l.next == nil || len(l.next) >= maxKeys {
		l.next = map[string]time.Time{}
	}
	if every == 0 {
		every = Usual
	}
	l.next[key] = now.Add(every)
	return true
}
