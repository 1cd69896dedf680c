package integration

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/integration/kit"
	"github.com/boottorrent/boottorrent/integration/lab"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/report"
)

// A machine's own disk is started by kexec, by the firmware as it is told on the machine (BootNext of UEFI; of a BIOS by the boot script, once),
// and by the boot script before phase 1 is loaded. Each machine's disk has the tiny system behind GRUB; between two starts it reboots.
func TestOwnDisk(t *testing.T) {
	for _, command := range []string{"grub-mkimage", "mkfs.vfat", "mcopy", "sgdisk", "mkfs.ext4"} {
		need.Command(t, command, map[string]string{
			"grub-mkimage": "grub-common", "mkfs.vfat": "dosfstools", "mcopy": "mtools", "sgdisk": "gdisk", "mkfs.ext4": "e2fsprogs",
		}[command])
	}
	need.File(t, "/usr/lib/grub/i386-pc/boot.img", "grub-pc-bin")
	need.File(t, "/usr/lib/grub/x86_64-efi/normal.mod", "grub-efi-amd64-bin")
	const config = "uefi: ipxe\ndefault: local\n"
	r := newRoom(t, config+"timeout: 5\n")
	disk := filepath.Join(t.TempDir(), "disk.img")
	r.must(r.site.MakeDisk(t.Context(), disk, kit.DiskMenu))
	r.dhcp()
	r.serve()
	for _, m := range []struct {
		name     string
		firmware lab.Firmware
		told     string
	}{{"bios", lab.BIOS, `Starting this machine's disk`}, {"uefi", lab.UEFI, `BdsDxe: (loading|starting) Boot`}} {
		t.Run(m.name, func(t *testing.T) {
			n := r.node(lab.NodeConfig{Name: m.name, Firmware: m.firmware, Disks: []lab.Disk{{Path: disk, Own: true, Writable: false}}})
			lab.Await(t, n.Console(), toChooser, `hands over to Debian GNU/Linux, on the disk on this machine's disk`)
			onDisk(t, n)
			if rep := r.reports()["52:54:00:00:"+map[string]string{"bios": "01", "uefi": "02"}[m.name]+":01"]; rep.Step != report.Launch || rep.System != "local" {
				t.Errorf("the seeder knows of step %s of %q, want launch of local", rep.Step, rep.System)
			}
			r.must(n.Console().Send("r"))
			lab.AwaitScreen(t, n.Console(), toChooser, `On this machine's disk`)
			r.must(n.Console().Send("G\r")) // the last one
			lab.Await(t, n.Console(), soon, `its firmware starts the disk`)
			lab.Await(t, n.Console(), toMessage, m.told)
			lab.Await(t, n.Console(), toMessage, `GRUB-OF-THE-DISK`)
			onDisk(t, n)
			r.must(r.site.Configure("version: 1\nname: room\n" + config + "timeout: 0\n"))
			lab.Await(t, r.seeder, soon, `catalog published`)
			time.Sleep(time.Minute) // who comes back within it gets phase 1
			r.must(n.Console().Send("r"))
			lab.Await(t, n.Console(), toMessage, `Starting this machine's disk`)
			if m.firmware == lab.UEFI { // which goes on with its next option: the card's, by IPv6
				lab.Await(t, n.Console(), toMessage, `BdsDxe: (failed to load|loading) Boot\d+ "UEFI PXEv6`)
			} else {
				lab.Await(t, n.Console(), toMessage, `GRUB-OF-THE-DISK`)
				onDisk(t, n)
			}
			r.must(r.site.Configure("version: 1\nname: room\n" + config + "timeout: 5\n"))
			lab.Await(t, r.seeder, soon, `catalog published`)
			n.Stop()
		})
	}
}

// onDisk waits for the system on the disk.
func onDisk(t *testing.T, n *lab.Node) {
	t.Helper()
	lab.Await(t, n.Console(), toSystem, `BOOTTORRENT-TINY-OK`)
	lab.Await(t, n.Console(), soon, `cmdline=.*from=disk`)
	lab.Await(t, n.Console(), soon, `BOOTTORRENT-TINY-END`)
}
