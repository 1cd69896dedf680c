package integration

import (
	"path/filepath"
	"testing"

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
	r := newRoom(t, "uefi: ipxe\ndefault: local\ntimeout: 5\n")
	disk := filepath.Join(t.TempDir(), "disk.img")
	r.must(r.site.MakeDisk(t.Context(), disk, kit.DiskMenu))
	r.dhcp()
	r.serve()
	type machine struct {
		*lab.Node
		mac string
		// told is what firmware or boot script say when they start the disk.
		told string
	}
	machines := []machine{
		{r.node(lab.NodeConfig{Name: "bios", Firmware: lab.BIOS, Disks: []lab.Disk{{Path: disk, Own: true}}}), "52:54:00:00:01:01", `Starting this machine's disk`},
		{r.node(lab.NodeConfig{Name: "uefi", Firmware: lab.UEFI, Disks: []lab.Disk{{Path: disk, Own: true}}}), "52:54:00:00:02:01", `BdsDxe: (loading|starting) Boot`},
	}
	// by kexec
	together(t, machines, func(m machine) {
		lab.Await(t, m.Console(), toChooser, `hands over to Debian GNU/Linux, on the disk on this machine's disk`)
		onDisk(t, m.Node)
	})
	for _, m := range machines {
		if rep := r.reports()[m.mac]; rep.Step != report.Launch || rep.System != "local" {
			t.Errorf("the seeder knows of step %s of %q, want launch of local", rep.Step, rep.System)
		}
	}
	// by the firmware
	together(t, machines, func(m machine) {
		press(t, m.Node, "r")
		lab.AwaitScreen(t, m.Console(), toChooser, `On this machine's disk`)
		press(t, m.Node, "G\r") // the last one
		lab.Await(t, m.Console(), soon, `its firmware starts the disk`)
		lab.Await(t, m.Console(), toMessage, m.told)
		lab.Await(t, m.Console(), toMessage, `GRUB-OF-THE-DISK`)
		onDisk(t, m.Node)
	})
	// Who was sent to its disk and asks again within a minute gets phase 1; a seeder that was started anew knows of nobody.
	r.seeder.Stop()
	r.serve()
	r.order(`next local, once`, "next", "all", "local", "--once")
	// before phase 1
	together(t, machines, func(m machine) {
		press(t, m.Node, "r")
		lab.Await(t, m.Console(), toMessage, `Starting this machine's disk`)
		if m.told == `Starting this machine's disk` {
			lab.Await(t, m.Console(), toMessage, `GRUB-OF-THE-DISK`)
			onDisk(t, m.Node)
		} else { // its firmware goes on with its next option, which here is the card's again, by IPv6
			lab.Await(t, m.Console(), toMessage, `BdsDxe: failed to start Boot\d+ "UEFI PXEv4`)
		}
	})
}

// Behind shim, GRUB starts what is on the disk before phase 1 is loaded. With Secure Boot on, a boot loader that nobody has signed is refused;
// then phase 1 comes, finds the kernel that Debian has signed, and starts that.
func TestOwnDiskBehindShim(t *testing.T) {
	needChain(t)
	r := newRoom(t, allServed+"default: local\ntimeout: 0\n")
	disk := filepath.Join(t.TempDir(), "disk.img")
	r.must(r.site.MakeDisk(t.Context(), disk, kit.DiskMenu))
	r.serve()
	own := []lab.Disk{{Path: disk, Own: true}}
	free := r.node(lab.NodeConfig{Name: "uefi", Firmware: lab.UEFI, Disks: own})
	secure := r.node(lab.NodeConfig{Name: "secure", Firmware: lab.SecureUEFI, Disks: own})
	lab.Await(t, free.Console(), toChooser, `GRUB-OF-THE-DISK`)
	onDisk(t, free)
	free.Stop()
	lab.Await(t, secure.Console(), toChooser, `Starting \(`)
	lab.Await(t, secure.Console(), toChooser, `The firmware could not start the disk when it was told to`)
	onDisk(t, secure)
}

// press types keys at a machine's console.
func press(t *testing.T, n *lab.Node, keys string) {
	t.Helper()
	if err := n.Console().Send(keys); err != nil {
		t.Fatal(err)
	}
}

// onDisk waits for the system on the disk.
func onDisk(t *testing.T, n *lab.Node) {
	t.Helper()
	lab.Await(t, n.Console(), toSystem, `BOOTTORRENT-TINY-OK`)
	lab.Await(t, n.Console(), soon, `cmdline=.*from=disk`)
	lab.Await(t, n.Console(), soon, `BOOTTORRENT-TINY-END`)
}
