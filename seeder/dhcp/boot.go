package dhcp

import (
	"errors"
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
	// item is the boot item that the client asked for, as it comes back; see bootItem.
	item []byte
	// pi: it is for the firmware of a Raspberry Pi, which knows itself what to load.
	pi bool
}

// offer chooses what c boots, with the seeder at addr. named says that the server that gives c its address names the seeder as the
// next server; see loaders.Firmware. The error says what this machine lacks and what to do.
func (b Boot) offer(c client, addr netip.Addr, named bool) (offer, error) {
	base := fmt.Sprintf("http://%s:%d", addr, b.HTTPPort)
	switch {
	case c.kind == phase1:
		return offer{file: base}, nil
	case c.pi:
		return b.offerPi()
	case !supported(c.arch):
		return offer{}, fmt.Errorf("architecture %s is not supported: BootTorrent's client OS is for x64 and arm64; %s", c.archName(), remedy(c.arch))
	case c.kind == ipxe && isARM64(c.arch):
		return offer{file: base + catalog.PathScriptARM64, direct: true}, nil
	case c.kind == ipxe:
		// The script, and not iPXE again: that would never end.
		return offer{file: base + catalog.PathScript, direct: true}, nil
	case c.kind != httpBoot && b.NoTFTP:
		return offer{}, errors.New("its firmware boots by TFTP, which is switched off; remove ports: tftp: 0 from boottorrent.yaml, or boot it by HTTP or from a medium")
	case b.Choose == nil:
		return offer{}, errors.New("this seeder has no boot loaders")
	}
	choice, err := b.Choose(c.firmware(named))
	if err != nil {
		return offer{}, err
	}
	if c.kind == httpBoot {
		choice.File = base + catalog.PathBoot + choice.File
	}
	return offer{file: choice.File, direct: isBIOS(c.arch)}, nil
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

// Sub-options of option 43 as PXE 2.1 (chapter 2) has it.
const (
	pxeDiscoveryControl = 6
	pxeBootItem         = 71
	pxeEnd              = 255
	// bootDirectly is bit 3 of PXE_DISCOVERY_CONTROL: don't look for boot servers and show no menu, load the boot file of this offer.
	bootDirectly = 8
)

// vendorOptions is option 43 of a reply, or nil if there is nothing to say.
func (o offer) vendorOptions() []byte {
	if o.pi {
		return piMenu()
	}
	var b []byte
	if o.direct {
		b = append(b, pxeDiscoveryControl, 1, bootDirectly)
	}
	if o.item != nil {
		b = append(append(b, pxeBootItem, byte(len(o.item))), o.item...)
	}
	if b != nil {
		b = append(b, pxeEnd)
	}
	return b
}

// bootItem is PXE_BOOT_ITEM of a request on port 4011: type and layer of what was chosen from a menu of boot servers. PXE 2.1
// (chapter 2.4) wants it back in the answer; ROMs that asked for one drop answers without.
func bootItem(req *dhcpv4.DHCPv4) []byte {
	sub := dhcpv4.Options{}
	_ = sub.FromBytes(req.Options.Get(dhcpv4.OptionVendorSpecificInformation)) // what stands before an error counts
	if item := sub.Get(dhcpv4.GenericOptionCode(pxeBootItem)); len(item) == 4 {
		return item
	}
	return nil
}

// put writes the offer to a reply: siaddr, file, and the options that make c take it.
func (o offer) put(reply, req *dhcpv4.DHCPv4, c client, addr netip.Addr) {
	reply.ServerIPAddr = addr.AsSlice()
	// BIOS firmware reads only this field, which holds 127 bytes and a NUL.
	reply.BootFileName = o.file
	reply.UpdateOption(dhcpv4.OptClassIdentifier(c.class))
	// UEFI reads option 67 before the field; HTTP boot and phase 1 read only the option.
	if strings.HasPrefix(o.file, "http://") || o.file != "" && req.IsOptionRequested(dhcpv4.OptionBootfileName) {
		reply.UpdateOption(dhcpv4.OptBootFileName(o.file + c.textEnd()))
	}
	if c.kind == pxe {
		// The TFTP server is siaddr; sname and option 66 are for firmware that looks there first.
		reply.ServerHostName = addr.String()
		if req.IsOptionRequested(dhcpv4.OptionTFTPServerName) {
			reply.UpdateOption(dhcpv4.OptTFTPServerName(addr.String() + c.textEnd()))
		}
	}
	// The client's GUID (RFC 4578, section 2.3) comes back as it was sent, whatever its length: PXE 2.1 lets the client compare.
	if guid := req.Options.Get(dhcpv4.OptionClientMachineIdentifier); guid != nil {
		reply.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionClientMachineIdentifier, guid))
	}
	if v := o.vendorOptions(); v != nil {
		reply.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionVendorSpecificInformation, v))
	}
}
