package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

// relay is a DHCP relay (RFC 2131 section 4.1, RFC 1542) for all nodes.
type relay struct {
	conn *net.UDPConn

	mu      sync.Mutex
	waiting map[dhcpv4.TransactionID]chan *dhcpv4.DHCPv4
}

func newRelay() (*relay, error) {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(relayAddr, 67)))
	if err != nil {
		return nil, err
	}
	_ = conn.SetReadBuffer(4 << 20)
	r := &relay{conn: conn, waiting: map[dhcpv4.TransactionID]chan *dhcpv4.DHCPv4{}}
	go r.read()
	return r, nil
}

func (r *relay) close() { r.conn.Close() }

func (r *relay) read() {
	buf := make([]byte, 4096)
	for {
		n, err := r.conn.Read(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		p, err := dhcpv4.FromBytes(buf[:max(n, 0)])
		if err != nil {
			continue
		}
		r.mu.Lock()
		answers := r.waiting[p.TransactionID]
		r.mu.Unlock()
		select {
		case answers <- p:
		default:
		}
	}
}

// ask sends a message to the seeder until an answer of the type comes.
func (r *relay) ask(ctx context.Context, p *dhcpv4.DHCPv4, want dhcpv4.MessageType) (*dhcpv4.DHCPv4, error) {
	answers := make(chan *dhcpv4.DHCPv4, 4)
	r.mu.Lock()
	r.waiting[p.TransactionID] = answers
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.waiting, p.TransactionID)
		r.mu.Unlock()
	}()
	for try := range 5 {
		if _, err := r.conn.WriteToUDPAddrPort(p.ToBytes(), netip.AddrPortFrom(seederAddr, 67)); err != nil {
			return nil, err
		}
		wait := time.After(time.Second << min(try, 3))
		for again := false; !again; {
			select {
			case a := <-answers:
				if a.MessageType() == want {
					return a, nil
				}
			case <-wait:
				again = true
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	}
	return nil, fmt.Errorf("DHCP: no %s for %s", want, p.ClientHWAddr)
}

// lease gets an address as a PXE ROM does, and the name of a boot loader.
func (r *relay) lease(ctx context.Context, mac net.HardwareAddr) (addr netip.Addr, file string, err error) {
	pxe := []dhcpv4.Modifier{
		dhcpv4.WithRelay(relayAddr.AsSlice()),
		dhcpv4.WithOption(dhcpv4.OptClassIdentifier("PXEClient:Arch:00000:UNDI:002001")),
		dhcpv4.WithOption(dhcpv4.OptClientArch(iana.INTEL_X86PC)),
		dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.OptionClientMachineIdentifier, append(make([]byte, 11), mac...))),
		dhcpv4.WithRequestedOptions(dhcpv4.OptionBootfileName, dhcpv4.OptionTFTPServerName),
	}
	discover, err := dhcpv4.NewDiscovery(mac, pxe...)
	if err != nil {
		return addr, "", err
	}
	offer, err := r.ask(ctx, discover, dhcpv4.MessageTypeOffer)
	if err != nil {
		return addr, "", err
	}
	request, err := dhcpv4.NewRequestFromOffer(offer, pxe...)
	if err != nil {
		return addr, "", err
	}
	ack, err := r.ask(ctx, request, dhcpv4.MessageTypeAck)
	if err != nil {
		return addr, "", err
	}
	addr, _ = netip.AddrFromSlice(ack.YourIPAddr.To4())
	if file = ack.BootFileNameOption(); file == "" {
		file = ack.BootFileName
	}
	return addr, file, nil
}

// fetchTFTP reads a file as firmware does (RFC 1350, 2347, 2348), and returns its size.
func fetchTFTP(ctx context.Context, own netip.Addr, file string) (size int, err error) {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(own, 0)))
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	const block = 1400
	packet, to := []byte("\x00\x01"+file+"\x00octet\x00blksize\x001400\x00"), netip.AddrPortFrom(seederAddr, 69)
	buf := make([]byte, block+64)
	for next, tries := uint16(1), 0; ; {
		if _, err := conn.WriteToUDPAddrPort(packet, to); err != nil {
			return size, err
		}
		_ = conn.SetReadDeadline(time.Now().Add(time.Second))
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			if tries++; tries > 10 || ctx.Err() != nil {
				return size, fmt.Errorf("TFTP: %s: %w", file, err)
			}
			continue
		}
		switch {
		case n < 4:
		case buf[1] == 6: // OACK
			packet, to = []byte{0, 4, 0, 0}, from
		case buf[1] == 3 && binary.BigEndian.Uint16(buf[2:]) == next:
			packet, to, tries = []byte{0, 4, buf[2], buf[3]}, from, 0
			size += n - 4
			next++
			if n-4 < block {
				_, err := conn.WriteToUDPAddrPort(packet, to)
				return size, err
			}
		case buf[1] == 5:
			return size, fmt.Errorf("TFTP: %s: %q", file, buf[4:n])
		}
	}
}
