package loaders

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/internal/site"
)

// Firmware is what asks for a boot file.
type Firmware struct {
	// Arch is that of the machine. BIOS says that it is a PC with BIOS, and not UEFI.
	Arch arch.Arch
	BIOS bool
	// HTTP says that it boots by HTTP, and not by TFTP.
	HTTP bool
	// IPXE says that its PXE stack is an iPXE, which can't run our script. Shim never comes behind that: what iPXE of 2019 tells of a
	// file's length is the buffer's, and shim refuses GRUB for it.
	IPXE bool
	// Told is how often it was told already what to load, and came again without having started it.
	Told int
	// Named says that the DHCP server that gave it its address names the seeder as the next server (siaddr). That is the one
	// thing by which Debian's GRUB finds its TFTP server: it does not look into the offer of a proxy.
	Named bool
}

// Choice is a boot file for some firmware.
type Choice struct {
	// File is a name on the TFTP server, or below /boot/ for HTTP boot.
	File string
	// Secure says that the file is for Secure Boot: shim, or a program that is signed with the site's own key.
	Secure bool
}

// Choose says what firmware gets in a site with this setting of uefi. The error says what is missing and what to do.
func (l *Loaders) Choose(uefi site.UEFI, f Firmware) (Choice, error) {
	switch {
	case f.BIOS:
		return l.first(f, Choice{File: BIOS})
	case uefi == site.UEFIUKI:
		return l.own(f)
	case f.HTTP:
		return l.byHTTP(uefi, f)
	case f.IPXE:
		return l.first(f, Choice{File: IPXE(f.Arch)})
	case uefi == site.UEFIiPXE:
		return l.first(f, Choice{File: IPXE(f.Arch)}, Choice{File: l.uki(f.Arch)})
	}
	shim, signed := l.SignedIPXE(f.Arch)
	switch {
	case signed:
		return Choice{File: shim, Secure: true}, nil
	case f.Named && l.HasShim(f.Arch):
		return Choice{File: Shim(f.Arch), Secure: true}, nil
	}
	return l.first(f, Choice{File: IPXE(f.Arch)}, Choice{File: l.uki(f.Arch)})
}

// byHTTP is what UEFI HTTP boot gets. Debian's GRUB has no HTTP, so with Secure Boot on these go on: what is signed with a key that the
// firmware knows, iPXE's own shim, and a disk image with all that shim and GRUB load, of which the firmware makes a RAM disk. DHCP can't tell
// whether firmware can do that, and whether Secure Boot is on: so firmware that comes again gets the program and the disk in turn.
func (l *Loaders) byHTTP(uefi site.UEFI, f Firmware) (Choice, error) {
	if l.SignedUKI(f.Arch) {
		return l.own(f)
	}
	if shim, ok := l.SignedIPXE(f.Arch); ok && uefi != site.UEFIiPXE {
		return Choice{File: shim, Secure: true}, nil
	}
	program := l.uki(f.Arch)
	if disk := l.inImage(f.Arch, image.HTTPDisk); disk != "" && uefi != site.UEFIiPXE && (program == "" || f.Told%2 == 0) {
		return Choice{File: disk, Secure: true}, nil
	}
	http := HTTP
	if f.Arch == arch.ARM64 {
		http = ARM64
	}
	return l.first(f, Choice{File: program}, Choice{File: http})
}

// own is phase 1 as one program.
func (l *Loaders) own(f Firmware) (Choice, error) {
	if name := l.uki(f.Arch); name != "" {
		return Choice{File: name, Secure: l.SignedUKI(f.Arch)}, nil
	}
	return Choice{}, fmt.Errorf("%s is missing, which it gets with uefi: uki; run "+self.Mkimage()+" DIR%s with the package systemd-boot-efi installed",
		path.Join(site.ImageDir, image.Folder(f.Arch), image.UKI), archOption(f.Arch))
}

// first is the first choice that is there.
func (l *Loaders) first(f Firmware, choices ...Choice) (Choice, error) {
	for _, c := range choices {
		if c.File != "" && (path.Base(c.File) == image.UKI || l.Has(c.File)) {
			return c, nil
		}
	}
	return Choice{}, missing(f)
}

// missing says which package brings what this firmware could start.
func missing(f Firmware) error {
	way := "PXE"
	if f.HTTP {
		way = "HTTP boot"
	}
	switch {
	case f.BIOS:
		return errors.New("there is no boot loader for PC BIOS on this machine; install the package ipxe")
	case f.Arch == arch.ARM64:
		return fmt.Errorf("there is nothing for %s on arm64 UEFI; run "+self.Mkimage()+" DIR --arch arm64, which puts the client OS and the boot loaders there", way)
	}
	return fmt.Errorf("there is no boot loader for %s on x64 UEFI on this machine; install the package ipxe, or %s", way,
		strings.Join(Packages(f.Arch), " and "))
}

// inImage is the name below /boot/ of a file of the image for an architecture, or empty if it is not there.
func (l *Loaders) inImage(a arch.Arch, file string) string {
	name := path.Join(image.Folder(a), file)
	if !regular(filepath.Join(l.dir, site.ImageDir, filepath.FromSlash(name))) {
		return ""
	}
	return name
}

// uki is the name of phase 1 as one program, or empty if there is none.
func (l *Loaders) uki(a arch.Arch) string { return l.inImage(a, image.UKI) }

// HasUKI reports whether there is phase 1 as one program.
func (l *Loaders) HasUKI(a arch.Arch) bool { return l.uki(a) != "" }

// SignedUKI reports whether that program is signed with the site's own key, as its manifest says.
func (l *Loaders) SignedUKI(a arch.Arch) bool {
	made, err := image.ReadMade(filepath.Join(l.dir, site.ImageDir, image.Folder(a)))
	return err == nil && made.SignedBy != nil && l.uki(a) != ""
}

// HasImage reports whether there is a client OS for an architecture.
func (l *Loaders) HasImage(a arch.Arch) bool {
	_, err := os.Stat(filepath.Join(l.dir, site.ImageDir, image.Folder(a), image.Kernel))
	return err == nil
}

// archOption is what mkimage is told to make the image of an architecture.
func archOption(a arch.Arch) string {
	if a == arch.AMD64 {
		return ""
	}
	return " --arch " + string(a)
}
