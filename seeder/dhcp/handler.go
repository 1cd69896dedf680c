package dhcp

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

// UDP ports: RFC 2131, section 4.1, and PXE 2.1, chapter 2.
const (
	serverPort = 67
	clientPort = 68
	pxePort    = 4011
)

// handler decides what is answered on one interface. It has no sockets.
type handler struct {
	iface    Interface
	boot     Boot
	pool     *pool // nil: proxy mode
	attempts attempts
	// others is what a proxy heard of the network's own DHCP server.
	others others
}

// decision is what became of a request: a reply, an address to probe first, or neither, and what to log about it.
type decision struct {
	reply *dhcpv4.DHCPv4
	// probe, if valid, is an address that may only be offered when nobody on the network uses it: the caller finds out
	// and calls handler.probed.
	probe netip.Addr
	// changes must be on the disk before the reply goes out.
	changes []change
	note    note
	// stuck, if not nil, is a machine that gets nowhere: the caller finds out why and says so.
	stuck *attempt
}

// note is a line of the log.
type note struct {
	level slog.Level
	text  string
	attrs []any
	// once, if not empty, names a message that is logged at most once in the time every, or once a minute if that is zero.
	once  string
	every time.Duration
}

// ignore is the decision not to answer.
func ignore(format string, args ...any) decision {
	return decision{note: note{level: slog.LevelDebug, text: "DHCP request ignored", attrs: []any{"why", fmt.Sprintf(format, args...)}}}
}

// refuse is the decision not to answer a boot request that somebody waits for.
func refuse(req *dhcpv4.DHCPv4, c client, err error) decision {
	n := note{level: slog.LevelWarn, text: "boot request not answered", attrs: []any{"why", err.Error()}, once: "boot " + req.ClientHWAddr.String()}
	if c.pi {
		n.every = time.Hour // it asks every few seconds, for ever
	}
	return decision{note: n}
}

// unserved is the decision not to answer a machine that a person may wait for; it is logged once an hour.
func unserved(req *dhcpv4.DHCPv4, err error) decision {
	return decision{note: note{level: slog.LevelWarn, text: "DHCP request not answered", attrs: []any{"why", err.Error()},
		once: "unserved " + req.ClientHWAddr.String() + err.Error(), every: time.Hour}}
}

// handle answers a request that came to the given port. It may correct fields of the request that are wrong in a known way.
func (h *handler) handle(req *dhcpv4.DHCPv4, port int) decision {
	if req.OpCode != dhcpv4.OpcodeBootRequest {
		return ignore("it is no request (op %d)", req.OpCode)
	}
	correctHardwareAddress(req)
	if err := check(req); err != nil {
		if h.pool == nil {
			return ignore("%v", err)
		}
		return unserved(req, err)
	}
	var d decision
	if h.pool != nil && port == serverPort {
		d = h.addressReply(req)
	} else {
		d = h.proxyReply(req, port)
	}
	d.stuck = h.attempts.note(req, port, h.addr(), time.Now())
	return d
}

// etherLen is the number of bytes of an Ethernet address.
const etherLen = 6

// correctHardwareAddress mends a length that is none of an Ethernet address: 0, or that of the whole field of 16 bytes, with an
// address and zeroes in it.
func correctHardwareAddress(req *dhcpv4.DHCPv4) {
	if n := len(req.ClientHWAddr); n != 0 && n <= etherLen || cap(req.ClientHWAddr) < etherLen {
		return
	}
	field := req.ClientHWAddr[:cap(req.ClientHWAddr)]
	if strings.Trim(string(field[etherLen:]), "\x00") == "" {
		req.ClientHWAddr = field[:etherLen]
	}
}

// check reports what keeps a request from being a DHCP client's on Ethernet. Type 6, IEEE 802, is Ethernet to some clients.
func check(req *dhcpv4.DHCPv4) error {
	switch {
	case req.MessageType() == dhcpv4.MessageTypeNone:
		return errors.New("it has no DHCP message type: it asks by BOOTP, which is not served; give that machine a fixed address")
	case req.HWType != iana.HWTypeEthernet && req.HWType != iana.HWTypeIEEE802 || len(req.ClientHWAddr) != etherLen:
		return fmt.Errorf("its hardware address (type %d, %d bytes) is not Ethernet's; only Ethernet is served", req.HWType, len(req.ClientHWAddr))
	case req.ClientHWAddr[0]&1 != 0:
		return fmt.Errorf("its hardware address %s is a group's; correct it in the machine's firmware", req.ClientHWAddr)
	case string(req.ClientHWAddr) == "\x00\x00\x00\x00\x00\x00":
		return errors.New("it has no hardware address: the network card may have lost its own")
	}
	return nil
}

// newReply starts a reply from this interface: the fields and options that go back as they came (RFC 2131, table 3; relay
// agent information: RFC 3046, section 2.2; client identifier: RFC 6842), and who answers.
func (h *handler) newReply(req *dhcpv4.DHCPv4, t dhcpv4.MessageType) *dhcpv4.DHCPv4 {
	reply := &dhcpv4.DHCPv4{
		ClientIPAddr: net.IPv4zero, YourIPAddr: net.IPv4zero, ServerIPAddr: net.IPv4zero,
		GatewayIPAddr: req.GatewayIPAddr,
		Options:       dhcpv4.Options{},
	}
	dhcpv4.WithReply(req)(reply)
	for _, code := range []dhcpv4.OptionCode{dhcpv4.OptionRelayAgentInformation, dhcpv4.OptionClientIdentifier} {
		dhcpv4.WithOptionCopied(req, code)(reply)
	}
	reply.UpdateOption(dhcpv4.OptMessageType(t))
	reply.UpdateOption(dhcpv4.OptServerIdentifier(h.addr().AsSlice()))
	return reply
}

// addr is this machine's address on the interface.
func (h *handler) addr() netip.Addr { return h.iface.Addr.Addr() }

// answered is the note about a boot request that was answered.
func answered(c client, file string, attrs ...any) note {
	n := note{level: slog.LevelInfo, text: "boot request answered", attrs: []any{"client", c.kind.String()}}
	if c.pi {
		n.attrs[1], file = "Raspberry Pi", "the site's folder pi, by TFTP"
	} else if c.kind != phase1 {
		n.attrs = append(n.attrs, "arch", c.archName())
	}
	n.attrs = append(n.attrs, "offered", file)
	n.attrs = append(n.attrs, attrs...)
	return n
}

// addrOf converts an address of a packet; 0.0.0.0 and anything that is no IPv4 address become the zero Addr.
func addrOf(ip net.IP) netip.Addr {
	a, ok := netip.AddrFromSlice(ip.To4())
	if !ok || a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}
