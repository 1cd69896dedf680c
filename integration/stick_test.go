package integration

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/network"
	"github.com/boottorrent/boottorrent/integration/kit"
	"github.com/boottorrent/boottorrent/integration/lab"
	"github.com/boottorrent/boottorrent/internal/mediumconf"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/internal/uki"
	"github.com/boottorrent/boottorrent/mkimage/image"
	"github.com/boottorrent/boottorrent/seeder/dhcp"
)

// A stick that somebody has edited, with a mistake, in a network with two seeders. What its boottorrent.conf adds to the kernel
// command line has phase 1 start itself again, once; it offers both seeders, takes the one that a person chooses, says which
// line is wrong, and starts a system.
func TestStickWithWrongLineAndTwoSeeders(t *testing.T) {
	r := newRoom(t, "default: tiny\ntimeout: 3\nseed_time: 0\n")
	stick := r.stick("# our stick\r\ntimeout: -1\r\nvlan: 5000\r\ncmdline: bt.debug panic=31\r\n")
	r.must(r.site.AddTiny(t.Context(), "tiny", 1<<20))
	r.dhcp()
	r.serve()
	second := r.secondSeeder("10.77.0.2/16")

	n := r.node(lab.NodeConfig{Name: "stick", Disks: []lab.Disk{{Path: stick, USB: true}}})
	lab.Await(t, n.Console(), toChooser, `phase 1 starts again, with the kernel command line: .*panic=31 bt\.medium=[0-9a-f]{8},again`)
	lab.AwaitScreen(t, n.Console(), toChooser, `(?s)Several seeders answer.*10\.77\.0\.1:8080.*10\.77\.0\.2:8080`)
	r.must(n.Console().Send("j" + lab.Enter))
	lab.AwaitScreen(t, n.Console(), toMessage, `(?s)Tiny system.*`+wrapped(`boottorrent\.conf, line 3: "vlan: 5000"`))
	r.must(n.Console().Send(lab.Enter))
	r.awaitTiny(n, toSystem)
	if chosen, err := second.Nodes(t.Context()); err != nil || len(chosen) != 1 {
		t.Errorf("the second seeder, which was chosen, knows %v, %v", chosen, err)
	}
	if ignored := r.reports(); len(ignored) > 0 {
		t.Errorf("the first seeder, which was not, knows %v", ignored)
	}
}

// stick makes a stick and edits its boottorrent.conf, as any PC would. It returns the image's path.
func (r *room) stick(conf string) string {
	r.t.Helper()
	need.File(r.t, uki.StubFile, "systemd-boot-efi")
	need.Command(r.t, "grub-mkimage", "grub-common")
	need.File(r.t, "/usr/lib/grub/i386-pc/boot.img", "grub-pc-bin")
	mcopy := need.Command(r.t, "mcopy", "mtools")
	content, err := os.ReadFile(r.medium(image.USB))
	r.must(err)
	dir := r.t.TempDir()
	stick, text := filepath.Join(dir, "stick.img"), filepath.Join(dir, mediumconf.Name)
	r.must(os.WriteFile(stick, content, 0o644))
	r.must(os.WriteFile(text, []byte(conf), 0o644))
	if said, err := exec.Command(mcopy, "-o", "-i", stick+"@@1M", text, "::"+mediumconf.Name).CombinedOutput(); err != nil {
		r.t.Fatalf("edit the stick: %v\n%s", err, said)
	}
	return stick
}

// secondSeeder starts another seeder of the same site, with keys and systems like the first one's.
func (r *room) secondSeeder(address string) *kit.Seeder {
	r.t.Helper()
	host, err := r.Host("second", lab.Addr(address))
	r.must(err)
	second, err := r.site.Kit.NewSite(r.t.Context(), filepath.Join(r.t.TempDir(), "second"), "second")
	r.must(err)
	r.must(second.ShareImage(r.site))
	r.must(second.Configure("version: 1\nname: second\ndefault: tiny\ntimeout: 3\nseed_time: 0\n"))
	r.must(second.AddTiny(r.t.Context(), "tiny", 1<<20))
	seeder, err := second.Serve(r.t.Context(), host)
	r.must(err)
	return seeder
}

// A stick in a network with no seeder that answers by DHCP, and where its boottorrent.conf says, there is none: the screen says
// what was tried, and a person types the address. The firmware is UEFI, from which the second start of phase 1 must get on, too.
func TestStickWithoutSeeder(t *testing.T) {
	need.File(t, "/usr/share/OVMF/OVMF_CODE_4M.fd", "ovmf")
	r := newRoom(t, "default: tiny\ntimeout: 3\nseed_time: 0\ndhcp:\n  mode: \"off\"\n")
	stick := r.stick("seeder: 10.77.0.99\r\ntimeout: -1\r\ncmdline: panic=32\r\n")
	r.must(r.site.AddTiny(t.Context(), "tiny", 1<<20))
	r.dhcp()
	r.serve()
	n := r.node(lab.NodeConfig{Name: "stick", Firmware: lab.UEFI, Disks: []lab.Disk{{Path: stick, USB: true}}})
	lab.Await(t, n.Console(), toChooser, `phase 1 starts again, with the kernel command line: .*panic=32 bt\.medium=[0-9a-f]{8},again`)
	lab.AwaitScreen(t, n.Console(), toChooser, `(?s)No seeder found.*http://10\.77\.0\.99:8080\s+\(seeder:\s+in\s+boottorrent\.conf.*type its address`)
	r.must(n.Console().Send("a"))
	lab.AwaitScreen(t, n.Console(), soon, `(?s)Where is the seeder\?.*10\.77\.0\.99`)
	r.must(n.Console().Send(r.host.IP().String() + lab.Enter))
	lab.AwaitScreen(t, n.Console(), toMessage, `Tiny system`)
	r.must(n.Console().Send(lab.Enter))
	r.awaitTiny(n, toSystem)
}

// Our DHCP service and a node's question to it, over real wires: every seeder answers, beside another DHCP server and as the only
// one, but none whose DHCP is switched off.
func TestSeedersAnswerByDHCP(t *testing.T) {
	need.Root(t)
	need.Command(t, "dnsmasq", "dnsmasq-base")
	r := lab.ForTest(t)
	router, err := r.Host("router", lab.Addr(routerAddr))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lab.DnsmasqDHCP(t.Context(), router, dhcpRange); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]struct {
		address string
		config  site.DHCP
	}{
		"proxy": {"10.77.0.1/16", site.DHCP{Mode: site.DHCPProxy}},
		"server": {"10.77.0.2/16", site.DHCP{Mode: site.DHCPServer, Lease: time.Hour,
			First: netip.MustParseAddr("10.77.2.10"), Last: netip.MustParseAddr("10.77.2.20")}},
		"off": {"10.77.0.3/16", site.DHCP{Mode: site.DHCPOff}},
	} {
		host, err := r.Host(name, lab.Addr(s.address))
		if err != nil {
			t.Fatal(err)
		}
		serveDHCP(t, host, s.config, s.address)
	}
	node, err := r.Host("node", lab.Addr("10.77.1.10/16"))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	err = node.Do(func() error {
		eth0, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		lease := network.Lease{Interface: "eth0", MAC: eth0.HardwareAddr, Addr: netip.MustParsePrefix("10.77.1.10/16")}
		found, err = network.Seeders(t.Context(), lease)
		return err
	})
	if want := []string{"http://10.77.0.1:8080", "http://10.77.0.2:8080"}; err != nil || !slices.Equal(found, want) {
		t.Errorf("found %q, %v, want %q", found, err, want)
	}
}

// serveDHCP runs a seeder's DHCP service on a host until the test ends.
func serveDHCP(t *testing.T, host *lab.Host, config site.DHCP, address string) {
	t.Helper()
	var s *dhcp.Server
	err := host.Do(func() error {
		eth0, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		s, err = dhcp.New(dhcp.Config{
			Site: config, Boot: dhcp.Boot{HTTPPort: 8080}, Leases: filepath.Join(t.TempDir(), "leases"), Log: slog.New(slog.DiscardHandler),
			Interfaces: []dhcp.Interface{{Name: "eth0", Index: eth0.Index, Addr: netip.MustParsePrefix(address)}},
		})
		if err != nil {
			return err
		}
		return s.Listen(t.Context())
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan struct{})
	go func() {
		defer close(served)
		s.Serve(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-served
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}
