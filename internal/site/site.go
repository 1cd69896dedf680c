// Package site reads what an operator wrote: a site directory, its boottorrent.yaml and its oss/NAME/config.yaml.
//
// In goes a directory; out comes a [Site]: the systems that are whole, and every problem found with file, line and column. What is
// wrong with one system concerns that one alone; only boottorrent.yaml and the keys can stop a site. Seeder and mkimage both start
// from it; nothing else reads configuration. There is one format: package v0 turns the files of the original BootTorrent into it first.
package site

import (
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/catalog"
)

// Names within a site directory.
const (
	ConfigFile    = "boottorrent.yaml"
	SystemsDir    = "oss"
	SystemFile    = "config.yaml"
	PublicKeyFile = "boottorrent.pub"
	SecretKeyFile = "boottorrent.key"
	// ImageDir holds what mkimage builds: vmlinuz, initramfs.img, manifest.json.
	ImageDir = "image"
	// PiDir holds what Raspberry Pis load by TFTP; 'mkimage pi' fills it.
	PiDir = "pi"
	// KeysDir holds the keys for Secure Boot that 'mkimage keys' makes; see [DBCertificate].
	KeysDir = "keys"
	// StateDir holds what the seeder may make again but would rather keep: hashes, stored versions, leases.
	StateDir = ".boottorrent"
	// FetchedDir has the files that come from elsewhere (from: of a system), each under its SHA-256. It is in the folder of the store, so
	// that a version can have the same file as a link.
	FetchedDir = StateDir + "/store/fetched"
)

// Names in KeysDir of what signs what machines start under Secure Boot: the certificate, as PEM and as DER, that belongs into the
// firmware's db (or into shim's list, MOK), and its secret key (PEM, PKCS #8).
const (
	DBCertificate    = "db.crt"
	DBCertificateDER = "db.der"
	DBKey            = "db.key"
)

// Site is a checked site directory.
type Site struct {
	// Dir is the absolute path of the directory.
	Dir   string
	Name  string
	Serve Serve
	// Arches are the architectures of the nodes' machines: mkimage builds an image for each.
	Arches   []arch.Arch
	Defaults catalog.Defaults
	DHCP     DHCP
	Ports    Ports
	// Racks are IPv4 subnets whose machines share an uplink.
	Racks  []netip.Prefix
	Log    Log
	Node   Node
	Limits Limits
	Page   Page
	// Groups are in the order in which they are tried; systems that they name may be missing. Machines are sorted by MAC.
	Groups   []catalog.Group
	Machines []Machine
	// Manual is what holds for systems whose configuration doesn't say it; see [System.Manual].
	Manual bool
	// Local says that the chooser offers what is on the machine's own disk.
	Local bool
	// Helpers is whether nodes are asked to give phase 1 away to machines that start.
	Helpers Helpers
	// UEFI is what machines with UEFI get first when they boot from the network.
	UEFI UEFI
	// SignImage says that mkimage signs the UEFI program with the site's own key for Secure Boot.
	SignImage bool
	// Original says that the site is one of the original BootTorrent (Boottorrent.yaml, version 0).
	Original bool
	// Mirrored says that what is here is local of a mirror, which signs nothing; see [Mirror].
	Mirrored bool
	// Systems are those that are whole, sorted by title, then name. Titles differ.
	Systems []System
	// Broken are the other folders of oss/, by name, but for those in Unfinished, which have no config.yaml yet: that is no mistake.
	Broken     []Broken
	Unfinished []string
	// Absent are systems with files that are still to be fetched, by name. What is known of them without those is checked.
	Absent []System
	// SystemsUnknown says that oss/ itself can't be read, so that nothing is known of any system.
	SystemsUnknown bool
	// Files are for machines, by name, and BrokenFiles the other folders of files/. FilesUnknown says that files/ itself can't be read.
	Files        []MachineFiles
	BrokenFiles  []Broken
	FilesUnknown bool
	// Problems are what is wrong between systems and stops none of them: a default that isn't there, or a name given twice.
	Problems Problems
	// Warnings are what looks like an oversight but does not keep the site from being served.
	Warnings []Problem
}

// Serve says where to listen. With neither field set, the interface with the default route is used; with both, Interfaces has one,
// and it is served on that address.
type Serve struct {
	Interfaces []string
	// Address is one of this machine's; zero if not given.
	Address netip.Addr
}

// DHCPMode is what the seeder's DHCP service does.
type DHCPMode string

// The DHCP modes.
const (
	DHCPProxy  DHCPMode = "proxy"
	DHCPServer DHCPMode = "server"
	DHCPOff    DHCPMode = "off"
)

// UEFI is what machines with UEFI start first.
type UEFI string

// What UEFI machines start.
const (
	// UEFIAuto is UEFIShim where shim and GRUB are there, else UEFIiPXE.
	UEFIAuto UEFI = "auto"
	// UEFIShim is the chain that starts under Secure Boot with nothing enrolled: shim, Debian's signed GRUB, Debian's kernel.
	UEFIShim UEFI = "shim"
	// UEFIiPXE is iPXE, which Secure Boot refuses.
	UEFIiPXE UEFI = "ipxe"
	// UEFIUKI is phase 1 as one UEFI program, for machines whose firmware knows the site's own key.
	UEFIUKI UEFI = "uki"
)

// Helpers says whether nodes are asked to give phase 1 away to machines that start.
type Helpers string

// The values of phase1.helpers.
const (
	// HelpersAuto asks some when a room starts and the seeder's link would be what it waits for.
	HelpersAuto Helpers = "auto"
	// HelpersOff asks none: every machine loads phase 1 from the seeder.
	HelpersOff Helpers = "off"
)

// DHCP configures the DHCP service. Everything but Mode is for DHCPServer.
type DHCP struct {
	Mode DHCPMode
	// First and Last bound the range of addresses handed out, both included.
	First, Last netip.Addr
	Lease       time.Duration
	// Netmask is the number of ones in the netmask handed out; 0: as many as the interface's has.
	Netmask int
	// Router is the default gateway handed out; zero: none.
	Router       netip.Addr
	DNS          []netip.Addr
	Reservations []Reservation
	// More are further ranges, each for the network of another interface. What is above is the first one's.
	More []Range
}

// Reservation gives a machine a fixed address, and a host name if it isn't empty.
type Reservation struct {
	MAC      net.HardwareAddr
	Address  netip.Addr
	Hostname string
}

// Ports are the ports to listen on. DHCP's (67, 4011) are fixed by the protocol.
type Ports struct {
	// HTTP serves catalog, files, scripts, tracker and reports (TCP).
	HTTP uint16
	// TFTP (UDP); firmware knows only 69. 0: none.
	TFTP uint16
	// Torrent is the seed's BitTorrent port (TCP).
	Torrent uint16
}

// Log configures log/slog.
type Log struct {
	// Level is debug, info, warn or error.
	Level string
	// Format is text or json.
	Format string
}

// Node configures what nodes start with.
type Node struct {
	// Consoles are values of the kernel's console= argument, e.g. "tty0", "ttyS0,115200"; the last one is /dev/console.
	Consoles []string
	// Cmdline is appended to phase 1's kernel command line.
	Cmdline string
	// SSHKeys are lines in the form of authorized_keys (sshd(8)), for nodes' images.
	SSHKeys []string
}

// Limits bounds what distribution takes of the links, in bytes per second; 0 is no limit.
type Limits struct {
	// Seeder bounds what the seeder sends of systems, by BitTorrent and by HTTP together.
	Seeder int64
	// Node is for each node.
	Node catalog.Limits
}

// System is one checked folder below oss/.
type System struct {
	// Name is the folder's name, Dir its absolute path.
	Name, Dir   string
	Title       string
	Description string
	Arch        string
	Hidden      bool
	Launch      catalog.Launch
	// Manual says that changes are published only by `seeder publish`.
	Manual bool
	// Files are the files the system consists of, relative to Dir, slash-separated, in the order of the torrent. [System.Open] reads them.
	Files []string
	// From says where files come from that are not in Dir but in Fetched, the absolute path of the site's FetchedDir. Missing are those
	// of them that are to be fetched next.
	From, Missing []Origin
	Fetched       string
}

// Rules are what the catalog says of groups and machines.
func (s *Site) Rules() catalog.Rules {
	r := catalog.Rules{Groups: slices.Clone(s.Groups)}
	for _, m := range s.Machines {
		r.Machines = append(r.Machines, m.Machine)
	}
	return r
}
