package daemon

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/site"
)

// newOriginal makes a site of the original, with keys, that is served on loopback.
func newOriginal(t *testing.T) (s *site.Site, config func(seedTime int) string) {
	t.Helper()
	dir, port := filepath.Join(t.TempDir(), "room"), need.Port(t)
	config = func(seedTime int) string {
		return fmt.Sprintf("boottorrent: {version: 0, timeout: -1, default_os: one, seed_time: %d, host_ip: 127.0.0.1}\n"+
			"dnsmasq: {enable_dhcp: False, enable_tftp: False, interface: lo, dhcp_range: \"10.0.0.5,10.0.0.9\"}\n"+
			"opentracker: {enable: True, port: %d}\naria2: {bt_enable_lpd: False, console_log_level: error}\n", seedTime, port)
	}
	writeSystem(t, dir, "one", 'a')
	addInitrd(t, dir, "one")
	must(t, os.WriteFile(filepath.Join(dir, "Boottorrent.yaml"), []byte(config(30)), 0o644))
	s, problems := site.Load(dir)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if _, err := site.EnsureKeys(s); err != nil {
		t.Fatal(err)
	}
	// What its configuration doesn't say, and what it turns off for nodes elsewhere than on loopback.
	s.Ports.Torrent, s.DHCP.Mode = uint16(need.Port(t)), site.DHCPOff
	return s, config
}

// addInitrd gives a system what the original asks for.
func addInitrd(t *testing.T, dir, name string) {
	t.Helper()
	folder := filepath.Join(dir, site.SystemsDir, name)
	must(t, os.WriteFile(filepath.Join(folder, "initrd"), []byte("070701"), 0o644))
	must(t, os.WriteFile(filepath.Join(folder, site.SystemFile), []byte("dispname: "+name+"\nmethod: kexec\nkernel: vmlinuz\ninitrd: initrd\n"), 0o644))
}

// A site of the original is served, and what changes in it is picked up: its systems, and its Boottorrent.yaml.
func TestOriginalIsServedAndFollowed(t *testing.T) {
	t.Parallel()
	s, config := newOriginal(t)
	r := start(t, s)
	if c := r.catalog(); c.Defaults != (catalog.Defaults{System: "one", Timeout: -1, SeedTime: 30}) {
		t.Errorf("defaults %+v", c.Defaults)
	}
	writeSystem(t, s.Dir, "two", 'b')
	addInitrd(t, s.Dir, "two")
	r.await("two systems", func(c *catalog.Catalog) bool { return len(c.Systems) == 2 })

	file := filepath.Join(s.Dir, "Boottorrent.yaml")
	must(t, os.WriteFile(file, []byte(config(45)), 0o644))
	r.await("another seed time", func(c *catalog.Catalog) bool { return c.Defaults.SeedTime == 45 })
	must(t, os.WriteFile(file, []byte(config(-1)), 0o644))
	r.awaitLog("what was offered before stays", "Boottorrent.yaml:1:", "seed_time is out of its range")
}

// A DHCP server that was set up for the original tells firmware to load pxelinux.0, which is iPXE here; of other sites there is none.
func TestOriginalLoader(t *testing.T) {
	t.Parallel()
	need.File(t, "/usr/lib/ipxe/undionly.kpxe", "ipxe")
	old, _ := newOriginal(t)
	for s, want := range map[*site.Site]byte{old: 3, newSite(t): 5} { // DATA or ERROR, RFC 1350 section 5
		s.Ports.TFTP = uint16(need.Port(t))
		start(t, s)
		// Not connected, as the transfer comes from another port.
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		must(t, err)
		defer conn.Close()
		must(t, conn.SetDeadline(time.Now().Add(need.Patience)))
		_, err = conn.WriteTo([]byte("\x00\x01pxelinux.0\x00octet\x00"), &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: int(s.Ports.TFTP)})
		must(t, err)
		answer := make([]byte, 1024)
		n, _, err := conn.ReadFrom(answer)
		must(t, err)
		if n < 4 || answer[1] != want {
			t.Errorf("of the original: %v; answer %q, want opcode %d", s.Original, answer[:n], want)
		}
	}
}

// An address picks one of an interface's, and belongs to it.
func TestInterfaceWithAddress(t *testing.T) {
	host := netip.MustParseAddr("127.0.0.1")
	on, _, err := interfaces(site.Serve{Interfaces: []string{"lo"}, Address: host})
	if err != nil || len(on) != 1 || on[0].Name != "lo" || on[0].Addr.Addr() != host {
		t.Errorf("%v, %v", on, err)
	}
	_, _, err = interfaces(site.Serve{Interfaces: []string{"nosuch0"}, Address: host})
	if err == nil || !strings.Contains(err.Error(), "nosuch0 is not there, is down, or has not the address 127.0.0.1; this machine has lo") {
		t.Errorf("on another interface: %v", err)
	}
}
