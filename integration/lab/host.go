package lab

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"time"
)

// Host is a machine that shares the kernel with this one, but has a network and a cable of its own: programs run
// inside see one interface, eth0.
type Host struct {
	Name string

	room      *Room
	ns        namespace
	port      port
	addrs     []netip.Prefix
	gateway   netip.Addr
	cable     Cable
	transport *http.Transport
}

// HostOption changes how a host is made.
type HostOption func(*Host) error

// Addr gives the host's eth0 an address with its prefix length, "10.77.0.1/16". It may be given several times.
func Addr(prefix string) HostOption {
	return func(h *Host) error {
		p, err := netip.ParsePrefix(prefix)
		if err != nil {
			return fmt.Errorf("address %q: want ADDRESS/LENGTH: %w", prefix, err)
		}
		h.addrs = append(h.addrs, p)
		return nil
	}
}

// Gateway gives the host a default route.
func Gateway(addr string) HostOption {
	return func(h *Host) (err error) {
		h.gateway, err = netip.ParseAddr(addr)
		return err
	}
}

// Rate sets the speed of the host's cable in both directions, in bits per second.
func Rate(bitsPerSecond float64) HostOption { return Rates(bitsPerSecond, bitsPerSecond) }

// Rates sets the speed of the host's cable in bits per second, from the switch and to it.
func Rates(down, up float64) HostOption {
	return func(h *Host) error {
		h.cable.Down, h.cable.Up = down, up
		return nil
	}
}

// Wire gives the host's cable all its properties at once.
func Wire(c Cable) HostOption {
	return func(h *Host) error {
		h.cable = c
		return nil
	}
}

// Host plugs a new host into the switch.
func (r *Room) Host(name string, opts ...HostOption) (*Host, error) {
	h := &Host{Name: name, room: r}
	h.transport = &http.Transport{DialContext: h.Dial}
	for _, o := range opts {
		if err := o(h); err != nil {
			return nil, fmt.Errorf("lab %s: host %s: %w", r.name, name, err)
		}
	}
	if err := h.setUp(); err != nil {
		return nil, fmt.Errorf("lab %s: host %s: %w", r.name, name, err)
	}
	r.mu.Lock()
	r.hosts = append(r.hosts, h)
	r.mu.Unlock()
	return h, nil
}

func (h *Host) setUp() (err error) {
	r := h.room
	if h.ns, err = r.namespace(h.Name); err != nil {
		return err
	}
	if h.port, err = r.connect(h.ns, "eth0", h.cable); err != nil {
		return err
	}
	var commands []string
	for _, a := range h.addrs {
		// The kernel's route is made again, to say which congestion control connections over it use.
		commands = append(commands,
			fmt.Sprintf("addr add %s brd + dev eth0 noprefixroute", a),
			fmt.Sprintf("route add %s dev eth0 proto kernel scope link src %s congctl cubic", a.Masked(), a.Addr()))
	}
	if h.gateway.IsValid() {
		commands = append(commands, fmt.Sprintf("route add default via %s dev eth0 congctl cubic", h.gateway))
	}
	commands = append(commands, "route add 224.0.0.0/4 dev eth0")
	return h.ns.ip(r.ctx, commands...)
}

// SetRates changes the speed of the host's cable, in bits per second from the switch and to it; 0 leaves it as it is.
func (h *Host) SetRates(ctx context.Context, down, up float64) error {
	if err := h.port.sw.shape(ctx, h.port.name, down); err != nil {
		return err
	}
	return h.ns.shapeHost(ctx, "eth0", up)
}

// Introduce tells each of the hosts the others' hardware addresses for good. The kernel bounds the neighbours of all namespaces
// together (net.ipv4.neigh.default.gc_thresh3: 1024), of which more than 32 hosts have too many: they can't reach each other
// then. Those that are told for good don't count.
func (r *Room) Introduce(hosts ...*Host) error {
	hardware := make([]net.HardwareAddr, len(hosts))
	for i, h := range hosts {
		err := h.Do(func() error {
			card, err := net.InterfaceByName("eth0")
			if err == nil {
				hardware[i] = card.HardwareAddr
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("lab %s: hardware address of host %s: %w", r.name, h.Name, err)
		}
	}
	for _, h := range hosts {
		var commands []string
		for i, other := range hosts {
			if other != h {
				commands = append(commands, fmt.Sprintf("neigh replace %s lladdr %s dev eth0 nud permanent", other.IP(), hardware[i]))
			}
		}
		if err := h.ns.ip(r.ctx, commands...); err != nil {
			return fmt.Errorf("lab %s: host %s: %w", r.name, h.Name, err)
		}
	}
	return nil
}

// IP is the host's first address; the zero Addr if it has none.
func (h *Host) IP() netip.Addr {
	if len(h.addrs) == 0 {
		return netip.Addr{}
	}
	return h.addrs[0].Addr()
}

// Command prepares a program that will run on the host, like exec.CommandContext; it shares the file system with this
// process. When ctx ends it gets a SIGTERM, and five seconds later a SIGKILL. It dies with this process, unless it changes
// its user as dnsmasq does: then the next New ends it.
func (h *Host) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return h.ns.command(ctx, name, args...)
}

// Start runs a program on the host until ctx ends, it is stopped, or the room is closed.
func (h *Host) Start(ctx context.Context, name string, args ...string) (*Process, error) {
	return h.room.start(ctx, h.Name+"/"+name, func(ctx context.Context) *exec.Cmd { return h.Command(ctx, name, args...) })
}

// Do calls f with its goroutine on the host: a socket that f itself opens (net.Listen, net.ListenPacket, syscalls) is
// one of the host's, also after f has returned. Goroutines started by f are not on the host.
func (h *Host) Do(f func() error) error { return h.ns.do(f) }

// Dial connects from the host. Address must be an IP address with a port: names are not looked up on the host.
func (h *Host) Dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	if _, err := netip.ParseAddrPort(address); err != nil {
		return nil, fmt.Errorf("dial from host %s: %w", h.Name, err)
	}
	err = h.Do(func() error {
		d := net.Dialer{Timeout: 30 * time.Second}
		conn, err = d.DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// Listen listens on a TCP port of the host's address; 0 is any.
func (h *Host) Listen(port uint16) (l net.Listener, err error) {
	err = h.Do(func() (err error) {
		l, err = net.Listen("tcp4", netip.AddrPortFrom(h.IP(), port).String())
		return err
	})
	return l, err
}

// HTTP returns a client on the host. URLs must have IP addresses.
func (h *Host) HTTP() *http.Client { return &http.Client{Transport: h.transport} }

// SetLink plugs the host's cable in or pulls it.
func (h *Host) SetLink(ctx context.Context, up bool) error {
	return h.port.set(ctx, up)
}
