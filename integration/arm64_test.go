package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/integration/lab"
	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/need"
)

// A site with machines of two architectures, beside an existing DHCP server: an arm64 server that boots by UEFI PXE (option 93: 11), one
// that boots by UEFI HTTP boot (19), and a PC. Each comes to a chooser that starts only its own systems. The two servers share
// theirs, and go on to it by kexec: a Debian kernel for arm64, compressed as distributions install it, with an initramfs of ours, that finds
// EFI and ACPI where phase 1's kernel had found them.
func TestTwoArchitectures(t *testing.T) {
	const padding = 4 << 20
	need.Command(t, "qemu-system-aarch64", "qemu-system-arm")
	need.File(t, "/usr/share/AAVMF/AAVMF_CODE.fd", "qemu-efi-aarch64")
	r := newRoom(t, "arch: [amd64, arm64]\ntimeout: -1\nseed_time: 10\n")
	r.imageARM64()
	r.must(r.site.AddTinyARM64(t.Context(), "arm", padding))
	r.must(r.site.AddTiny(t.Context(), "pc", 1<<20))
	r.dhcp()
	r.serve()

	began := time.Now()
	byHTTP := []string{"-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n", "-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n"}
	servers := []*lab.Node{
		r.node(lab.NodeConfig{Name: "pxe", Arch: arch.ARM64}),
		r.node(lab.NodeConfig{Name: "http", Arch: arch.ARM64, Args: byHTTP}),
	}
	together(t, servers, func(n *lab.Node) {
		lab.AwaitScreen(t, n.Console(), toChooser, `(?s)> Tiny system \(arm\).* Tiny system \(pc\).*not available: it is for amd64 machines, this one is arm64`)
		t.Logf("arm64, %s: the chooser is there after %.0f s", n.Config.Name, time.Since(began).Seconds())
	})
	lab.Await(t, r.seeder, soon, `arm64/boottorrent\.efi`)
	pc := r.node(r.direct("pc", r.seederArg()))
	lab.AwaitScreen(t, pc.Console(), toChooser, `(?s)> Tiny system \(arm\).*not available: it is for arm64 machines, this one is amd64.* Tiny system \(pc\)`)

	r.must(r.host.SetRates(t.Context(), 0, 4*slowLink))
	for _, n := range servers {
		r.must(n.Console().Send(lab.Enter))
	}
	together(t, servers, func(n *lab.Node) {
		mac, cmdline := r.awaitTiny(n, toSystem)
		if mac != n.Config.NICs[0].MAC || !strings.Contains(cmdline, "console=ttyAMA0") || !strings.Contains(cmdline, "bt.mac="+mac) {
			t.Errorf("%s: the system sees the MAC %s and the command line %s", n.Config.Name, mac, cmdline)
		}
		if firmware := lab.Await(t, n.Console(), soon, `firmware=(\S*)\n`)[1]; firmware != "acpi,efi" {
			t.Errorf("%s: of the firmware the system has found %q", n.Config.Name, firmware)
		}
	})
	t.Logf("arm64: both systems run after %.0f s", time.Since(began).Seconds())
	for _, n := range servers {
		report := r.reports()[n.Config.NICs[0].MAC]
		t.Logf("%s: from seeder %d bytes, from nodes %d; seconds by step %v", n.Config.Name, report.FromSeeder+report.FromHTTP, report.FromNodes, report.Durations)
		if report.Arch != "arm64" || report.FromNodes < padding/8 {
			t.Errorf("%s: an %s node got %d bytes from the other", n.Config.Name, report.Arch, report.FromNodes)
		}
	}
	r.must(pc.Console().Send(lab.Down))
	lab.AwaitScreen(t, pc.Console(), soon, `> Tiny system \(pc\)`)
	r.must(pc.Console().Send(lab.Enter))
	if mac, _ := r.awaitTiny(pc, toSystem); mac != pc.Config.NICs[0].MAC {
		t.Errorf("pc: the system sees the MAC %s", mac)
	}
}

// imageARM64 makes the shared site's image for arm64, which no other test needs, and gives it to this room's.
func (r *room) imageARM64() {
	r.t.Helper()
	shared.making.Lock()
	defer shared.making.Unlock()
	from := base(r.t)
	r.must(from.MakeImage(r.t.Context(), "--arch", "arm64"))
	r.must(r.site.ShareImage(from))
}
