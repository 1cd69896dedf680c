package daemon

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// movingListener is a net.Listener on a port of several addresses, which may change while it listens.
type movingListener struct {
	accepted chan net.Conn
	closed   chan struct{}

	mu   sync.Mutex
	port uint16
	open map[netip.Addr]net.Listener
}

func newMovingListener(port uint16) *movingListener {
	return &movingListener{port: port, accepted: make(chan net.Conn), closed: make(chan struct{}), open: map[netip.Addr]net.Listener{}}
}

// move makes it listen on these addresses and no others. Where that fails for one of them, which comes with the error, those it
// listened on before stay.
func (m *movingListener) move(addrs []netip.Addr) (failed netip.AddrPort, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, addr := range addrs {
		if m.open[addr] != nil {
			continue
		}
		at := netip.AddrPortFrom(addr, m.port)
		l, err := net.Listen("tcp4", at.String())
		if err != nil {
			return at, err
		}
		m.port = uint16(l.Addr().(*net.TCPAddr).Port)
		m.open[addr] = l
		go m.accept(l)
	}
	for addr, l := range m.open {
		if !slices.Contains(addrs, addr) {
			_ = l.Close()
			delete(m.open, addr)
		}
	}
	return netip.AddrPort{}, nil
}

// accept hands on what comes to one address, until that is closed.
func (m *movingListener) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // as when there are too many open files
			select {
			case <-m.closed:
				return
			case <-time.After(100 * time.Millisecond):
				continue
			}
		}
		select {
		case m.accepted <- conn:
		case <-m.closed:
			_ = conn.Close()
			return
		}
	}
}

// Accept implements net.Listener.
func (m *movingListener) Accept() (net.Conn, error) {
	select {
	case conn := <-m.accepted:
		return conn, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (m *movingListener) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case <-m.closed:
		return nil
	default:
	}
	close(m.closed)
	var errs []error
	for _, l := range m.open {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

// Addr implements net.Listener: the port, on no address in particular.
func (m *movingListener) Addr() net.Addr {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &net.TCPAddr{IP: net.IPv4zero, Port: int(m.port)}
}

// addresses are those of interfaces.
func addresses(on []Interface) (addrs []netip.Addr) {
	for _, i := range on {
		addrs = append(addrs, i.Addr.Addr())
	}
	return addrs
}

// addressTime is how often it is looked whether an interface has another address: a cable was out, a lease is over, a card was
// plugged in again.
const addressTime = 2 * time.Second

// followAddresses keeps the sockets of all services on the interfaces that are served, until ctx ends, and publishes the catalog,
// which names their addresses, when those change. An address that the site names itself is always the same one; its interface may
// still come back as another device.
func (d *daemon) followAddresses(ctx context.Context) {
	tick := time.NewTicker(addressTime)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		on := d.interfaces()
		now := moved(on)
		other := !slices.Equal(addresses(now), addresses(on))
		if slices.Equal(now, on) || other && d.Site.Serve.Address.IsValid() {
			continue
		}
		if err := d.move(ctx, now); err != nil {
			d.Log.Warn("an interface has another address, which can't be served yet", "err", err)
			continue
		}
		d.on.Store(&now)
		if !other {
			d.Log.Info("an interface came back, and is served again", "addresses", list(now))
			continue
		}
		d.Log.Warn("an interface has another address, and is served there now; machines that were told the old one may have to start again", "addresses", list(now))
		base, announce := d.urls(now)
		d.feed.move(ctx, move{base, announce})
	}
}

// move moves the sockets of all services.
func (d *daemon) move(ctx context.Context, now []Interface) error {
	_, http := d.sockets.http.move(addresses(now))
	_, torrent := d.sockets.torrent.move(addresses(now))
	errs := []error{http, torrent, d.sockets.tftp.Move(d.tftpAddresses(now))}
	if d.sockets.dhcp != nil {
		errs = append(errs, d.sockets.dhcp.Move(ctx, dhcpInterfaces(now)))
	}
	return errors.Join(errs...)
}

// moved is where interfaces are reached now: at the same address if they still have it, else at their first one, and those that have
// none where they were.
func moved(on []Interface) []Interface {
	all, err := addressed()
	if err != nil {
		return on
	}
	on = slices.Clone(on)
	for n, was := range on {
		i := slices.IndexFunc(all, func(i Interface) bool { return i.Name == was.Name && i.Addr.Addr() == was.Addr.Addr() })
		if i < 0 {
			i = slices.IndexFunc(all, func(i Interface) bool { return i.Name == was.Name })
		}
		if i >= 0 {
			on[n] = all[i]
		}
	}
	return on
}

// interfaces are those that are served, as they are now.
func (d *daemon) interfaces() []Interface { return *d.on.Load() }

// bases are the seeder's base URLs now.
func (d *daemon) bases() []string {
	base, _ := d.urls(d.interfaces())
	return base
}

// urls are the base URLs of the seeder on interfaces, and those of its tracker.
func (d *daemon) urls(on []Interface) (base, announce []string) {
	for _, i := range on {
		url := "http://" + netip.AddrPortFrom(i.Addr.Addr(), d.Site.Ports.HTTP).String()
		base, announce = append(base, url), append(announce, url+catalog.PathAnnounce)
	}
	return base, announce
}

// move are the URLs that the catalogs to come name.
type move struct{ base, announce []string }

// moveTo publishes everything with other URLs.
func (f *follower) moveTo(m move) {
	f.base, f.announce = m.base, m.announce
	f.reload()
}
