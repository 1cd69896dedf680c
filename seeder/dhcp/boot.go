package dhcp

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// offer is what a boot client is told to load.
type offer struct {
	// file is a name on the TFTP server or a URL.
	file string
	// direct lets PXE firmware load file from the offer itself, without asking a boot server on port 4011 first.
	direct bool
}

// offer chooses what c boots, with the seeder at addr. The error says what this machine lacks and what to do.
func (b Boot) offer(c client, addr netip.Addr) (offer, error) {
	base := fmt.Sprintf("http://%s:%d", addr, b.HTTPPort)
	switch {
	case c.kind == phase1:
		return offer{file: base}, nil
	case !supported(c.arch):
		return offer{}, fmt.Errorf("architecture %s is not supported: BootTorrent's client OS is for x64; %s", c.archName(), remedy(c.arch))
	case c.kind == ipxe:
		// The script, and not iPXE again: that would never end.
		return offer{file: base + catalog.PathScript, direct: true}, nil
	case c.kind == httpBoot:
		if b.HTTPEFI != nil {
			if name := b.HTTPEFI(); name != "" {
				return offer{file: base + catalog.PathBoot + name}, nil
			}
		}
		return offer{}, noLoader("HTTP boot on x64 UEFI")
	case isBIOS(c.arch):
		if b.BIOS == "" {
			return offer{}, noLoader("PC BIOS")
		}
		return offer{file: b.BIOS, direct: true}, nil
	default:
		if b.EFI == "" {
			return offer{}, noLoader("x64 UEFI")
		}
		return offer{file: b.EFI}, nil
	}
}

// noLoader is the error for a loader that is not installed here.
func noLoader(what string) error {
	return fmt.Errorf("there is no boot loader for %s on this machine; install the package ipxe and restart the seeder", what)
}

// remedy is what the owner of an unsupported machine can try.
func remedy(a iana.Arch) string {
	switch a {
	case iana.EFI_IA32, iana.EFI_X86_HTTP:
		return "on a 64-bit processor with 32-bit UEFI, switch the firmware to legacy (BIOS) network boot"
	case iana.INTEL_X86PC_HTTP:
		return "switch the firmware to PXE"
	}
	return "such machines can't take part"
}

// pxeBootDirectly is option 43 with PXE's sub-option 6, PXE_DISCOVERY_CONTROL, whose bit 3 says: don't look for boot
// servers and show no menu, load the boot file of this offer (PXE 2.1, chapter 2). 255 ends the list.
var pxeBootDirectly = []byte{6, 1, 8, 255}

// put writes the offer to a reply: siaddr, file, and the options that make c take it.
func (o offer) put(reply, req *dhcpv4.DHCPv4, c client, addr netip.Addr) {
	reply.ServerIPAddr = addr.AsSlice()
	// BIOS firmware reads only this field, which holds 127 bytes and a NUL.
	reply.BootFileName = o.file
	reply.UpdateOption(dhcpv4.OptClassIdentifier(c.class))
	// UEFI reads option 67 before the field; HTTP boot and phase 1 read only the option.
	if strings.HasPrefix(o.file, "http://") || req.IsOptionRequested(dhcpv4.OptionBootfileName) {
		reply.UpdateOption(dhcpv4.OptBootFileName(o.file))
	}
	if c.kind == pxe {
		// The TFTP server is siaddr; sname and option 66 are for firmware that looks there first.
		reply.ServerHostName = addr.String()
		if req.IsOptionRequested(dhcpv4.OptionTFTPServerName) {
			reply.UpdateOption(dhcpv4.OptTFTPServerName(addr.String()))
		}
	}
	// The client's GUID (RFC 4578, section 2.3) comes back as it was sent, whatever its length: PXE 2.1 lets the client compare.
	if guid := req.Options.Get(dhcpv4.OptionClientMachineIdentifier); guid != nil {
		reply.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionClientMachineIdentifier, guid))
	}
	if o.direct {
		reply.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionVendorSpecificInformation, pxeBootDirectly))
	}
}
