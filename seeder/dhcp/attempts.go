package dhcp

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

const (
	// refusedAfter is how often firmware is told what to load, before it looks as if it refused the file.
	refusedAfter = 2
	// stuckAfter is the number of DHCPDISCOVERs after which a boot client gets nowhere. PXE 2.1 (chapter 2) has four, after 0, 4, 12
	// and 28 s, and then the firmware gives up.
	stuckAfter = 3
	// forgetAfter is after what time without a packet a machine starts afresh.
	forgetAfter = 15 * time.Minute
	// maxAttempts bounds the memory that made-up hardware addresses can take.
	maxAttempts = 4096
)

// attempt is how far a machine's firmware has come since it last succeeded.
type attempt struct {
	arch      iana.Arch
	kind      kind
	discovers int
	// relayed: it asks through a relay; oldIPXE as in client.
	relayed, oldIPXE bool
	// given is how often UEFI firmware has been told what to load, and taken the last time by which request.
	given int
	taken dhcpv4.TransactionID
	// server is whose offer it took; invalid: nobody's.
	server netip.Addr
	last   time.Time
}

// attempts follows machines whose firmware asks for a boot file, up to what was booted. Its zero value is ready to use.
type attempts struct {
	mu    sync.Mutex
	byMAC map[string]*attempt
}

// note takes down a request, and returns the machine's attempt when it has got nowhere: at its third DHCPDISCOVER, and at each
// later one. own is this machine's address.
func (a *attempts) note(req *dhcpv4.DHCPv4, port int, own netip.Addr, now time.Time) *attempt {
	c, mac, t := identify(req), string(req.ClientHWAddr), req.MessageType()
	a.mu.Lock()
	defer a.mu.Unlock()
	takes := port == pxePort || t == dhcpv4.MessageTypeRequest && (c.kind == httpBoot || c.kind == pxe && addrOf(req.ServerIdentifier()) == own)
	if c.kind == ipxe || c.kind == phase1 || c.pi || !supported(c.arch) || port == pxePort && isBIOS(c.arch) {
		delete(a.byMAC, mac) // it has what was offered, or nothing is offered to it
		return nil
	}
	old := a.byMAC[mac]
	if old != nil && now.Sub(old.last) > forgetAfter {
		old = nil
	}
	if t == dhcpv4.MessageTypeRequest && old != nil && port != pxePort {
		old.last, old.server = now, addrOf(req.ServerIdentifier())
	}
	switch {
	case takes && old != nil && !isBIOS(c.arch):
		return old.take(req, port, now)
	case t != dhcpv4.MessageTypeDiscover || c.kind == plain:
		return nil
	case old == nil:
		if a.byMAC == nil || len(a.byMAC) >= maxAttempts {
			a.byMAC = map[string]*attempt{}
		}
		old = &attempt{}
		a.byMAC[mac] = old
	}
	old.arch, old.kind, old.oldIPXE, old.last, old.relayed = c.arch, c.kind, c.oldIPXE, now, addrOf(req.GatewayIPAddr).IsValid()
	if old.discovers++; old.discovers < stuckAfter {
		return nil
	}
	found := *old
	return &found
}

// told is how often the machine's firmware has been told what to load, before it asked by this request, since it last succeeded.
func (a *attempts) told(req *dhcpv4.DHCPv4, now time.Time) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.byMAC[string(req.ClientHWAddr)]
	switch {
	case old == nil || now.Sub(old.last) > forgetAfter:
		return 0
	case old.taken == req.TransactionID:
		return max(0, old.given-1) // it repeats its last request
	}
	return old.given
}

// take notes that UEFI firmware was told what to load. Whatever it starts asks DHCP itself, or is phase 1's kernel: so firmware that
// is told again has probably refused what it was told before.
func (a *attempt) take(req *dhcpv4.DHCPv4, port int, now time.Time) *attempt {
	a.last = now
	if port == pxePort {
		a.discovers = 0 // it takes what a second server offers
	}
	if a.taken == req.TransactionID {
		return nil
	}
	a.taken = req.TransactionID
	if a.given++; a.given < refusedAfter {
		return nil
	}
	found := *a
	return &found
}

// explain says why a machine gets nowhere, and what to do. servers are the other DHCP servers that answer in this network.
func (h *handler) explain(a *attempt, servers []netip.Addr) string {
	c := client{kind: a.kind, arch: a.arch, oldIPXE: a.oldIPXE}
	file := "of its loader"
	if o, err := h.boot.offer(c, h.addr(), true); err == nil {
		file = o.file
	}
	byHand := fmt.Sprintf("have that server name it (next server %s, boot file %s), or set dhcp: mode: server and switch that one off", h.addr(), file)
	firewall := "UDP ports 67, 69 and 4011 of this machine's firewall must be open"
	if a.kind == httpBoot {
		firewall = fmt.Sprintf("TCP port %d of this machine's firewall must be open", h.boot.HTTPPort)
	}
	switch {
	case a.given >= refusedAfter:
		return h.refused(a)
	case a.server == h.addr():
		return "it took the address and the boot file's name from here, and comes again without having started the file: " + firewall
	case a.server.IsValid():
		return fmt.Sprintf("it took its address from %s, but not the boot file that was offered from here: its firmware ignores the offers of a second server; %s. "+
			"Or it could not load the file: %s", a.server, byHand, firewall)
	case h.pool != nil:
		return "it takes no address that is offered to it: a switch between drops the offers (DHCP snooping: trust the seeder's port), or its port is not in use yet " +
			"when it asks (spanning tree: set the port to portfast)"
	case len(servers) == 0 && !a.relayed:
		return "no DHCP server gave this machine an address; connect one, or set mode: server (dhcp: in boottorrent.yaml)"
	case len(servers) == 0:
		return "the DHCP server of its network gave it no address; see that server's log"
	}
	return fmt.Sprintf("it takes no address, though %s answers in this network: its firmware wants address and boot file from one server; %s. Or the switch passes "+
		"nothing on when it asks (spanning tree: set its port to portfast)", addresses(servers), byHand)
}

func addresses(all []netip.Addr) string {
	var text []string
	for _, a := range slices.SortedFunc(slices.Values(all), netip.Addr.Compare) {
		text = append(text, a.String())
	}
	return strings.Join(text, " and ")
}
