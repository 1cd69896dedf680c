package local

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/need"
)

// tree makes files with their contents, and empty files where there is none, and returns their folder.
func tree(t *testing.T, files map[string]string) *os.Root {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

const debian = `set default="0"
if [ -s $prefix/grubenv ]; then load_env; set default="${saved_entry}"; fi
menuentry 'Debian' --id new { search --no-floppy --fs-uuid --set=root 1; linux /boot/vmlinuz-2 root=UUID=1 ro quiet
initrd /boot/initrd.img-2
}
submenu 'Advanced' { menuentry 'Debian, old' --id old { linux /boot/vmlinuz-1 root=UUID=1
initrd /boot/initrd.img-1
} }
`

// What is read of one file system: entries, the default, and in words what is wrong.
func TestRead(t *testing.T) {
	for _, c := range []struct {
		name, kind string
		files      map[string]string
		titles     []string
		deflt      string // its title
		missing    string // of the first entry
		note       string
		firmware   bool
	}{
		{name: "Debian", kind: "ext4", files: map[string]string{
			"boot/grub/grub.cfg": debian, "boot/vmlinuz-2": "", "boot/initrd.img-2": "", "boot/vmlinuz-1": "", "boot/initrd.img-1": "",
		}, titles: []string{"Debian", "Advanced > Debian, old"}, deflt: "Debian"},
		{name: "the choice that GRUB keeps", kind: "ext4", files: map[string]string{
			"boot/grub/grub.cfg": debian, "boot/grub/grubenv": "# GRUB Environment Block\nsaved_entry=old\nnext_entry=new\n####",
			"boot/vmlinuz-2": "", "boot/initrd.img-2": "", "boot/vmlinuz-1": "", "boot/initrd.img-1": "",
		}, titles: []string{"Debian", "Advanced > Debian, old"}, deflt: "Advanced > Debian, old"},
		{name: "a kernel that is missing", kind: "ext4", files: map[string]string{"boot/grub/grub.cfg": debian, "boot/vmlinuz-1": "", "boot/initrd.img-1": ""},
			titles: []string{"Debian", "Advanced > Debian, old"}, missing: "boot/vmlinuz-2"},
		{name: "entries of systemd-boot", kind: "vfat", files: map[string]string{
			"loader/entries/a-6.9.conf":  "title Nine\nlinux /a/linux\ninitrd /a/initrd\noptions root=9",
			"loader/entries/a-6.10.conf": "title Ten\nlinux /a/linux\ninitrd /a/initrd\noptions root=10",
			"a/linux":                    "", "a/initrd": "", "EFI/systemd/systemd-bootx64.efi": "",
		}, titles: []string{"Ten", "Nine"}, deflt: "Ten", firmware: true},
		{name: "a broken configuration", kind: "ext4", files: map[string]string{"boot/grub/grub.cfg": "menuentry 'Debian' {\nif true; then\n"}, note: "can't be read"},
		{name: "a configuration without Linux", kind: "ext4", files: map[string]string{"boot/grub/grub.cfg": "set timeout=5\n"}, note: "names no Linux kernel"},
		{name: "no boot loader", kind: "ext4", files: map[string]string{"etc/fstab": "", "usr/bin/true": ""}, note: "no configuration of a boot loader"},
		{name: "data", kind: "ext4", files: map[string]string{"photos/a.jpg": ""}},
		{name: "Windows", kind: "vfat", files: map[string]string{"EFI/Microsoft/Boot/bootmgfw.efi": ""}, firmware: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &Found{Default: -1}
			f.read(t.Context(), "sda2", c.kind, tree(t, c.files))
			f.settle()
			var titles []string
			for _, e := range f.Entries {
				titles = append(titles, e.Title)
			}
			deflt, missing := "", ""
			if f.Default >= 0 && f.Entries[f.Default].Missing == "" {
				deflt = f.Entries[f.Default].Title
			}
			if len(f.Entries) > 0 {
				missing = f.Entries[0].Missing
			}
			if !slices.Equal(titles, c.titles) || deflt != c.deflt || missing != c.missing || f.Firmware != c.firmware {
				t.Errorf("%q, default %q, missing %q, firmware %v; want %q, %q, %q, %v", titles, deflt, missing, f.Firmware, c.titles, c.deflt, c.missing, c.firmware)
			}
			if notes := strings.Join(f.Notes, "\n"); c.note == "" && notes != "" || !strings.Contains(notes, c.note) {
				t.Errorf("notes %q, want one with %q", notes, c.note)
			}
		})
	}
}

func TestIdentify(t *testing.T) {
	image := func(at int, magic string) []byte {
		b := make([]byte, 1<<17)
		copy(b[at:], magic)
		return b
	}
	for want, b := range map[string][]byte{
		"":          make([]byte, 1<<17),
		"LUKS":      image(0, "LUKS\xba\xbe\x00\x02"),
		"ntfs":      image(3, "NTFS    "),
		"BitLocker": image(3, "-FVE-FS-"),
		"LVM2":      image(512, "LABELONE"),
		"ext4":      image(1080, "\x53\xef"),
		"xfs":       image(0, "XFSB"),
		"btrfs":     image(0x10040, "_BHRfS_M"),
		"vfat":      image(0x52, "FAT32   "),
		"raid":      image(4096, "\xfc\x4e\x2b\xa9"),
	} {
		got, err := identifyIn(bytes.NewReader(b), int64(len(b)))
		if err != nil || got.name != want {
			t.Errorf("%q, %v; want %q", got.name, err, want)
		}
		if closed := want == "LUKS" || want == "LVM2" || want == "raid"; got.closed != closed || closed && got.means == "" {
			t.Errorf("%s: closed %v (%q), want %v", want, got.closed, got.means, closed)
		}
	}
	if _, err := identifyIn(bytes.NewReader([]byte("short")), 5); err != nil {
		t.Errorf("a partition of five bytes: %v", err)
	}
}

// sysfs makes a folder as /sys/class/block, with devices as files beside it.
func sysfs(t *testing.T, files map[string]string) machine {
	t.Helper()
	m := machine{sys: filepath.Join(t.TempDir(), "block"), dev: t.TempDir()}
	for name, content := range files {
		path := filepath.Join(m.sys, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func TestDisks(t *testing.T) {
	m := sysfs(t, map[string]string{
		"sda/size": "41943040", "sda/removable": "0", "sda/device/model": "QEMU HARDDISK", "sda/queue/logical_block_size": "512",
		"sda/sda2/partition": "2", "sda/sda2/start": "4096", "sda/sda1/partition": "1", "sda/sda1/start": "2048",
		"sda1/partition": "1", "sda1/size": "1", "sdb/size": "100", "sdb/removable": "1", "loop0/size": "100", "sr0/size": "100", "nvme0n1/size": "100",
		"nvme0n1/queue/logical_block_size": "4096", "nvme0n1/nvme0n1p1/partition": "1", "nvme0n1/nvme0n1p1/start": "2048", "mmcblk0boot0/size": "8", "sdc/size": "0",
	})
	disks, err := m.disks()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range disks {
		got = append(got, fmt.Sprint(d.String(), d.partitions))
	}
	want := []string{"sda (QEMU HARDDISK, 21 GB)[{sda1 1 2048} {sda2 2 4096}]", "nvme0n1 (0 MB)[{nvme0n1p1 1 256}]"}
	if !slices.Equal(got, want) {
		t.Errorf("disks %q, want %q", got, want)
	}
}

// An empty disk, one with an encrypted partition, and none at all: words, and nothing to start.
func TestNothing(t *testing.T) {
	m := sysfs(t, map[string]string{"sda/size": "1024", "sdb/size": "2048", "sdb/sdb1/partition": "1", "sdb/sdb1/start": "1"})
	luks := make([]byte, 1<<17)
	copy(luks, "LUKS\xba\xbe")
	for name, content := range map[string][]byte{"sda": make([]byte, 1<<17), "sdb": make([]byte, 1<<17), "sdb1": luks} {
		if err := os.WriteFile(filepath.Join(m.dev, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := m.scan(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	notes := strings.Join(f.Notes, "\n")
	if len(f.Entries) > 0 || f.Firmware || !f.Doubtful || !strings.Contains(notes, "sda (1 MB) has no partitions") || !strings.Contains(notes, "sdb1 is encrypted (LUKS)") {
		t.Errorf("found %+v", f)
	}
	if f, err := sysfs(t, nil).scan(t.Context(), t.TempDir()); err != nil || len(f.Notes) != 1 || !strings.Contains(f.Notes[0], "no disk") {
		t.Errorf("%+v, %v; want a word of no disk", f, err)
	}
}

// What is on a disk is read without a byte of it being written, as of a file system that was not unmounted.
func TestNothingIsWritten(t *testing.T) {
	need.Root(t)
	mkfs := need.Command(t, "mkfs.ext4", "e2fsprogs")
	losetup := need.Command(t, "losetup", "mount")
	debugfs := need.Command(t, "debugfs", "e2fsprogs")
	dir := t.TempDir()
	image, root := filepath.Join(dir, "image"), tree(t, map[string]string{"boot/grub/grub.cfg": debian, "boot/vmlinuz-2": "kernel", "boot/initrd.img-2": ""})
	run := func(name string, args ...string) string {
		t.Helper()
		out, err := exec.Command(name, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s %q: %v: %s", name, args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 16<<20); err != nil {
		t.Fatal(err)
	}
	run(mkfs, "-q", "-F", "-d", root.Name(), image)
	run(debugfs, "-w", "-R", "feature needs_recovery", image) // as after a power cut
	before, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	device := run(losetup, "--find", "--show", image)
	t.Cleanup(func() { run(losetup, "--detach", device) })
	name := filepath.Base(device)
	m := sysfs(t, map[string]string{"sda/size": "32768"})
	m.dev = filepath.Dir(device)
	f := &Found{Default: -1}
	f.lookAt(t.Context(), m, disk{name: name}, filepath.Join(dir, "mounts"))
	f.settle()
	if len(f.Entries) != 2 || f.Default != 0 || f.Entries[0].Missing != "" {
		t.Errorf("entries %+v, notes %q", f.Entries, f.Notes)
	} else if kernel, err := f.Entries[0].Open(f.Entries[0].Kernel); err != nil {
		t.Error(err)
	} else {
		kernel.Close()
	}
	f.Close()
	if after, err := os.ReadFile(image); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the disk is another than before (%v)", err)
	}
	if left, _ := os.ReadDir(filepath.Join(dir, "mounts")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
