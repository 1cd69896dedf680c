package node

import (
	"slices"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/initramfs/config"
	"github.com/boottorrent/boottorrent/initramfs/efiboot"
	"github.com/boottorrent/boottorrent/initramfs/hardware"
	"github.com/boottorrent/boottorrent/initramfs/local"
	"github.com/boottorrent/boottorrent/internal/bootmenu"
)

func entry(title string, deflt bool, missing string) local.Entry {
	return local.Entry{Entry: bootmenu.Entry{Title: title, Kernel: "vmlinuz", Default: deflt}, Device: "sda2", Missing: missing}
}

// What of a disk is offered, what of it is started when nobody chooses, after how long, and what is said.
func TestWhatOfTheDiskIsStarted(t *testing.T) {
	windows := efiboot.Option{Number: 3, Title: "Windows Boot Manager", Disk: true}
	for _, c := range []struct {
		name    string
		found   local.Found
		options []efiboot.Option
		efi     bool
		failed  string
		told    bool // bt.local=failed
		lacking string
		names   []string
		deflt   string
		seconds int
		says    string
	}{
		{name: "Linux", found: local.Found{Entries: []local.Entry{entry("a", false, ""), entry("b", true, "")}, Default: 1, Firmware: true},
			names: []string{"0", "1", "firmware"}, deflt: "1", seconds: localSeconds},
		{name: "Linux beside Windows", found: local.Found{Entries: []local.Entry{entry("a", true, "")}}, options: []efiboot.Option{windows}, efi: true,
			names: []string{"0", "option-3"}, deflt: "0", seconds: localSeconds},
		{name: "its kernel is missing", found: local.Found{Entries: []local.Entry{entry("a", true, "vmlinuz")}, Firmware: true},
			names: []string{"0", "firmware"}, deflt: "firmware", seconds: doubtSeconds, says: "its file vmlinuz is missing on sda2"},
		{name: "kexec was refused", found: local.Found{Entries: []local.Entry{entry("a", true, "")}, Firmware: true}, failed: "0",
			names: []string{"0", "firmware"}, deflt: "firmware", seconds: doubtSeconds, says: "refused"},
		{name: "Windows", found: local.Found{Default: -1, Firmware: true, Notes: []string{"sda1 has NTFS"}}, options: []efiboot.Option{windows}, efi: true,
			names: []string{"option-3"}, deflt: "option-3", seconds: localSeconds, says: "NTFS"},
		{name: "encrypted", found: local.Found{Default: -1, Firmware: true, Doubtful: true, Notes: []string{"sda2 is encrypted (LUKS)"}},
			names: []string{"firmware"}, deflt: "firmware", seconds: doubtSeconds, says: "LUKS"},
		{name: "UEFI without a boot option for the disk", found: local.Found{Default: -1, Firmware: true}, efi: true,
			names: []string{"firmware"}, deflt: "firmware", seconds: -1, says: "no boot option for a disk"},
		{name: "the firmware has tried already", found: local.Found{Default: -1, Firmware: true}, told: true,
			names: []string{"firmware"}, deflt: "firmware", seconds: -1, says: "could not start the disk"},
		{name: "without drivers", found: local.Found{Default: -1, Firmware: true}, lacking: "none",
			names: []string{"firmware"}, deflt: "firmware", seconds: doubtSeconds},
		{name: "nothing", found: local.Found{Default: -1, Notes: []string{"sda has no partitions"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := &Node{Config: Config{Facts: hardware.Facts{EFI: c.efi}, Cmdline: config.Cmdline{LocalFailed: c.told}}}
			n.disks.lacking = c.lacking
			l := &localStart{node: n, found: &c.found, options: c.options, failed: map[string]string{}}
			if c.failed != "" {
				l.failed[c.failed] = "it was refused"
			}
			items := l.items()
			var names []string
			for _, i := range items {
				names = append(names, i.Name)
			}
			if !slices.Equal(names, c.names) {
				t.Errorf("offers %q, want %q", names, c.names)
			}
			if len(items) == 0 {
				return
			}
			if deflt, seconds := l.deflt(items); deflt != c.deflt || seconds != c.seconds {
				t.Errorf("starts %q after %d s, want %q after %d s", deflt, seconds, c.deflt, c.seconds)
			}
			if said := strings.Join(l.notices(), "\n"); !strings.Contains(said, c.says) {
				t.Errorf("says %q, want something of %q", said, c.says)
			}
		})
	}
}
