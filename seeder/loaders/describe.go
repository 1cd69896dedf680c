package loaders

import (
	"fmt"
	"path"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/site"
)

// machine is how the architectures are called where firmware is spoken of.
var machine = map[arch.Arch]string{arch.AMD64: "x64", arch.ARM64: "arm64"}

// Describe says for a person what machines with UEFI get, one line for each architecture that there is an image for, and for x64 always.
func (l *Loaders) Describe(uefi site.UEFI) (lines []string) {
	for _, a := range arch.All {
		if a != arch.AMD64 && !l.HasImage(a) {
			continue
		}
		lines = append(lines, fmt.Sprintf("%s UEFI: by PXE %s; by HTTP %s", machine[a],
			l.describe(uefi, Firmware{Arch: a, Named: true}), l.describe(uefi, Firmware{Arch: a, HTTP: true})))
	}
	return lines
}

func (l *Loaders) describe(uefi site.UEFI, f Firmware) string {
	c, err := l.Choose(uefi, f)
	switch {
	case err != nil:
		return "nothing"
	case c.File == Shim(f.Arch):
		return "shim and Debian's signed GRUB"
	case c.Secure && path.Base(c.File) == image.UKI:
		return c.File + ", signed with the site's key"
	case path.Base(c.File) == image.HTTPDisk:
		return "shim and Debian's signed GRUB on a RAM disk"
	case c.Secure:
		return c.File + ", which starts with Secure Boot on"
	}
	return c.File + ", where Secure Boot is off"
}
