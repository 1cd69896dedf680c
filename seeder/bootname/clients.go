package bootname

import (
	"net/netip"
	"sync"
	"time"
)

const (
	// maxClients bounds the memory; a room that is larger than this and starts at once forgets whom it served first.
	maxClients = 4096
	// remembered is for how long it counts what a client has loaded: a boot loader asks for the next one within seconds, or
	// when a person has answered it.
	remembered = 10 * time.Minute
)

// Clients remembers which boot loader each address has loaded last. The zero value is ready; its methods may be called
// concurrently.
type Clients struct {
	mu  sync.Mutex
	all map[netip.Addr]loaded
}

type loaded struct {
	name string
	at   time.Time
}

// Loaded notes that a client has been sent the boot loader that is served by this name.
func (c *Clients) Loaded(client netip.Addr, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if _, ok := c.all[client]; !ok && len(c.all) >= maxClients {
		c.forget(now)
	}
	if c.all == nil {
		c.all = map[netip.Addr]loaded{}
	}
	c.all[client] = loaded{name, now}
}

// forget removes those that no longer count, or else the oldest.
func (c *Clients) forget(now time.Time) {
	var oldest netip.Addr
	for client, l := range c.all {
		if now.Sub(l.at) > remembered {
			delete(c.all, client)
		} else if o, ok := c.all[oldest]; !ok || l.at.Before(o.at) {
			oldest = client
		}
	}
	if len(c.all) >= maxClients {
		delete(c.all, oldest)
	}
}

// Last returns the boot loader that a client has loaded last; "" if it has not loaded any of late.
func (c *Clients) Last(client netip.Addr) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l, ok := c.all[client]; ok && time.Since(l.at) <= remembered {
		return l.name
	}
	return ""
}
