package selftest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kballard/go-shellquote"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/authenticode"
	"github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/secureboot"
	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/loaders"
)

// ipxe are the programs of iPXE that machines need; without Secure Boot all do but those that boot by UEFI's own HTTP.
var ipxe = []string{loaders.BIOS, loaders.SNP, loaders.HTTP}

// loaders looks for iPXE, without which most firmware of PCs gets nothing by TFTP.
func (in Input) loaders() []Finding {
	if !slices.Contains(in.arches(), arch.AMD64) {
		return nil
	}
	l := &list{about: "loaders"}
	const install = "apt-get install ipxe"
	var missing []string
	for _, name := range ipxe {
		if !in.Loaders.Has(name) {
			missing = append(missing, name)
		}
	}
	switch {
	case len(missing) == 0:
	case len(missing) == len(ipxe):
		l.problem("iPXE is not installed on this machine, so firmware gets no boot loader; only sticks, discs and UEFI HTTP boot work", install)
	default:
		l.problem(fmt.Sprintf("of iPXE %s is not installed on this machine, so a part of the machines gets no boot loader", strings.Join(missing, ", ")), install)
	}
	return l.found
}

// secureBoot tells what keeps machines with Secure Boot on from booting from the network.
func (in Input) secureBoot() []Finding {
	l := &list{about: "secure boot"}
	arches := in.arches()
	switch uefi := in.Site.UEFI; {
	case uefi == site.UEFIUKI:
		for _, a := range arches {
			in.ownProgram(l, a)
		}
	case slices.Contains(arches, arch.AMD64) && (uefi == site.UEFIAuto || uefi == site.UEFIShim):
		in.chain(l, uefi)
	}
	return l.found
}

// chain looks at shim, GRUB and the kernel that they start.
func (in Input) chain(l *list, uefi site.UEFI) {
	if _, ok := in.Loaders.SignedIPXE(arch.AMD64); ok {
		return // iPXE's own shim goes first
	}
	packages := loaders.Packages(arch.AMD64)
	if !in.Loaders.HasShim(arch.AMD64) {
		what, do := "machines with Secure Boot on get nothing from the network: shim or Debian's signed GRUB is not installed on this machine", "apt-get install "+strings.Join(packages, " ")
		if uefi == site.UEFIShim {
			l.problem(what+", and uefi is shim", do)
		} else {
			l.note(what, do+"; or write uefi: ipxe in "+site.ConfigFile+" if there are none")
		}
		return
	}
	if in.Site.Ports.TFTP == 0 && uefi == site.UEFIShim {
		l.problem("uefi is shim, which loads everything by TFTP, and TFTP is switched off", "remove ports: tftp: 0 from "+site.ConfigFile)
	}
	in.kernel(l, arch.AMD64)
}

// kernel looks whether shim lets phase 1's kernel start.
func (in Input) kernel(l *list, a arch.Arch) {
	name := filepath.Join(site.ImageDir, image.Folder(a), image.Kernel)
	kernel, err := os.Open(filepath.Join(in.Site.Dir, name))
	if err != nil {
		return // of which the image's own test tells
	}
	defer kernel.Close()
	keys := in.byShim(a)
	if len(keys) == 0 {
		l.warning(fmt.Sprintf("whose kernels %s starts can't be read", loaders.Shim(a)), "install the package shim-signed again, or put another one there")
		return
	}
	info, err := kernel.Stat()
	if err != nil {
		return
	}
	signed, err := authenticode.Read(kernel, info.Size())
	if err == nil {
		trusts := secureboot.State{SecureBoot: true, Locked: true, Trusted: keys, KeysKnown: true}
		err = trusts.Refuses(signed)
	}
	if err != nil {
		say := l.warning
		if in.Site.UEFI == site.UEFIShim {
			say = l.problem
		}
		say(fmt.Sprintf("machines with Secure Boot on don't start %s: it is not signed by %s, whose kernels shim starts", name, keys[0].Name),
			"make the image with Debian's own kernel ("+self.Mkimage()+" "+shellquote.Join(in.Site.Dir)+" without --kernel), or write uefi: ipxe in "+site.ConfigFile)
	}
}

// ownProgram looks at what machines of an architecture get that know the site's own key.
func (in Input) ownProgram(l *list, a arch.Arch) {
	name := filepath.Join(site.ImageDir, image.Folder(a), image.UKI)
	build := in.build(a) + " --sign"
	switch {
	case !in.Loaders.HasUKI(a):
		l.problem(fmt.Sprintf("uefi is uki, and %s is missing, so UEFI machines of %s get nothing from the network", name, a), "apt-get install systemd-boot-efi, and "+build)
	case !in.Loaders.SignedUKI(a):
		l.problem(fmt.Sprintf("uefi is uki, and %s is not signed, so machines with Secure Boot on refuse it", name),
			"make keys first if there are none ("+self.Mkimage()+" keys "+shellquote.Join(in.Site.Dir)+"), and "+build)
	}
}
