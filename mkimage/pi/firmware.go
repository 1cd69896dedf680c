package pi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// firmwareFolders are where, below the folder that is named, the firmware may be: there itself, in a checkout of raspberrypi/firmware, in
// a root file system of Debian 12 and of Raspberry Pi OS, in Debian's package raspi-firmware.
var firmwareFolders = []string{"", "boot", "boot/firmware", "usr/lib/raspi-firmware"}

// firmware returns the folder of the firmware. A package is unpacked into temp.
func (o Options) firmware(ctx context.Context, temp string) (string, error) {
	info, err := os.Stat(o.Firmware)
	switch {
	case err == nil && info.IsDir():
		return firmwareIn(o.Firmware, o.Firmware)
	case err == nil && strings.HasSuffix(o.Firmware, ".deb"):
		if out, err := exec.CommandContext(ctx, "dpkg-deb", "-x", o.Firmware, temp).CombinedOutput(); err != nil {
			return "", fmt.Errorf("unpack the package %s: %w: %s", o.Firmware, err, strings.TrimSpace(string(out)))
		}
		return firmwareIn(temp, o.Firmware)
	case err == nil:
		return "", &OptionError{fmt.Sprintf("--firmware %s is neither a folder nor a package (.deb)", o.Firmware)}
	case !errors.Is(err, fs.ErrNotExist) || strings.ContainsRune(o.Firmware, filepath.Separator) || strings.HasSuffix(o.Firmware, ".deb"):
		return "", fmt.Errorf("the firmware: %w", err)
	}
	dir, err := o.download(ctx)
	if err != nil {
		return "", err
	}
	return firmwareIn(dir, "the package "+o.Firmware)
}

// firmwareIn finds the firmware in a folder that the operator knows as what.
func firmwareIn(dir, what string) (string, error) {
	for _, below := range firmwareFolders {
		for _, name := range []string{"start4.elf", "bcm2711-rpi-4-b.dtb", "bcm2712-rpi-5-b.dtb"} {
			path := filepath.Join(dir, below)
			if _, err := os.Stat(filepath.Join(path, name)); err == nil {
				return path, nil
			}
		}
	}
	return "", fmt.Errorf("there is no firmware of a Raspberry Pi in %s: no start4.elf in it or in its folders boot, boot/firmware and usr/lib/raspi-firmware", what)
}
