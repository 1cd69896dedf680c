package dhcp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/internal/site"
)

const (
	// offerTime is how long an offered address is kept for a client that has not requested it yet: longer than the slowest
	// firmware's four attempts, 60 s together (4, 8, 16 and 32 s: PXE 2.1, chapter 2).
	offerTime = 70 * time.Second
	// givenUpTime is after what time an offered address may go to another client where no other is left: firmware requests
	// within 4 s what it means to take (PXE 2.1, chapter 2: it waits so long for other offers).
	givenUpTime = 10 * time.Second
	// quarantineTime is how long an address is left alone which another machine was found to use.
	quarantineTime = 10 * time.Minute
	// keepTime is how long the disk remembers whose address an expired lease was.
	keepTime = 30 * 24 * time.Hour
	// defaultLease is used when the site names no lease time.
	defaultLease = 12 * time.Hour
)

// errUnknown is wrapped when a client asks for an address but has never got one from here.
var errUnknown = errors.New("this server knows nothing of the client")

// pool knows which address is whose. Machines are known by MAC address alone, not by client identifier (option 61) as
// RFC 2131 prefers: firmware, iPXE, phase 1 and the installed system each send another identifier, and must get the same
// address. Its methods may be called concurrently, and do no I/O: what must be written to the disk they return.
type pool struct {
	cfg     site.DHCP
	network netip.Prefix
	// taken are addresses in the range that are never handed out: this machine's, the router's, name servers'.
	taken map[netip.Addr]bool
	// reserved maps a MAC to its reservation, reservedFor an address to the MAC it is reserved for.
	reserved    map[string]site.Reservation
	reservedFor map[netip.Addr]string
	clock       clock

	mu      sync.Mutex
	clients map[string]*entry     // by MAC
	holder  map[netip.Addr]string // the MAC of the entry with that address
	// declined are addresses in quarantine, until when.
	declined map[netip.Addr]time.Time
}

// entry is an address offered or given to a client. It stays when it has expired, so that the client gets the same one
// when it comes back, until the address is needed for another.
type entry struct {
	Lease
	// bound: the client has requested it; else it is only offered.
	bound bool
	// probed: nobody used the address when it was offered.
	probed bool
	// offered is when it was last offered.
	offered time.Time
}

// newPool returns a pool for the site's range in network. own are this machine's addresses.
func newPool(cfg site.DHCP, network netip.Prefix, own []netip.Addr, clock clock) (*pool, error) {
	if cfg.Lease <= 0 {
		cfg.Lease = defaultLease
	}
	p := &pool{
		cfg: cfg, network: network, clock: clock,
		taken: map[netip.Addr]bool{}, reserved: map[string]site.Reservation{}, reservedFor: map[netip.Addr]string{},
		clients: map[string]*entry{}, holder: map[netip.Addr]string{}, declined: map[netip.Addr]time.Time{},
	}
	for _, a := range slices.Concat(own, cfg.DNS, []netip.Addr{cfg.Router, network.Masked().Addr(), lastOf(network)}) {
		p.taken[a] = true
	}
	for _, r := range cfg.Reservations {
		if !network.Contains(r.Address) {
			continue // another range's
		}
		if p.taken[r.Address] {
			return nil, fmt.Errorf("dhcp: the address %s reserved for %s is in use by this machine, the router or a name server; "+
				"reserve another", r.Address, r.MAC)
		}
		p.reserved[string(r.MAC)] = r
		p.reservedFor[r.Address] = string(r.MAC)
	}
	return p, nil
}

// restore takes over what the disk knows. Leases that the configuration no longer allows are left out, and so are those of
// addresses in quarantine: the machine that declined one must not get it again.
func (p *pool) restore(known records) {
	for addr, until := range known.declined {
		if until = p.clock.fromWall(until, quarantineTime); p.clock.steady().Before(until) {
			p.declined[addr] = until
		}
	}
	// The latest first: if an address changed hands, its last holder counts.
	leases := slices.SortedFunc(slices.Values(known.leases), func(a, b Lease) int { return b.Expires.Compare(a.Expires) })
	if len(leases) == 0 {
		return
	}
	oldest := earlier(p.clock.wall(), leases[0].Expires).Add(-keepTime)
	for _, l := range leases {
		_, held := p.holder[l.Addr]
		_, declined := p.declined[l.Addr]
		if held || declined || !l.Expires.After(oldest) || !p.allowed(l.MAC, l.Addr) {
			continue
		}
		l.Expires = p.clock.fromWall(l.Expires, p.cfg.Lease)
		p.set(&entry{Lease: l, bound: true, probed: true})
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// forgotten are the changes that remove from the disk what no pool took over.
func forgotten(known records, pools []*pool) []change {
	var changes []change
	for _, l := range known.leases {
		if !slices.ContainsFunc(pools, func(p *pool) bool { return p.clients[string(l.MAC)] != nil }) {
			changes = append(changes, change{forget: l.MAC})
		}
	}
	for addr := range known.declined {
		if !slices.ContainsFunc(pools, func(p *pool) bool { return !p.declined[addr].IsZero() }) {
			changes = append(changes, change{declined: addr})
		}
	}
	return changes
}

// choose picks an address to offer to a client and keeps it for offerTime: its reservation, the one it has or had, the
// one it wants, one that nobody ever had, the one that expired first; in this order. fresh says that it must be probed.
func (p *pool) choose(mac net.HardwareAddr, wanted netip.Addr) (addr netip.Addr, fresh bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock.steady()
	old := p.clients[string(mac)]
	candidates := []netip.Addr{p.reserved[string(mac)].Address}
	if old != nil {
		candidates = append(candidates, old.Addr)
	}
	candidates = append(candidates, wanted)
	i := slices.IndexFunc(candidates, func(a netip.Addr) bool { return p.allowed(mac, a) && p.free(mac, a, now) })
	if i >= 0 {
		addr = candidates[i]
	} else if addr = p.unused(mac, now); !addr.IsValid() {
		return netip.Addr{}, false, fmt.Errorf("all %d addresses from %s to %s are in use; enlarge the range or shorten the "+
			"lease time in boottorrent.yaml", p.size(), p.cfg.First, p.cfg.Last)
	}
	if old != nil && old.Addr == addr && now.Before(old.Expires) {
		if !old.bound {
			old.Expires = now.Add(offerTime)
		}
		old.offered = now
		return addr, !old.probed, nil
	}
	p.set(&entry{offered: now, Lease: Lease{MAC: slices.Clone(mac), Addr: addr, Hostname: p.reserved[string(mac)].Hostname, Expires: now.Add(offerTime)}})
	return addr, true, nil
}

// unused finds an address nobody ever had, else the one that expired first, else the one offered longest ago to a client that
// did not take it. The search starts at a place that depends
// on the MAC, so that a machine mostly gets the same address even if the database is lost.
func (p *pool) unused(mac net.HardwareAddr, now time.Time) netip.Addr {
	h := fnv.New32a()
	_, _ = h.Write(mac) // never fails
	first, size := toUint(p.cfg.First), p.size()
	start := uint64(h.Sum32()) % size
	for i := range size {
		a := fromUint(first + uint32((start+i)%size))
		if _, held := p.holder[a]; !held && p.allowed(mac, a) && p.free(mac, a, now) {
			return a
		}
	}
	var oldest *entry
	for _, e := range p.clients {
		givenUp := !e.bound && now.Sub(e.offered) >= givenUpTime && !now.Before(p.declined[e.Addr])
		if p.allowed(mac, e.Addr) && (givenUp || p.free(mac, e.Addr, now)) && (oldest == nil || e.Expires.Before(oldest.Expires)) {
			oldest = e
		}
	}
	if oldest == nil {
		return netip.Addr{}
	}
	return oldest.Addr
}

// allowed reports whether the configuration lets that client have the address.
func (p *pool) allowed(mac net.HardwareAddr, a netip.Addr) bool {
	if owner, ok := p.reservedFor[a]; ok {
		return owner == string(mac)
	}
	return a.IsValid() && !a.Less(p.cfg.First) && !p.cfg.Last.Less(a) && !p.taken[a]
}

// free reports whether the address is neither in quarantine nor somebody else's.
func (p *pool) free(mac net.HardwareAddr, a netip.Addr, now time.Time) bool {
	if now.Before(p.declined[a]) {
		return false
	}
	holder, held := p.holder[a]
	return !held || holder == string(mac) || !now.Before(p.clients[holder].Expires)
}

// set makes e the entry of its client and the holder of its address.
func (p *pool) set(e *entry) {
	key := string(e.MAC)
	if old := p.clients[key]; old != nil {
		delete(p.holder, old.Addr)
	}
	if other, held := p.holder[e.Addr]; held {
		delete(p.clients, other)
	}
	p.clients[key], p.holder[e.Addr] = e, key
}

// probed notes that nobody uses the address offered to a client.
func (p *pool) probed(mac net.HardwareAddr, addr netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.clients[string(mac)]; e != nil && e.Addr == addr {
		e.probed = true
		// Offered from now on; the probe may have taken its time.
		e.offered = p.clock.steady()
		e.Expires = e.offered.Add(offerTime)
	}
}

// bind gives or extends a lease of addr, and returns the change to write before the client is told. An error says that the
// client may not have addr; it wraps errUnknown if nothing is known of it.
func (p *pool) bind(mac net.HardwareAddr, addr netip.Addr) (Lease, change, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e, now := p.clients[string(mac)], p.clock.steady()
	switch {
	case e == nil:
		return Lease{}, change{}, fmt.Errorf("%s asks for %s, but %w", mac, addr, errUnknown)
	case e.Addr != addr:
		return Lease{}, change{}, fmt.Errorf("%s asks for %s, but has %s", mac, addr, e.Addr)
	case now.Before(p.declined[addr]):
		return Lease{}, change{}, fmt.Errorf("%s asks for %s, which another machine uses", mac, addr)
	}
	e.bound, e.probed, e.Expires = true, true, now.Add(p.cfg.Lease)
	return e.Lease, p.written(e), nil
}

// written is the change that writes a lease to the disk.
func (p *pool) written(e *entry) change {
	l := e.Lease
	l.Expires = p.clock.toWall(l.Expires)
	return change{lease: l}
}

// take keeps an address for this machine.
func (p *pool) take(addr netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken[addr] = true
}

// abandon frees the address offered to a client that took another server's offer.
func (p *pool) abandon(mac net.HardwareAddr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.clients[string(mac)]; e != nil && !e.bound {
		delete(p.clients, string(mac))
		delete(p.holder, e.Addr)
	}
}

// holds reports whether addr was offered or given to the client.
func (p *pool) holds(mac net.HardwareAddr, addr netip.Addr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.clients[string(mac)]
	return e != nil && e.Addr == addr
}

// release ends a client's lease now. Its address must be probed before it is offered again.
func (p *pool) release(mac net.HardwareAddr) []change {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.clients[string(mac)]
	if e == nil {
		return nil
	}
	e.Expires, e.probed = p.clock.steady(), false
	return []change{p.written(e)}
}

// quarantine takes an address out of use for quarantineTime, whoever has it.
func (p *pool) quarantine(addr netip.Addr) []change {
	p.mu.Lock()
	defer p.mu.Unlock()
	var changes []change
	if mac, held := p.holder[addr]; held {
		delete(p.clients, mac)
		delete(p.holder, addr)
		changes = append(changes, change{forget: net.HardwareAddr(mac)})
	}
	now := p.clock.steady()
	for a, until := range p.declined {
		if !now.Before(until) {
			delete(p.declined, a)
			changes = append(changes, change{declined: a})
		}
	}
	until := now.Add(quarantineTime)
	p.declined[addr] = until
	return append(changes, change{declined: addr, until: p.clock.toWall(until)})
}

// hostname is the name reserved for a client, or empty.
func (p *pool) hostname(mac net.HardwareAddr) string { return p.reserved[string(mac)].Hostname }

// size is the number of addresses in the range.
func (p *pool) size() uint64 { return uint64(toUint(p.cfg.Last)) - uint64(toUint(p.cfg.First)) + 1 }

// lastOf is the last address of a network: its broadcast address.
func lastOf(network netip.Prefix) netip.Addr {
	return fromUint(toUint(network.Addr()) | uint32(uint64(1)<<(32-network.Bits())-1))
}

func toUint(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

func fromUint(n uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	return netip.AddrFrom4(b)
}
