package dhcp

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/boottorrent/boottorrent/internal/dhcpwire"
)

// wire is an endpoint without a network: what is put in is read, and what is sent goes to whoever has that hardware address.
type wire struct {
	in     chan []byte
	closed chan struct{}
	once   sync.Once
	mu     sync.Mutex
	out    map[string]chan *dhcpv4.DHCPv4
}

func newWire() *wire {
	return &wire{in: make(chan []byte, 4096), closed: make(chan struct{}), out: map[string]chan *dhcpv4.DHCPv4{}}
}

func (w *wire) number() int { return serverPort }

func (w *wire) read(buf []byte) ([]byte, source, error) {
	select {
	case p := <-w.in:
		return buf[:copy(buf, p)], source{addr: netip.MustParseAddrPort("0.0.0.0:68")}, nil
	case <-w.closed:
		return nil, source{}, net.ErrClosed
	}
}

func (w *wire) send(payload []byte, _ delivery, _ source) error {
	p, err := dhcpwire.Read(payload)
	if err == nil {
		w.to(p.ClientHWAddr) <- p
	}
	return err
}

func (w *wire) close() error { w.once.Do(func() { close(w.closed) }); return nil }

func (w *wire) to(mac net.HardwareAddr) chan *dhcpv4.DHCPv4 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.out[mac.String()] == nil {
		w.out[mac.String()] = make(chan *dhcpv4.DHCPv4, 16)
	}
	return w.out[mac.String()]
}

// ask sends a request and returns the reply.
func (w *wire) ask(req *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	w.in <- req.ToBytes()
	return <-w.to(req.ClientHWAddr)
}

// nobody is a network in which no probed address is in use and no other DHCP server.
type nobody struct{}

func (nobody) run() {}

func (nobody) probe(ctx context.Context, _ netip.Addr, timeout time.Duration) (net.HardwareAddr, error) {
	select {
	case <-time.After(timeout):
		return nil, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (nobody) find(context.Context, time.Duration) ([]netip.Addr, error) { return nil, nil }

func (nobody) close() error { return nil }

// Three hundred machines that ask at once have their addresses within three seconds on a disk that needs 25 ms a flush, and each
// of them is on the disk before its machine hears of it.
func TestRoomGetsAddressesAtOnce(t *testing.T) {
	const room, flush = 300, 25 * time.Millisecond
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{Site: testSite(), Interfaces: []Interface{testIface}, Boot: testBoot, Leases: filepath.Join(dir, "leases.db"), Log: slog.New(slog.DiscardHandler)}
		cfg.Interfaces[0].Addr = netip.MustParsePrefix("10.77.0.1/16")
		cfg.Site.First, cfg.Site.Last, cfg.Site.Reservations = addr("10.77.1.0"), addr("10.77.2.255"), nil
		s, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		// The same database, on a disk that needs its time. The first journal ends with what it had.
		s.journal.close()
		safe, flushes := sync.Map{}, 0
		s.journal = newJournal(func(changes []change) error {
			flushes++
			time.Sleep(flush)
			for _, c := range changes {
				safe.Store(c.lease.MAC.String(), true)
			}
			return nil
		}, s.log)
		w := newWire()
		s.links.all = []*link{{h: s.handlers[0], ports: []endpoint{w}, prober: nobody{}, finder: nobody{}}}
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan struct{})
		go func() { defer close(served); s.Serve(ctx) }()

		start := time.Now()
		var machines sync.WaitGroup
		for n := range room {
			machines.Go(func() {
				mac := net.HardwareAddr{2, 0, 0, 0, byte(n >> 8), byte(n)}
				offer := w.ask(request(dhcpv4.MessageTypeDiscover, from(mac)))
				ack := w.ask(request(dhcpv4.MessageTypeRequest, from(mac), thisServer, opt(dhcpv4.OptRequestedIPAddress(offer.YourIPAddr))))
				if _, ok := safe.Load(mac.String()); !ok || ack.MessageType() != dhcpv4.MessageTypeAck {
					t.Errorf("machine %d got a %s; its lease was on the disk: %v", n, ack.MessageType(), ok)
				}
			})
		}
		machines.Wait()
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("the room had its addresses after %s, with %d flushes", took, flushes)
		}
		cancel()
		<-served
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}
