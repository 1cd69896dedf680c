// Package admit decides whom the seeder's HTTP port serves when more is asked of it than it has: in go connections and requests,
// out come those that are served, and for the others 503 with Retry-After (RFC 9110 sections 15.6.4 and 10.2.3) and a line in the log.
//
// One rule holds for connections and for the slots of each kind of request, that of package quota: an address may have all of what
// nobody else wants, so a room behind one NAT address or relay boots. When there is no more, whoever has more than a quarter gives
// way to other addresses. Requests that have had their turn give way to any other. Rates are per address and kind.
package admit

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/boottorrent/boottorrent/internal/quota"
)

// RetryAfter is what a client that has to wait is told, in seconds.
const RetryAfter = 5

// maxRates is how many addresses' rates are remembered; those that asked least recently are forgotten.
const maxRates = 16384

// Kind is a kind of request with its bounds.
type Kind struct {
	// Name is for the log, Short one word for it, for counters.
	Name, Short string
	// Slots is how many requests are served at a time; 0: as many as there are connections.
	Slots int
	// Turn is how long a request may keep its slot once others want it; 0: until it is served, as long as its address has no more
	// than its share.
	Turn time.Duration
	// PerSecond and Burst bound the requests of one address; 0: nothing does.
	PerSecond float64
	Burst     int
	// BodyTime is how long the request's body may take; 0: it needs none, and one that comes all the same has unwantedTime.
	BodyTime time.Duration
}

// Config is what a policy needs.
type Config struct {
	Log *slog.Logger     // nil: nothing is logged
	Now func() time.Time // nil: time.Now
	// Connections is how many there may be; 0: see MaxConnections.
	Connections int
}

// Policy is the rule for one port. Its methods may be called from any goroutine.
type Policy struct {
	log *slog.Logger
	now func() time.Time

	mu       sync.Mutex
	conns    *quota.Stock[*conn]
	rates    *quota.Stock[map[string]*rate.Limiter]
	refusals map[string]*refusal
	// turning is a bound on the connections that are told to come again at this moment.
	turning chan struct{}
}

// New returns a policy under which nobody is served yet.
func New(cfg Config) *Policy {
	p := &Policy{
		log: cfg.Log, now: cfg.Now, refusals: map[string]*refusal{}, turning: make(chan struct{}, 64),
		rates: quota.New[map[string]*rate.Limiter](maxRates),
	}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	if p.now == nil {
		p.now = time.Now
	}
	if cfg.Connections == 0 {
		cfg.Connections = MaxConnections()
	}
	p.conns = quota.New[*conn](int64(cfg.Connections))
	return p
}

// ComeAgain answers that the seeder can't do it now.
func ComeAgain(w http.ResponseWriter, text string) {
	w.Header().Set("Retry-After", strconv.Itoa(RetryAfter))
	http.Error(w, text, http.StatusServiceUnavailable)
}

// unwantedTime is how long the body of a request may take that needs none.
const unwantedTime = 5 * time.Second

// request is one that has a slot.
type request struct {
	began time.Time
	cut   func() // ends it
}

// Handler serves a kind of requests by next, within its bounds. Handlers of the same kind that are to share slots have to be one.
func (p *Policy) Handler(kind Kind, next http.Handler) http.Handler {
	var slots *quota.Stock[request]
	if kind.Slots > 0 {
		slots = quota.New[request](int64(kind.Slots))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		addr := clientAddr(r)
		if !p.withinRate(kind, addr) {
			p.refuse(kind.Name, "too many requests a second of one address", r.RemoteAddr)
			ComeAgain(w, "this address asks too often; come again in a few seconds")
			return
		}
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		c, _ := ctx.Value(connKey{}).(*conn)
		if c != nil {
			defer c.serve()()
		}
		if slots != nil {
			item := p.takeSlot(kind, slots, addr, request{p.now(), func() { c.cut(); cancel() }})
			if item == nil {
				p.refuse(kind.Name, "all slots are taken", r.RemoteAddr)
				ComeAgain(w, "too many ask for this at this time; come again in a few seconds")
				return
			}
			defer p.freeSlot(slots, item)
		}
		if r.ContentLength != 0 {
			// Writers without deadlines are those of tests. net/http reads what a handler leaves of a body, and would wait for it.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(cmp.Or(kind.BodyTime, unwantedTime)))
		}
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// takeSlot finds a slot for a request, perhaps that of another one, which is cut; nil if there is none.
func (p *Policy) takeSlot(kind Kind, slots *quota.Stock[request], addr netip.Addr, r request) *quota.Item[request] {
	p.mu.Lock()
	defer p.mu.Unlock()
	item := slots.Add(addr, 1, r)
	victim := slots.Excess()
	if victim == nil {
		return item
	}
	over := kind.Turn > 0 && r.began.Sub(victim.Value.began) >= kind.Turn
	if victim == item || !over && !(slots.Greedy() && victim.Owner() != addr) {
		slots.Remove(item)
		return nil
	}
	slots.Remove(victim)
	victim.Value.cut()
	return item
}

func (p *Policy) freeSlot(slots *quota.Stock[request], item *quota.Item[request]) {
	p.mu.Lock()
	defer p.mu.Unlock()
	slots.Remove(item)
}

// withinRate counts a request of an address.
func (p *Policy) withinRate(kind Kind, addr netip.Addr) bool {
	if kind.PerSecond <= 0 {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	item := p.rates.Oldest(addr)
	if item == nil {
		item = p.rates.Add(addr, 1, map[string]*rate.Limiter{})
		if old := p.rates.Excess(); old != nil {
			p.rates.Remove(old)
		}
	}
	p.rates.Touch(item)
	limiter := item.Value[kind.Name]
	if limiter == nil {
		limiter = rate.NewLimiter(rate.Limit(kind.PerSecond), max(kind.Burst, 1))
		item.Value[kind.Name] = limiter
	}
	return limiter.AllowN(p.now(), 1)
}

// refusal is what was logged of one reason to turn somebody away.
type refusal struct {
	logged time.Time
	since  int // turned away since then
}

// refusalTime is how long the same reason is not logged again: an attacker must not fill the log.
const refusalTime = time.Minute

// refuse notes that somebody is turned away.
func (p *Policy) refuse(kind, why, client string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.refusals[kind+why]
	if r == nil {
		r = &refusal{}
		p.refusals[kind+why] = r
	}
	now := p.now()
	if age := now.Sub(r.logged); age >= 0 && age < refusalTime {
		r.since++
		return
	}
	p.log.Warn("HTTP: turned away for now; the same reason is logged once a minute", "kind", kind, "why", why, "client", client,
		"more_since_last_line", r.since)
	*r = refusal{logged: now}
}

// clientAddr is the address a request came from; the zero Addr if the server doesn't tell.
func clientAddr(r *http.Request) netip.Addr { return addrOf(r.RemoteAddr) }

func addrOf(text string) netip.Addr {
	at, err := netip.ParseAddrPort(text)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap().WithZone("")
}

// connKey is a request's connection, in its context.
type connKey struct{}

// ConnContext is for http.Server.ConnContext: it lets Handler find the connection of a request.
func (p *Policy) ConnContext(ctx context.Context, c net.Conn) context.Context {
	if c, ok := c.(*conn); ok {
		return context.WithValue(ctx, connKey{}, c)
	}
	return ctx
}
