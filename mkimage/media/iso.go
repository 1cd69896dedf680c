package media

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Names of the files in an ISO image.
const (
	isoESP  = "boot/esp.img"
	isoGRUB = "boot/grub.img"
)

// xorriso is the tool that makes ISO images.
const xorriso = "xorriso"

// CheckISO says what to install if ISO images can't be made here.
func CheckISO() error {
	if _, err := exec.LookPath(xorriso); err != nil {
		return fmt.Errorf("%s, which makes ISO images, is missing: apt-get install xorriso", xorriso)
	}
	return nil
}

// ISO writes an ISO image (ECMA-119) to path that starts as a CD or DVD by BIOS and UEFI (El Torito), and as a disk when it is
// written on one: it has a partition table over the same bytes. g makes its way for BIOS, and there is none if it is nil; the rest does
// xorriso, which must be installed. temp is a folder for files in the making.
func (c Contents) ISO(ctx context.Context, g *GRUB, temp, path string) error {
	if err := CheckISO(); err != nil {
		return err
	}
	tree := filepath.Join(temp, "iso")
	if err := c.tree(ctx, g, tree); err != nil {
		return fmt.Errorf("make an ISO image: %w", err)
	}
	args := []string{"-as", "mkisofs", "-quiet", "-o", path, "-V", strings.ToUpper(c.Label), "-r", "-J", "-joliet-long",
		"--modification-date=" + made.Format("20060102150405") + "00", "--set_all_file_dates", made.Format("20060102150405") + "00"}
	if g != nil {
		args = append(args, "-b", isoGRUB, "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", "--grub2-boot-info",
			"--grub2-mbr", filepath.Join(g.dir, "boot_hybrid.img"), "--protective-msdos-label", "--mbr-force-bootable")
	}
	args = append(args, "-partition_cyl_align", "off", "--efi-boot", isoESP, "-efi-boot-part", "--efi-boot-image", tree)
	cmd := exec.CommandContext(ctx, xorriso, args...)
	cmd.Env = append(os.Environ(), fmt.Sprintf("SOURCE_DATE_EPOCH=%d", made.Unix()), "TZ=UTC")
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make an ISO image: xorriso: %w: %s", err, strings.TrimSpace(string(said)))
	}
	return nil
}

// tree writes the files that go into the image.
func (c Contents) tree(ctx context.Context, g *GRUB, tree string) error {
	esp, err := c.fileSystem(0)
	if err != nil {
		return err
	}
	const inESP = "loopback esp /" + isoESP + "\nset root=esp\n"
	files := map[string][]byte{isoESP: esp}
	if g != nil {
		if files[isoGRUB], err = g.cdCore(ctx, "(cd)", c.script(inESP+c.picture())); err != nil {
			return err
		}
	}
	if c.Chain != nil {
		files[efiConfig] = []byte(c.script(inESP)) // for GRUB that was started from a disc
	}
	for _, f := range c.Files {
		files[f.Path] = f.Data
	}
	if err := os.RemoveAll(tree); err != nil {
		return err
	}
	for name, data := range files {
		path := filepath.Join(tree, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return err
		}
		if err := os.Chtimes(path, time.Time{}, made); err != nil {
			return err
		}
	}
	return nil
}
