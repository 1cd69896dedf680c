package integration

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/integration/lab"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/uki"
	"github.com/boottorrent/boottorrent/mkimage/image"
)

// A stick with the image of mkimage usb, in a machine with BIOS and in one with UEFI that has Secure Boot on, as it is sold: GRUB, and shim with
// Debian's GRUB, start phase 1, which finds the seeder, and on its medium the system to start without a person.
func TestUSBStick(t *testing.T) {
	bootMedium(t, image.USB, func(path string) lab.Disk { return lab.Disk{Path: path, USB: true} })
}

// The ISO image in the drives of two such machines.
func TestISO(t *testing.T) {
	need.Command(t, "xorriso", "xorriso")
	bootMedium(t, image.ISO, func(path string) lab.Disk { return lab.Disk{Path: path, CD: true} })
}

// bootMedium starts a machine of each firmware from a medium, side by side.
func bootMedium(t *testing.T, format image.Format, insert func(path string) lab.Disk) {
	needChain(t)
	need.File(t, uki.StubFile, "systemd-boot-efi")
	need.Command(t, "grub-mkimage", "grub-common")
	need.File(t, "/usr/lib/grub/i386-pc/boot.img", "grub-pc-bin")
	r := newRoom(t, "timeout: -1\nseed_time: 0\n")
	// What the site leaves to a person says the medium.
	conf := filepath.Join(t.TempDir(), "unattended.conf")
	r.must(os.WriteFile(conf, []byte("system: tiny\r\ntimeout: 5\r\n"), 0o644))
	medium := r.medium(format, "--conf", conf)
	r.must(r.site.AddTiny(t.Context(), "tiny", 1<<20))
	r.dhcp()
	r.serve()

	began := time.Now()
	var nodes []*lab.Node
	for name, firmware := range map[string]lab.Firmware{"bios": lab.BIOS, "secure": lab.SecureUEFI} {
		nodes = append(nodes, r.node(lab.NodeConfig{Name: name, Firmware: firmware, Disks: []lab.Disk{insert(medium)}}))
	}
	together(t, nodes, func(n *lab.Node) {
		lab.AwaitScreen(t, n.Console(), toChooser, `Tiny system`)
		t.Logf("%s, %s: the chooser is there after %.0f s", format, n.Config.Name, time.Since(began).Seconds())
		if secure := r.reports()[n.Config.NICs[0].MAC].SecureBoot; secure != (n.Config.Firmware == lab.SecureUEFI) {
			t.Errorf("%s: Secure Boot: %v", n.Config.Name, secure)
		}
		if mac, _ := r.awaitTiny(n, toSystem); mac != n.Config.NICs[0].MAC {
			t.Errorf("%s: the system sees the MAC %s", n.Config.Name, mac)
		}
	})
}
