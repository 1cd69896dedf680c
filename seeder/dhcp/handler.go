package dhcp

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"

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
	iface Interface
	boot  Boot
	pool  *pool // nil: proxy mode
}

// decision is what became of a request: a reply, an address to probe first, or neither, and what to log about it.
type decision struct {
	reply *dhcpv4.DHCPv4
	// probe, if valid, is an address that may only be offered when nobody on the network uses it: the caller finds out
	// and calls handler.probed.
	probe netip.Addr
	note  note
}

// note is a line of the log.
type note struct {
	level slog.Level
	text  string
	attrs []any
	// once, if not empty, names a message that is logged at most once a minute.
	once string
}

// ignore is the decision not to answer.
func ignore(format string, args ...any) decision {
	return decision{note: note{level: slog.LevelDebug, text: "DHCP request ignored", attrs: []any{"why", fmt.Sprintf(format, args...)}}}
}

// refuse is the decision not to answer a boot request that somebody waits for.
func refuse(req *dhcpv4.DHCPv4, err error) decision {
	return decision{note: note{
		level: slog.LevelWarn, text: "boot request not answered", attrs: []any{"why", err.Error()},
		once: "boot " + req.ClientHWAddr.String(),
	}}
}

// handle answers a request that came to the given port.
func (h *handler) handle(req *dhcpv4.DHCPv4, port int) decision {
	if err := check(req); err != nil {
		return ignore("%v", err)
	}
	if h.pool != nil && port == serverPort {
		return h.addressReply(req)
	}
	return h.proxyReply(req, port)
}

// check reports what keeps a packet from being a DHCP client's request on Ethernet.
func check(req *dhcpv4.DHCPv4) error {
	switch {
	case req.OpCode != dhcpv4.OpcodeBootRequest:
		return fmt.Errorf("it is no request (op %d)", req.OpCode)
	case req.MessageType() == dhcpv4.MessageTypeNone:
		return fmt.Errorf("it has no DHCP message type: BOOTP is not served")
	case req.HWType != iana.HWTypeEthernet || len(req.ClientHWAddr) != 6:
		return fmt.Errorf("its hardware address (type %d, %d bytes) is not Ethernet's", req.HWType, len(req.ClientHWAddr))
	case req.ClientHWAddr[0]&1 != 0:
		return fmt.Errorf("its hardware address %s is a group's", req.ClientHWAddr)
	case string(req.ClientHWAddr) == "\x00\x00\x00\x00\x00\x00":
		return fmt.Errorf("it has no hardware address")
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
	if c.kind != phase1 {
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
