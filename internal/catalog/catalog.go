// Package catalog is the contract between seeder and node: what a site offers, in one signed JSON document.
//
// The seeder builds a [Catalog] from a site directory, encodes it with [Catalog.Encode] and signs the bytes with
// [Sign]. A node, in whose image the public key was built, opens exactly those bytes with [Open]; everything it trusts
// later (infohashes, SHA-256 of files, command lines) comes from there. The signature is a minisign file
// (https://jedisct1.github.io/minisign/, prehashed Ed25519), so `minisign -V` checks it too.
//
// The files of a system are a document of their own, a [FileList], of which the catalog has the SHA-256: a node fetches it
// for the system it was told to start, and no other. The package also owns every limit that both sides must agree on.
package catalog

import (
	"encoding/hex"
	"fmt"
	"time"

	"github.com/boottorrent/boottorrent/internal/secureboot"
)

// Version is the number of this document's format. A node refuses any other. Version 1 had the files in the catalog.
const Version = 2

// Catalog is all that a node may trust about a site.
type Catalog struct {
	Version int       `json:"version"`
	Site    string    `json:"site"`
	Created time.Time `json:"created"`
	// Counter only grows from one catalog of a site to the next: a node refuses a catalog with a smaller one than it has seen. It is
	// never below the seeder's clock (in seconds since 1970) when the catalog was made. Catalogs of seeders older than the field have none, which counts as 0.
	Counter  uint64   `json:"counter,omitempty"`
	Defaults Defaults `json:"defaults"`
	// Limits are for each node; nodes older than the field don't know of any.
	Limits Limits `json:"limits,omitzero"`
	// Rules are for some machines only.
	Rules Rules `json:"rules,omitzero"`
	// Local says that the chooser offers what is on the machine's own disk.
	Local bool `json:"local,omitempty"`
	// Files are for machines: those for all, for groups and for single ones. Names are unique.
	Files []Files `json:"files,omitempty"`
	// Trackers are the announce URLs (BEP 3), one for each address the seeder serves on.
	Trackers []string `json:"trackers"`
	// HTTP are the base URLs, without a slash at the end, below which the paths of this package are found: the
	// fallback when BitTorrent brings nothing. One for each address the seeder serves on.
	HTTP []string `json:"http"`
	// Systems are in the order in which the chooser shows them. Names are unique.
	Systems []System `json:"systems"`
	// Runtimes are what systems need on a node beside their own files, such as QEMU. Names are unique among them.
	Runtimes []Runtime `json:"runtimes,omitempty"`
}

// Defaults is what a node does when nobody types.
type Defaults struct {
	// System is the name of the system the countdown leads to; empty: none, the chooser waits.
	System string `json:"system,omitempty"`
	// Timeout is in seconds: 0 starts System without showing the chooser, negative waits for a person.
	Timeout int `json:"timeout"`
	// SeedTime is how long, in seconds, a node that has everything goes on seeding before it starts the system.
	// It is what nodes older than Seed know; see [Defaults.Leaving].
	SeedTime int `json:"seed_time"`
	// Seed is another rule for leaving than SeedTime; the zero value is none.
	Seed Seeding `json:"seed,omitzero"`
	// LeaveAtStart says that a node stops giving a system of the method root away when that starts; otherwise it goes on as long as
	// the system runs.
	LeaveAtStart bool `json:"leave_at_start,omitempty"`
}

// System is one thing a node can start.
type System struct {
	// Name is the folder's name under oss/, and the torrent's name.
	Name        string `json:"name"`
	Title       string `json:"title"`
	Description string `json:"description,omitempty"`
	// Hidden systems are not listed by the chooser, but can be the default.
	Hidden bool `json:"hidden,omitempty"`
	// Arch is a GOARCH value; a node of another architecture does not offer the system.
	Arch string `json:"arch"`
	// Launch says how the system is started.
	Launch Launch `json:"launch"`
	// List identifies the system's FileList.
	List List `json:"list"`
	// InfoHash identifies the v1 torrent (BEP 3) of the files.
	InfoHash InfoHash `json:"infohash"`
	// PieceLength and Size are in bytes; Size is the sum over the files.
	PieceLength int64 `json:"piece_length"`
	Size        int64 `json:"size"`
	// Zeros is how many bytes of Size are in pieces that consist of zeros. Nodes know them by their hash: they are not
	// transferred, and take no memory.
	Zeros int64 `json:"zeros,omitempty"`
	// PieceSums is the SHA-256, in lower-case hexadecimal, of the concatenated SHA-256 sums of the pieces. The torrent file has
	// those, and with this one here they are as good as if they stood in the catalog. Empty: nodes verify whole files, by the FileList.
	PieceSums string `json:"piece_sums,omitempty"`
}

// ToFetch is what a node transfers of the system, and what it needs memory for, in bytes.
func (s *System) ToFetch() int64 { return s.Size - s.Zeros }

// Launch says how a system is started: a method, and the arguments of that method only.
type Launch struct {
	Method string `json:"method"`
	// The field of the method is set, the others are nil.
	Kexec *Kexec `json:"kexec,omitempty"`
	Bin   *Bin   `json:"bin,omitempty"`
	QEMU  *QEMU  `json:"qemu,omitempty"`
	Root  *Root  `json:"root,omitempty"`
	// After is what a node does when the system has ended (methods bin and qemu): AfterMenu, AfterReboot, AfterPowerOff or
	// the name of the system to start next. Empty is AfterMenu.
	After string `json:"after,omitempty"`
}

// The methods.
const (
	// MethodKexec starts a Linux kernel with kexec_file_load(2).
	MethodKexec = "kexec"
	// MethodBin runs a program of the system on the node, which goes on seeding.
	MethodBin = "bin"
	// MethodQEMU runs a virtual machine on the node, which goes on seeding.
	MethodQEMU = "qemu"
)

// The words for Launch.After that are no system's name.
const (
	AfterMenu     = "menu"
	AfterReboot   = "reboot"
	AfterPowerOff = "poweroff"
)

// Kexec are the arguments of MethodKexec. Paths are those of the system's FileList.
type Kexec struct {
	Kernel string `json:"kernel"`
	// Initrd are concatenated in this order; may be empty.
	Initrd []string `json:"initrd,omitempty"`
	// Cmdline may hold placeholders, see [Expand].
	Cmdline string `json:"cmdline,omitempty"`
	// Signed says who signed the kernel; nil: that is not known, and nodes try.
	Signed *secureboot.File `json:"signed,omitempty"`
}

// Bin are the arguments of MethodBin. The program runs in the system's folder.
type Bin struct {
	// Program is a path of the system's FileList.
	Program string `json:"program"`
	// Args are passed to it, one word each; they may hold placeholders, see [Expand].
	Args []string `json:"args,omitempty"`
}

// QEMU are the arguments of MethodQEMU. QEMU runs in the system's folder.
type QEMU struct {
	// Guest is the architecture of the virtual machine, a GOARCH value; empty: amd64, a PC.
	Guest string `json:"guest,omitempty"`
	// Args are those of QEMU for such guests (qemu-system-x86_64, qemu-system-aarch64), one word each, as the operator wrote them; they may hold placeholders, see [Expand].
	// What they leave open (memory, processors, accelerator, network, display) the node decides.
	Args []string `json:"args,omitempty"`
	// Runtime is the name of the runtime that has QEMU in it.
	Runtime string `json:"runtime"`
	// Display is DisplayScreen, DisplaySerial or DisplayVNC; empty: the node's screen if it has one, else its terminal.
	Display string `json:"display,omitempty"`
	// VNCPassword is set with DisplayVNC. VNC (RFC 6143) looks at eight bytes of it.
	VNCPassword string `json:"vnc_password,omitempty"`
}

// The values of QEMU.Display.
const (
	// DisplayScreen shows the guest's screen on the node's frame buffer.
	DisplayScreen = "screen"
	// DisplaySerial connects the guest's serial line, and what its BIOS writes, with a console of the node.
	DisplaySerial = "serial"
	// DisplayVNC serves the guest's screen on the network.
	DisplayVNC = "vnc"
)

// Runtime is a torrent of what a method needs on the node beside the system: programs, or a system's boot part (see [RootBoot]). Its
// System has no launch; its title says what it is.
type Runtime struct {
	System
	// Unpacked is the size in bytes of what is in it; of a boot part, which is no archive, that of its files.
	Unpacked int64 `json:"unpacked"`
}

// InfoHash is the SHA-1 of a torrent's info dictionary (BEP 3). In JSON and URLs it is 40 lower-case hex digits.
type InfoHash [20]byte

// String returns 40 lower-case hexadecimal digits.
func (h InfoHash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText implements encoding.TextMarshaler.
func (h InfoHash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *InfoHash) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil || len(b) != len(h) {
		return fmt.Errorf("infohash %q: want 40 hexadecimal digits", text)
	}
	copy(h[:], b)
	return nil
}

// System returns the system of that name.
func (c *Catalog) System(name string) (System, bool) {
	for _, s := range c.Systems {
		if s.Name == name {
			return s, true
		}
	}
	return System{}, false
}

// Runtime returns the runtime of that name.
func (c *Catalog) Runtime(name string) (Runtime, bool) {
	for _, r := range c.Runtimes {
		if r.Name == name {
			return r, true
		}
	}
	return Runtime{}, false
}
