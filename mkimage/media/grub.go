package media

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// GRUB is the part of GRUB that is installed on this machine for others with BIOS (Debian's packages grub-common and grub-pc-bin).
type GRUB struct {
	tool string
	dir  string
	// boot is the master boot record's program.
	boot []byte
	temp string
}

// Offsets in GRUB's programs: grub-core/boot/i386/pc/boot.S and diskboot.S, include/grub/offsets.h and
// include/grub/i386/pc/boot.h of GRUB 2.06.
const (
	bootCode     = 440
	coreAt       = 0x5c // the sector of the core
	driveCheckAt = 0x66
	blockListAt  = 0x200 - 12 // in the core's first sector: where the rest of it begins
)

// grubModules are what the script needs.
var grubModules = []string{"biosdisk", "part_gpt", "part_msdos", "fat", "iso9660", "loopback", "linux", "vbe", "echo", "sleep", "reboot"}

const (
	grubDir     = "/usr/lib/grub/i386-pc"
	grubInstall = "apt-get install grub-common grub-pc-bin"
)

// NewGRUB finds GRUB. temp is a folder for files in the making. The error says what to install.
func NewGRUB(temp string) (*GRUB, error) {
	tool, err := exec.LookPath("grub-mkimage")
	if err != nil {
		return nil, fmt.Errorf("grub-mkimage, which makes the medium's way for BIOS, is missing: %s", grubInstall)
	}
	boot, err := os.ReadFile(filepath.Join(grubDir, "boot.img"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("GRUB for BIOS is missing in %s: %s", grubDir, grubInstall)
	}
	if err != nil {
		return nil, err
	}
	if len(boot) != 512 {
		return nil, fmt.Errorf("%s/boot.img has %d bytes, not 512; install it again: %s", grubDir, len(boot), grubInstall)
	}
	return &GRUB{tool: tool, dir: grubDir, boot: boot, temp: temp}, nil
}

// core makes GRUB's program with its script in it. prefix is where it takes its root to be.
func (g *GRUB) core(ctx context.Context, prefix, script string) ([]byte, error) {
	return g.make(ctx, "i386-pc", prefix, script)
}

// cdCore is core for El Torito, with the sectors that a BIOS loads before it.
func (g *GRUB) cdCore(ctx context.Context, prefix, script string) ([]byte, error) {
	return g.make(ctx, "i386-pc-eltorito", prefix, script)
}

func (g *GRUB) make(ctx context.Context, format, prefix, script string) ([]byte, error) {
	config, out := filepath.Join(g.temp, "grub.cfg"), filepath.Join(g.temp, "grub.img")
	if err := os.WriteFile(config, []byte(script), 0o644); err != nil {
		return nil, err
	}
	args := append([]string{"--directory=" + g.dir, "--format=" + format, "--prefix=" + prefix, "--config=" + config, "--output=" + out}, grubModules...)
	if said, err := exec.CommandContext(ctx, g.tool, args...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("grub-mkimage: %w: %s", err, strings.TrimSpace(string(said)))
	}
	return os.ReadFile(out)
}
