package dhcp

import (
	"bytes"
	"errors"
	"slices"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/boottorrent/boottorrent/internal/self"
)

// piOUIs are the first three bytes of Raspberry Pis' addresses (IEEE's registry).
var piOUIs = []string{"\xb8\x27\xeb", "\xdc\xa6\x32", "\xe4\x5f\x01", "\xd8\x3a\xdd", "\x28\xcd\xc1", "\x2c\xcf\x67", "\x88\xa2\x9e"}

// isRaspberryPi recognises the boot ROM of Raspberry Pis, which says "PXEClient:Arch:00000:UNDI:002001" and 0 in option 93, as PC
// BIOS does (raspberrypi/firmware, issue 871). It is known by its address, or by option 97: 00 and four times the serial number on
// a Pi 3, "RPi4" or "RPi5", the board's revision, the end of the address and the serial number on later ones (Raspberry Pi's
// documentation, DHCP_OPTION97).
func isRaspberryPi(req *dhcpv4.DHCPv4) bool {
	if slices.Contains(piOUIs, string(req.ClientHWAddr[:3])) {
		return true
	}
	guid := req.Options.Get(dhcpv4.OptionClientMachineIdentifier)
	if len(guid) != 17 || guid[0] != 0 {
		return false
	}
	serial := guid[1:5]
	said := slices.ContainsFunc(serial, func(b byte) bool { return b != 0 && b != 0xff })
	return bytes.HasPrefix(serial, []byte("RPi")) || said && bytes.Equal(bytes.Repeat(serial, 4), guid[1:])
}

// asksAsPi recognises a DHCPREQUEST of that ROM: releases of 2020 leave out the vendor class there (raspberrypi/rpi-eeprom, issue
// 82), but name architecture and GUID, which a system that runs on a Pi doesn't.
func asksAsPi(req *dhcpv4.DHCPv4) bool {
	return req.ClassIdentifier() == "" && req.Options.Has(dhcpv4.OptionClientSystemArchitectureType) &&
		req.Options.Has(dhcpv4.OptionClientMachineIdentifier) && isRaspberryPi(req)
}

// offerPi is what a Raspberry Pi is offered: no file, as its firmware asks for files by names of its own, below a folder that has the
// name of its serial number.
func (b Boot) offerPi() (offer, error) {
	switch {
	case b.Pi == nil || !b.Pi():
		return offer{}, errors.New("it is a Raspberry Pi, whose firmware calls itself a PC (Arch:00000), and the site has no files for it: " +
			"run " + self.Mkimage() + " DIR --arch arm64, and then " + self.Mkimage() + " pi DIR --firmware FOLDER (docs/pi.md); or set the Pi's boot order to leave the network out")
	case b.NoTFTP:
		return offer{}, errors.New("it is a Raspberry Pi, which boots by TFTP, and that is switched off; remove ports: tftp: 0 from boottorrent.yaml")
	}
	return offer{pi: true}, nil
}

// piService is the text that the boot menu of an offer has to have in it for a Raspberry Pi to take it (Raspberry Pi's documentation,
// PXE_OPTION43).
const piService = "Raspberry Pi Boot"

// Sub-options of option 43 by which a menu of boot servers is described (PXE 2.1, chapter 2).
const (
	pxeBootMenu   = 9
	pxeMenuPrompt = 10
	// noDiscovery are bits 0 and 1 of PXE_DISCOVERY_CONTROL: look for boot servers neither by broadcast nor by multicast.
	noDiscovery = 3
)

// piMenu is option 43 as Raspberry Pis know it: that of dnsmasq with pxe-service=0,"Raspberry Pi Boot", which their documentation names
// (as recorded in raspberrypi/firmware, issue 941): a menu of one service of type 0, which is chosen without waiting.
func piMenu() []byte {
	b := []byte{pxeDiscoveryControl, 1, noDiscovery, pxeMenuPrompt, 4, 0, 'P', 'X', 'E'}
	b = append(b, pxeBootMenu, byte(3+len(piService)), 0, 0, byte(len(piService)))
	return append(append(b, piService...), pxeEnd)
}
