package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Dnsmasq runs a real dnsmasq on a host until ctx ends, it is stopped, or the room is closed: in the foreground, blind
// to the machine's own configuration, without DNS, its log in the transcript. Args say what it does. It listens when
// Dnsmasq returns.
func Dnsmasq(ctx context.Context, h *Host, args ...string) (*Process, error) {
	state, err := os.MkdirTemp(h.room.dir, "dnsmasq-")
	if err != nil {
		return nil, err
	}
	args = append([]string{
		"--keep-in-foreground", "--log-facility=-", "--log-dhcp", "--log-async=0",
		"--conf-file=/dev/null", "--user=root", "--pid-file=" + filepath.Join(state, "pid"),
		"--port=0", "--no-resolv", "--no-hosts",
		"--interface=eth0", "--bind-interfaces",
		"--dhcp-leasefile=" + filepath.Join(state, "leases"), "--dhcp-authoritative", "--no-ping",
	}, args...)
	p, err := h.Start(ctx, "dnsmasq", args...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	// The last thing it logs before it serves; for DHCP it says which sockets.
	if _, err := p.Expect(ctx, `dnsmasq(-\S+)?\[\d+\]: started,.*\n`); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

// DnsmasqDHCP is a plain DHCP server, such as a site has before BootTorrent comes to it: addresses, and nothing about
// booting. Addresses is "FIRST,LAST", within the network of the host.
func DnsmasqDHCP(ctx context.Context, h *Host, addresses string) (*Process, error) {
	return Dnsmasq(ctx, h, "--dhcp-range="+addresses+",1h")
}

// DnsmasqDHCPAfter is DnsmasqDHCP beginning to answer after a delay: until then the cable of the whole host is unplugged.
// It returns at once.
func DnsmasqDHCPAfter(ctx context.Context, h *Host, addresses string, delay time.Duration) (*Process, error) {
	p, err := DnsmasqDHCP(ctx, h, addresses)
	if err != nil {
		return nil, err
	}
	if err := h.SetLink(ctx, false); err != nil {
		p.Stop()
		return nil, err
	}
	timer := time.AfterFunc(delay, func() {
		if err := h.SetLink(ctx, true); err != nil && ctx.Err() == nil {
			fmt.Fprintf(p.Transcript, "lab: plug %s in again: %v\n", h.Name, err)
		}
	})
	go func() {
		<-p.Done()
		timer.Stop()
	}()
	return p, nil
}

// DnsmasqRelay hands the requests of machines in the network of a router's other card, eth1, to a DHCP server, as RFC 2131 has it of relay
// agents, with the router's address there.
func DnsmasqRelay(ctx context.Context, router *Host, addr, server string) (*Process, error) {
	return Dnsmasq(ctx, router, "--interface=eth1", "--dhcp-relay="+addr+","+server)
}
