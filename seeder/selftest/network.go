package selftest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/dhcp"
	"github.com/boottorrent/boottorrent/seeder/loaders"
	"github.com/boottorrent/boottorrent/seeder/port"
	"github.com/boottorrent/boottorrent/seeder/tftp"
)

// network tells of interfaces that are named and not there, and of those that are there and were not named.
func (in Input) network() []Finding {
	l := &list{about: "network"}
	key := in.Site.Where("serve.interfaces")
	if in.NoInterface != nil {
		what, do, _ := strings.Cut(in.NoInterface.Error(), "; ")
		if do == "" {
			do = "correct " + key
		}
		l.problem(what, do)
	}
	if in.Site.Serve.Address.IsValid() || len(in.Site.Serve.Interfaces) > 0 || len(in.Interfaces) == 0 {
		return l.found
	}
	var others []string
	for _, i := range in.All {
		if i.Index != in.Interfaces[0].Index && !i.Addr.Addr().IsLoopback() && !isVirtual(i.Name) {
			others = append(others, fmt.Sprintf("%s (%s)", i.Name, i.Addr))
		}
	}
	if len(others) > 0 {
		l.warning(fmt.Sprintf("only %s (%s) is served, which has the default route; this machine also has %s",
			in.Interfaces[0].Name, in.Interfaces[0].Addr, strings.Join(others, ", ")),
			"name the interface that the nodes are on: "+key)
	}
	return l.found
}

// isVirtual reports whether an interface is, by its name, one of containers, virtual machines or tunnels, where no machine boots that
// nobody thought of.
func isVirtual(name string) bool {
	for _, prefix := range []string{"docker", "br-", "veth", "virbr", "vnet", "lxc", "lxd", "cni", "flannel", "cali", "podman", "tun", "tap", "wg", "tailscale", "zt"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// dhcp compares the configuration of DHCP with the interfaces.
func (in Input) dhcp() []Finding {
	l := &list{about: "dhcp"}
	if len(in.Interfaces) == 0 {
		return nil
	}
	for _, f := range dhcp.Check(in.Site.DHCP, in.Interfaces) {
		if f.Fatal {
			l.problem(f.Text, f.Do)
		} else {
			l.warning(f.Text, f.Do)
		}
	}
	return l.found
}

// dhcpServers asks who else hands out addresses: a proxy needs such a server, and a server must be the only one.
func (in Input) dhcpServers(ctx context.Context) []Finding {
	if in.Site.DHCP.Mode == site.DHCPOff || in.Wait == 0 {
		return nil
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	l := &list{about: "dhcp"}
	for _, i := range in.Interfaces {
		if i.Addr.Addr().IsLoopback() {
			continue
		}
		wg.Go(func() {
			servers, err := dhcp.Neighbours(ctx, i, in.Wait)
			mu.Lock()
			defer mu.Unlock()
			in.judge(l, i, addressesOf(servers), err)
			in.grubsServer(l, i, servers)
		})
	}
	wg.Wait()
	return l.found
}

func addressesOf(servers []dhcp.Neighbour) (addrs []netip.Addr) {
	for _, s := range servers {
		addrs = append(addrs, s.Addr)
	}
	return addrs
}

// grubsServer tells whether Debian's signed GRUB will find this machine. As a proxy the seeder can't tell it: GRUB asks the next server
// that the network's DHCP server names, and nobody else. Where that is another, UEFI machines get iPXE.
func (in Input) grubsServer(l *list, i dhcp.Interface, servers []dhcp.Neighbour) {
	uefi := in.Site.UEFI
	arches := in.arches()
	started := slices.IndexFunc(arches, func(a arch.Arch) bool {
		_, signed := in.Loaders.SignedIPXE(a)
		return !signed && in.Loaders.HasShim(a)
	})
	if in.Site.DHCP.Mode != site.DHCPProxy || uefi != site.UEFIAuto && uefi != site.UEFIShim || started < 0 {
		return
	}
	own := i.Addr.Addr()
	for _, s := range servers {
		if s.Addr == own || s.Next == own {
			continue
		}
		names := "no next server"
		if s.Next.IsValid() {
			names = "the next server " + s.Next.String()
		}
		tell := l.note
		if uefi == site.UEFIShim {
			tell = l.warning
		}
		tell(fmt.Sprintf("machines with Secure Boot on can't boot by PXE on %s: the DHCP server %s names %s (siaddr), where Debian's signed GRUB looks for its files; "+
			"UEFI machines get iPXE there", i.Name, s.Addr, names),
			fmt.Sprintf("have that server name %s and the boot file %s (dnsmasq: dhcp-boot=%[2]s,,%[1]s); docs/operating.md has other ways", own, loaders.Shim(arches[started])))
	}
}

// judge tells what the DHCP servers on an interface mean.
func (in Input) judge(l *list, i dhcp.Interface, servers []netip.Addr, err error) {
	proxy := in.Site.DHCP.Mode == site.DHCPProxy
	if in.Running && !proxy {
		servers = slices.DeleteFunc(servers, func(s netip.Addr) bool { return s == i.Addr.Addr() })
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		l.note(fmt.Sprintf("whether another DHCP server is on %s could not be tested", i.Name), "run this as root to have it tested")
	case err != nil:
		l.note(fmt.Sprintf("whether another DHCP server is on %s could not be tested: %v", i.Name, err), "see that the interface is connected")
	case proxy && len(servers) == 0:
		l.warning(fmt.Sprintf("no DHCP server gave this machine an address on %s: with dhcp: mode: proxy machines get theirs from one, so none can boot", i.Name),
			"connect one, or set mode: server and a range")
	case !proxy && len(servers) > 0:
		var names []string
		for _, s := range servers {
			if s == i.Addr.Addr() {
				names = append(names, "another program on this machine")
			} else {
				names = append(names, s.String())
			}
		}
		l.problem(fmt.Sprintf("another DHCP server hands out addresses on %s, too: %s; machines that take its offer don't learn what to boot",
			i.Name, strings.Join(names, ", ")), "stop one of them, or set dhcp: mode: proxy, to work beside it")
	}
}

// ports looks for ports that another program has.
func (in Input) ports() []Finding {
	l := &list{about: "ports"}
	for _, err := range in.Lost {
		what, do, _ := strings.Cut(err.Error(), "; ")
		l.problem("served without "+what, do+"; then start the seeder again")
	}
	if in.Serving {
		return l.found
	}
	if in.Running {
		l.note("this site's seeder is running, so that its ports are not free", "stop it first to have all ports tested")
	}
	p := in.Site.Ports
	for _, i := range in.Interfaces {
		at := func(n uint16) netip.AddrPort { return netip.AddrPortFrom(i.Addr.Addr(), n) }
		in.try(l, "tcp", at(p.HTTP), "HTTP", "", orElse("set another one with "+in.Site.Where("ports.http")))
		in.try(l, "tcp", at(p.Torrent), "BitTorrent", "", orElse("set another one with "+in.Site.Where("ports.torrent")))
		if p.TFTP != 0 {
			in.try(l, "udp", at(p.TFTP), "TFTP", "", tftp.Remedy)
		}
		switch in.Site.DHCP.Mode {
		case site.DHCPServer:
			in.try(l, "udp", netip.AddrPortFrom(netip.IPv4Unspecified(), 67), "DHCP", i.Name, orElse("set dhcp: mode: proxy, to work beside it"))
		case site.DHCPProxy:
			in.try(l, "udp", at(4011), "PXE", i.Name, orElse(""))
		}
	}
	return l.found
}

// orElse is a remedy for a port that a process has: to stop that, or to do something else.
func orElse(or string) func(*port.Process, uint16) string {
	return func(p *port.Process, _ uint16) string {
		do := "stop it; as root, ss -lntup shows which it is"
		if p != nil {
			do = p.Stop()
		}
		if or != "" {
			do += "; or " + or
		}
		return do
	}
}

// try opens a port and closes it. device is the interface whose port it is; empty: the address alone counts. remedy is what to do
// about the process that has it, nil if it isn't known.
func (in Input) try(l *list, network string, at netip.AddrPort, service, device string, remedy func(*port.Process, uint16) string) {
	err := open(network, at, device)
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrPermission):
		l.note(fmt.Sprintf("whether %s port %d (%s) is free could not be tested", strings.ToUpper(network), at.Port(), service),
			"run this as root to have it tested")
	case errors.Is(err, syscall.EADDRINUSE):
		who := port.Owner(network, at)
		if in.Running && (who == nil || self.IsSeeder(who.Name)) {
			return // it serves the site already; of another user's process, or one with capabilities, nothing is known
		}
		name := "another program"
		if who != nil {
			name = who.String()
		}
		l.problem(fmt.Sprintf("%s has %s port %d, which the seeder needs for %s", name, strings.ToUpper(network), at.Port(), service), remedy(who, at.Port()))
	default:
		l.problem(fmt.Sprintf("%s port %d for %s can't be had: %v", strings.ToUpper(network), at.Port(), service, err), "see: ip address")
	}
}

func open(network string, at netip.AddrPort, device string) error {
	if network == "tcp" {
		c, err := net.Listen("tcp4", at.String())
		if err != nil {
			return err
		}
		return c.Close()
	}
	c, err := bound(device).ListenPacket(context.Background(), "udp4", at.String())
	if err != nil {
		return err
	}
	return c.Close()
}
