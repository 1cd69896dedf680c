// Package port finds out which process has a port that the seeder could not get. In goes a network, an address and a port;
// out comes the process with its systemd unit, and the error that says so.
//
// It reads Linux's proc(5): the tables of sockets in /proc/net (udp, tcp, and udp6 and tcp6, whose sockets take IPv4's
// ports too unless they are told not to), the links in /proc/PID/fd, and /proc/PID/cgroup (cgroups(7)). Another user's links
// can be read by root only.
package port

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Process has a port.
type Process struct {
	PID string
	// Name is the program's, at most 15 bytes of it.
	Name string
	// Unit is the systemd service it belongs to, such as dnsmasq.service; empty if it belongs to none.
	Unit string
}

// String names the process for a person: "dnsmasq (pid 123) of dnsmasq.service".
func (p Process) String() string {
	text := fmt.Sprintf("%s (pid %s)", p.Name, p.PID)
	if p.Unit != "" {
		text += " of " + p.Unit
	}
	return text
}

// Stop says how to end the process for good, also one that is not known.
func (p *Process) Stop() string {
	if p == nil {
		return "stop it"
	}
	if p.Unit != "" {
		return fmt.Sprintf("stop it: systemctl disable --now %s", p.Unit)
	}
	return fmt.Sprintf("stop it: kill %s, and whatever starts it", p.PID)
}

// ErrInUse is wrapped by what Explain returns for a port that another process has.
var ErrInUse = syscall.EADDRINUSE

// Explain adds to an error of opening a socket which process is in the way. Other errors than [ErrInUse] come back as they
// are. remedy gets the process, or nil if it can't be known, and returns what to do; nil: to stop it. network is udp or tcp.
func Explain(err error, network string, at netip.AddrPort, remedy func(*Process) string) error {
	if !errors.Is(err, ErrInUse) {
		return err
	}
	who, owner := fmt.Sprintf("another process has it (as root, ss -lnp --%s 'sport = :%d' shows which)", network, at.Port()), Owner(network, at)
	if owner != nil {
		who = owner.String() + " has it"
	}
	do := owner.Stop()
	if remedy != nil {
		do = remedy(owner)
	}
	where := ""
	if !at.Addr().IsUnspecified() {
		where = " of " + at.Addr().String()
	}
	return fmt.Errorf("%s port %d%s: %s: %w; %s", strings.ToUpper(network), at.Port(), where, who, ErrInUse, do)
}

// Owner is the process that keeps others from listening at an address and port. It is nil if nobody does, or it can't be found
// out. network is udp or tcp.
func Owner(network string, at netip.AddrPort) *Process { return owner("/proc", network, at, nil) }

// OwnerOn is Owner of a UDP port on the interface with an index. A process whose socket is bound to another interface
// (SO_BINDTODEVICE, socket(7)) is not in the way there: libvirt has a dnsmasq like that for each of its bridges.
func OwnerOn(index int, at netip.AddrPort) *Process {
	elsewhere := map[string]bool{}
	all, err := netlink.SocketDiagUDP(unix.AF_INET) // sock_diag(7); where the kernel has none, the process may be in the way
	for _, s := range all {
		if err == nil && s.ID.Interface != 0 && int(s.ID.Interface) != index {
			elsewhere[link(strconv.Itoa(int(s.INode)))] = true
		}
	}
	return owner("/proc", "udp", at, elsewhere)
}

// owner looks in a proc(5), and takes no notice of some sockets.
func owner(proc, network string, at netip.AddrPort, but map[string]bool) *Process {
	sockets := map[string]bool{}
	for _, table := range []string{network, network + "6"} {
		listeners(sockets, filepath.Join(proc, "thread-self", "net", table), at)
	}
	maps.DeleteFunc(sockets, func(s string, _ bool) bool { return but[s] })
	if len(sockets) == 0 {
		return nil
	}
	links, _ := filepath.Glob(filepath.Join(proc, "[0-9]*", "fd", "*"))
	for _, fd := range links {
		if target, err := os.Readlink(fd); err != nil || !sockets[target] {
			continue
		}
		dir := filepath.Dir(filepath.Dir(fd))
		name, err := os.ReadFile(filepath.Join(dir, "comm"))
		if err != nil {
			continue
		}
		return &Process{PID: filepath.Base(dir), Name: strings.TrimSpace(string(name)), Unit: unit(filepath.Join(dir, "cgroup"))}
	}
	return nil
}

// listeners adds the sockets of a table (proc_net_udp(5), proc_net_tcp(5)) that have the port at that address or at all, as the
// links in /proc/PID/fd name them.
func listeners(found map[string]bool, table string, at netip.AddrPort) {
	text, err := os.ReadFile(table)
	if err != nil {
		return
	}
	suffix := fmt.Sprintf(":%04X", at.Port())
	for line := range strings.Lines(string(text)) {
		// sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode …
		f := strings.Fields(line)
		if len(f) < 10 || !strings.HasSuffix(f[1], suffix) {
			continue
		}
		connected := strings.Trim(f[2], "0:") != ""
		local := strings.TrimSuffix(f[1], suffix)
		if connected || strings.Trim(local, "0") != "" && !strings.HasSuffix(local, hexOf(at.Addr())) && !at.Addr().IsUnspecified() {
			continue
		}
		found[link(f[9])] = true
	}
}

// link is what a link in /proc/PID/fd to the socket with an inode says.
func link(inode string) string { return "socket:[" + inode + "]" }

// hexOf is an IPv4 address as the kernel's tables show it: a number in the machine's byte order, here the little endian one.
func hexOf(a netip.Addr) string {
	b := a.Unmap().As4()
	return fmt.Sprintf("%02X%02X%02X%02X", b[3], b[2], b[1], b[0])
}

// unit is the systemd service named by a file of proc(5)'s cgroup: "0::/system.slice/dnsmasq.service".
func unit(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		for part := range strings.SplitSeq(strings.TrimSpace(line), "/") {
			if strings.HasSuffix(part, ".service") && !strings.HasPrefix(part, "user@") {
				return part
			}
		}
	}
	return ""
}
