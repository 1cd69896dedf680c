package dhcp

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/seederurl"
	"github.com/boottorrent/boottorrent/seeder/loaders"
)

// kind is what sort of program asks.
type kind int

const (
	// plain wants an address and nothing to boot: an installed system, a printer.
	plain kind = iota
	// pxe is firmware that boots by TFTP (PXE 2.1).
	pxe
	// httpBoot is UEFI firmware that boots by HTTP (UEFI 2.10, section 24.7).
	httpBoot
	// ipxe is iPXE, which boots by HTTP and runs scripts.
	ipxe
	// phase1 is BootTorrent's own client OS, which looks for the seeder.
	phase1
)

func (k kind) String() string {
	return [...]string{"plain", "PXE", "HTTP boot", "iPXE", "phase 1"}[k]
}

// Vendor classes (option 60) by which boot clients are known, and which replies to them carry.
const (
	classPXE    = "PXEClient"  // PXE 2.1, chapter 2
	classHTTP   = "HTTPClient" // UEFI 2.10, section 24.7
	classPhase1 = seederurl.VendorClass
)

// client is what a request says about the program that sent it.
type client struct {
	kind kind
	// class is what a reply's option 60 must be for the client to take it; empty: none.
	class string
	// arch is the architecture (RFC 4578, section 2.1); 0, PC BIOS, if kind is plain or phase1.
	arch iana.Arch
	// oldIPXE: it is an iPXE that can't run our script.
	oldIPXE bool
	// guessed: it named no architecture.
	guessed bool
	// told is how often its firmware was told already what to load, and came again; see attempts.
	told int
	// pi: it is a Raspberry Pi.
	pi bool
}

// textEnd is what stands behind a text in the options of a reply. ROMs of the 2000s and some UEFI firmware read options 66 and
// 67 up to a NUL, and take in what follows: option 97 behind 67 makes "undionly.kpxe" ask TFTP for "undionly.kpxea\x11", END for
// "undionly.kpxe\xff". dnsmasq ends both with a NUL for everybody that calls itself a PXEClient. Others get what the RFC says.
func (c client) textEnd() string {
	if c.kind == pxe && !c.pi {
		return "\x00"
	}
	return ""
}

// remarks are attributes for the log.
func (c client) remarks() []any {
	if c.guessed {
		return []any{"note", "it names no architecture and is taken for a PC with BIOS"}
	}
	return nil
}

// archName names the architecture with its number, as an operator finds it in other tools.
func (c client) archName() string { return fmt.Sprintf("%s (%d)", c.arch, uint16(c.arch)) }

// identify tells who asks.
func identify(req *dhcpv4.DHCPv4) client {
	class := req.ClassIdentifier()
	var c client
	switch {
	case strings.HasPrefix(class, classPhase1):
		return client{kind: phase1, class: classPhase1}
	case strings.HasPrefix(class, classHTTP):
		c = client{kind: httpBoot, class: classHTTP}
	case strings.HasPrefix(class, classPXE):
		// iPXE calls itself a PXEClient too, also when firmware's HTTP boot started it.
		c = client{kind: pxe, class: classPXE}
	case asksAsPi(req):
		c = client{kind: pxe, class: classPXE}
	default:
		return client{kind: plain}
	}
	var known bool
	c.arch, known = architecture(req)
	if !known {
		// UEFI firmware always says (EDK2 sends option 93, and so does U-Boot with PXE); what doesn't is a ROM older than PXE 2.1.
		c.guessed, c.arch = true, iana.INTEL_X86PC
		if c.kind == httpBoot {
			c.arch = iana.EFI_X86_64_HTTP
		}
	}
	switch {
	case c.kind == pxe && isIPXE(req):
		if c.oldIPXE = !canRunScript(req, c.arch); !c.oldIPXE {
			c.kind = ipxe
		}
	case c.kind == pxe && isBIOS(c.arch):
		c.pi = isRaspberryPi(req)
	}
	return c
}

// architecture reads option 93. PXE 2.1 demands it; where it is absent or garbled, the vendor class says the same:
// "PXEClient:Arch:00000:UNDI:002001". Of a list, which RFC 4578 permits, the first that is supported counts.
func architecture(req *dhcpv4.DHCPv4) (a iana.Arch, known bool) {
	if archs := req.ClientArch(); len(archs) > 0 {
		if i := slices.IndexFunc(archs, supported); i >= 0 {
			return archs[i], true
		}
		return archs[0], true
	}
	class := req.ClassIdentifier()
	if _, rest, ok := strings.Cut(class, ":Arch:"); ok {
		digits, _, _ := strings.Cut(rest, ":")
		if n, err := strconv.ParseUint(strings.TrimRight(digits, "\x00"), 10, 16); err == nil {
			return iana.Arch(n), true
		}
	}
	return 0, false
}

// supported reports whether there is a client OS for this architecture.
func supported(a iana.Arch) bool {
	return isBIOS(a) || isEFI(a) || a == iana.EFI_X86_64_HTTP || isARM64(a)
}

// isARM64: UEFI of arm64, by PXE or by HTTP boot.
func isARM64(a iana.Arch) bool { return a == iana.EFI_ARM64 || a == iana.EFI_ARM64_HTTP }

// firmware is what the choice of a boot file goes by; named as for Boot.offer.
func (c client) firmware(named bool) loaders.Firmware {
	f := loaders.Firmware{Arch: arch.AMD64, BIOS: isBIOS(c.arch), HTTP: c.kind == httpBoot, IPXE: c.oldIPXE, Named: named, Told: c.told}
	if isARM64(c.arch) {
		f.Arch = arch.ARM64
	}
	return f
}

func isBIOS(a iana.Arch) bool { return a == iana.INTEL_X86PC }

// isEFI: x64 UEFI is 7 for most firmware and 9 for the rest: RFC 4578 mixed up EFI byte code and x64, its errata and IANA's
// registry swapped them back, and both are in the field.
func isEFI(a iana.Arch) bool { return a == iana.EFI_X86_64 || a == iana.EFI_BC }

// isIPXE recognises iPXE by its user class. Builds with another user class, or none, still send iPXE's own options (175);
// gPXE, its unmaintained ancestor, does so as well, but calls itself gPXE.
func isIPXE(req *dhcpv4.DHCPv4) bool {
	classes := userClasses(req.Options.Get(dhcpv4.OptionUserClassInformation))
	if slices.Contains(classes, "iPXE") {
		return true
	}
	return len(classes) == 0 && req.Options.Has(dhcpv4.OptionEtherboot)
}

// iPXE's feature numbers, sub-options of option 175 (src/include/ipxe/features.h).
const (
	featureHTTP    = 0x13
	featureBzImage = 0x18
	featureEFI     = 0x24
)

// canRunScript reports whether this iPXE can do what our script asks of it: load a Linux kernel by HTTP. The ROMs of some
// network cards and hypervisors are built without; they are treated as plain PXE and get our iPXE first. An iPXE that lists
// no features is believed to have all.
func canRunScript(req *dhcpv4.DHCPv4, a iana.Arch) bool {
	raw := req.Options.Get(dhcpv4.OptionEtherboot)
	features := make(dhcpv4.Options)
	if len(raw) == 0 || features.FromBytes(raw) != nil {
		return true
	}
	loader := dhcpv4.GenericOptionCode(featureBzImage)
	if !isBIOS(a) {
		loader = featureEFI
	}
	return features.Has(dhcpv4.GenericOptionCode(featureHTTP)) && features.Has(loader)
}

// userClasses reads option 77. RFC 3004 wants a list of strings, each behind a byte with its length; iPXE and others send
// one bare string instead.
func userClasses(raw []byte) []string {
	if len(raw) == 0 {
		return nil
	}
	var classes []string
	for rest := raw; len(rest) > 0; {
		n := int(rest[0])
		if n == 0 || n >= len(rest) {
			return []string{string(raw)}
		}
		classes = append(classes, string(rest[1:1+n]))
		rest = rest[1+n:]
	}
	return classes
}
