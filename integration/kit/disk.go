package kit

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/boottorrent/boottorrent/integration/tiny"
	"github.com/boottorrent/boottorrent/internal/arch"
)

// Where the partitions of a disk are, in sectors of 512 bytes: where GRUB for BIOS has its second stage, the EFI system partition, and the
// root file system.
const (
	diskSectors            = 320 << 11
	biosStart, biosSectors = 1 << 11, 1 << 11
	espStart, espSectors   = 2 << 11, 40 << 11
	rootStart              = 48 << 11
	rootSectors            = diskSectors - rootStart - 1<<11
)

// DiskMenu is what GRUB on the disk of [MakeDisk] has as its configuration: as Debian's, with a submenu and a choice that is kept.
const DiskMenu = `set default="0"
if [ -s $prefix/grubenv ]; then load_env; fi
set timeout=1
serial --unit=0 --speed=115200
terminal_input serial console
terminal_output serial console
menuentry 'Debian GNU/Linux, on the disk' --class debian --id simple {
	search --no-floppy --file --set=root /boot/vmlinuz-tiny
	echo 'GRUB-OF-THE-DISK starts it'
	linux /boot/vmlinuz-tiny root=UUID=0 ro console=ttyS0,115200 from=disk no5lvl
	initrd /boot/initrd.img-tiny
}
submenu 'Advanced options' {
	menuentry 'Debian GNU/Linux, an older kernel' --id old {
		linux /boot/vmlinuz-gone root=UUID=0
		initrd /boot/initrd.img-gone
	}
}
`

// MakeDisk makes the image of a disk with the tiny system on it, started by GRUB for BIOS and for UEFI: a GUID partition table, an EFI
// system partition, and an ext4 file system with kernel, initrd and menu. No loop device is used.
func (s *Site) MakeDisk(ctx context.Context, path, menu string) error {
	modules, err := cardModules(ctx, arch.AMD64)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), "disk-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	boot := filepath.Join(dir, "root", "boot")
	for _, d := range []string{filepath.Join(boot, "grub"), filepath.Join(dir, "root", "etc"), filepath.Join(dir, "root", "usr")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	kernel, err := os.ReadFile(s.Path("image", "vmlinuz"))
	if err == nil {
		err = errors.Join(os.WriteFile(filepath.Join(boot, "vmlinuz-tiny"), kernel, 0o644), os.WriteFile(filepath.Join(boot, "grub", "grub.cfg"), []byte(menu), 0o644),
			tiny.Initrd(ctx, filepath.Join(boot, "initrd.img-tiny"), arch.AMD64, modules))
	}
	if err != nil {
		return err
	}
	return assemble(ctx, dir, path)
}

// grubConfig leads GRUB to its menu, wherever it is.
const grubConfig = "search --no-floppy --file --set=root /boot/grub/grub.cfg\nset prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n"

var grubModules = strings.Fields("part_gpt ext2 fat search search_fs_file configfile normal linux echo test serial terminal loadenv")

// assemble puts the disk together of the folder root in dir.
func assemble(ctx context.Context, dir, path string) error {
	at := func(name string) string { return filepath.Join(dir, name) }
	run := func(name string, args ...string) error {
		if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", name, err, out)
		}
		return nil
	}
	grub := func(format, out string, modules ...string) error {
		return run("grub-mkimage", append([]string{"-O", format, "-o", out, "-c", at("early.cfg"), "-p", "/boot/grub"}, append(grubModules, modules...)...)...)
	}
	return errors.Join(
		os.WriteFile(at("early.cfg"), []byte(grubConfig), 0o644),
		grub("i386-pc", at("core.img"), "biosdisk"), grub("x86_64-efi", at("grub.efi")),
		run("truncate", "-s", fmt.Sprint(rootSectors*512), at("root.img")), run("mkfs.ext4", "-q", "-F", "-d", at("root"), at("root.img")),
		run("truncate", "-s", fmt.Sprint(espSectors*512), at("esp.img")), run("mkfs.vfat", "-F", "32", at("esp.img")),
		run("mmd", "-i", at("esp.img"), "::/EFI", "::/EFI/BOOT", "::/EFI/debian"),
		run("mcopy", "-i", at("esp.img"), at("grub.efi"), "::/EFI/BOOT/BOOTX64.EFI"), run("mcopy", "-i", at("esp.img"), at("grub.efi"), "::/EFI/debian/grubx64.efi"),
		run("truncate", "-s", fmt.Sprint(diskSectors*512), path),
		run("sgdisk", "-a", "1", "-n", fmt.Sprintf("1:%d:+%d", biosStart, biosSectors), "-t", "1:ef02", "-n", fmt.Sprintf("2:%d:+%d", espStart, espSectors), "-t", "2:ef00",
			"-n", fmt.Sprintf("3:%d:+%d", rootStart, rootSectors), "-t", "3:8300", path),
		bootSectors(at("core.img"), path),
		run("dd", "conv=notrunc,sparse", "bs=1M", "if="+at("esp.img"), "of="+path, fmt.Sprintf("seek=%d", espStart/2048)),
		run("dd", "conv=notrunc,sparse", "bs=1M", "if="+at("root.img"), "of="+path, fmt.Sprintf("seek=%d", rootStart/2048)))
}

// bootSectors writes GRUB for BIOS as grub-bios-setup(8) does on a disk with a partition for it: the first sector says where the second
// stage begins (8 bytes at 0x5c), and that where it goes on (the last 12 bytes of its first sector, of which the number of sectors is
// there already).
func bootSectors(core, path string) error {
	boot, err := os.ReadFile("/usr/lib/grub/i386-pc/boot.img")
	if err != nil {
		return err
	}
	stage, err := os.ReadFile(core)
	if err != nil {
		return err
	}
	binary.LittleEndian.PutUint64(boot[0x5c:], biosStart)
	binary.LittleEndian.PutUint64(stage[512-12:], biosStart+1)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteAt(boot[:440], 0); err != nil {
		return err
	}
	_, err = f.WriteAt(stage, biosStart*512)
	return err
}
