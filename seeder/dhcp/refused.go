package dhcp

import (
	"fmt"
	"path"
	"strings"

	"github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/seeder/loaders"
)

// refused says why UEFI firmware that was told what to load comes again without having started it, and what to do.
func (h *handler) refused(a *attempt) string {
	c := client{kind: a.kind, arch: a.arch, oldIPXE: a.oldIPXE}
	named := h.pool != nil
	if h.boot.Choose == nil {
		return "this seeder has no boot loaders"
	}
	choice, err := h.boot.Choose(c.firmware(named))
	if err != nil {
		return err.Error()
	}
	told := fmt.Sprintf("it was told to load %s and comes again without having started it", choice.File)
	if path.Base(choice.File) == image.HTTPDisk {
		return told + ", " + image.UKI + " or that in turn: firmware that makes no RAM disk of an image starts the program, where Secure Boot is off; " +
			"its screen says what it does"
	}
	if choice.Secure {
		return told + ": its screen says why; firmware from before 2013 does not know the key that shim is signed with, and with uefi: uki " +
			"only machines start that know the site's own key"
	}
	return told + ". If Secure Boot is on in its firmware, that refuses the file: " + h.remedy(c, a)
}

// remedy is what to do for a machine with Secure Boot on that gets a file which nobody signed.
func (h *handler) remedy(c client, a *attempt) string {
	f := c.firmware(true)
	own := "sign the image with the site's own key, which its firmware must know (" + self.Mkimage() + " keys DIR; docs/secureboot.md)"
	if f.HTTP {
		f.HTTP = false
		if pxe, err := h.boot.Choose(f); err == nil && pxe.Secure {
			return "switch its firmware from HTTP boot to PXE, by which it gets " + pxe.File + ", or " + own
		}
		return own + "; or install " + packages(f) + " on the seeder's machine and run " + self.Mkimage() + " DIR, which then makes " + image.HTTPDisk
	}
	if f.IPXE {
		return "its PXE stack is an old iPXE, behind which shim does not work; switch to that of the firmware, switch Secure Boot off, or start it from a stick"
	}
	if pxe, err := h.boot.Choose(f); err != nil || !pxe.Secure {
		return "install " + packages(f) + " on the seeder's machine (and see uefi: in boottorrent.yaml), or " + own
	}
	return fmt.Sprintf("Debian's signed GRUB would start, but finds its files only if the DHCP server (%s) names this machine as the next server: set %s there "+
		"(siaddr; dnsmasq: dhcp-boot=%s,,%s), or set dhcp: mode: server and switch that one off, or %s", server(a), h.addr(), loaders.Shim(f.Arch), h.addr(), own)
}

func server(a *attempt) string {
	if a.server.IsValid() {
		return a.server.String()
	}
	return "of its network"
}

func packages(f loaders.Firmware) string { return strings.Join(loaders.Packages(f.Arch), " and ") }
