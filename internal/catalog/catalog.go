// Package catalog is the contract between seeder and node: what a site offers, in one signed JSON document.
//
// The seeder builds a [Catalog] from a site directory, encodes it with [Catalog.Encode] and signs the bytes with
// [Sign]. A node, in whose image the public key was built, opens exactly those bytes with [Open]; everything it trusts
// later (infohashes, SHA-256 of files, command lines) comes from there. The signature is a minisign file
// (https://jedisct1.github.io/minisign/, prehashed Ed25519), so `minisign -V` checks it too.
package catalog

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"
)

// Version is the number of this document's format. A node refuses any other.
const Version = 1

// Catalog is all that a node may trust about a site.
type Catalog struct {
	Version  int       `json:"version"`
	Site     string    `json:"site"`
	Created  time.Time `json:"created"`
	Defaults Defaults  `json:"defaults"`
	// Limits are for each node; nodes older than the field don't know of any.
	Limits Limits `json:"limits,omitzero"`
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
	// Files are in the order of the torrent's file list.
	Files []File `json:"files"`
	// InfoHash identifies the v1 torrent (BEP 3) of Files.
	InfoHash InfoHash `json:"infohash"`
	// PieceLength and Size are in bytes; Size is the sum over Files.
	PieceLength int64 `json:"piece_length"`
	Size        int64 `json:"size"`
}

// Launch says how a system is started: a method, and the arguments of that method only.
type Launch struct {
	Method string `json:"method"`
	// The field of the method is set, the others are nil.
	Kexec *Kexec `json:"kexec,omitempty"`
	Bin   *Bin   `json:"bin,omitempty"`
	QEMU  *QEMU  `json:"qemu,omitempty"`
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

// Kexec are the arguments of MethodKexec. Paths are those of System.Files.
type Kexec struct {
	Kernel string `json:"kernel"`
	// Initrd are concatenated in this order; may be empty.
	Initrd []string `json:"initrd,omitempty"`
	// Cmdline may hold placeholders, see [Expand].
	Cmdline string `json:"cmdline,omitempty"`
}

// Bin are the arguments of MethodBin. The program runs in the system's folder.
type Bin struct {
	// Program is a path of System.Files.
	Program string `json:"program"`
	// Args are passed to it, one word each; they may hold placeholders, see [Expand].
	Args []string `json:"args,omitempty"`
}

// QEMU are the arguments of MethodQEMU. QEMU runs in the system's folder.
type QEMU struct {
	// Args are qemu-system-x86_64's, one word each, as the operator wrote them; they may hold placeholders, see [Expand].
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

// Runtime is a torrent of programs that a method needs on the node. Its System has no launch; its title says what it is.
type Runtime struct {
	System
	// Unpacked is the size in bytes of what is in it.
	Unpacked int64 `json:"unpacked"`
}

// File is one file of a system.
type File struct {
	// Path is relative to the system's folder, with slashes, and clean (path.Clean).
	Path string `json:"path"`
	// Size is in bytes.
	Size int64 `json:"size"`
	// SHA256 is in lower-case hexadecimal.
	SHA256 string `json:"sha256"`
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

// Encode returns the document as it is signed and served: indented JSON with a newline at its end.
func (c *Catalog) Encode() ([]byte, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(c); err != nil {
		return nil, fmt.Errorf("encode catalog: %w", err)
	}
	return b.Bytes(), nil
}

// decode parses and validates a document whose signature has been checked.
func decode(document []byte) (*Catalog, error) {
	var c Catalog
	if err := json.Unmarshal(document, &c); err != nil {
		return nil, fmt.Errorf("decode catalog: %w", err)
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &c, nil
}

// Validate reports everything that would keep a node from using the catalog, joined in one error.
func (c *Catalog) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("catalog: "+format, args...)) }
	if c.Version != Version {
		bad("version %d; this program speaks version %d: build node image and seeder from the same release", c.Version, Version)
	}
	names := map[string]bool{}
	add := func(s *System, names map[string]bool) {
		if s.Name == "" || s.Name == "." || s.Name == ".." || strings.ContainsAny(s.Name, "/\x00") {
			bad("system name %q is not a plain folder name", s.Name)
		}
		if names[s.Name] {
			bad("system %q is listed twice", s.Name)
		}
		names[s.Name] = true
		if err := s.validate(); err != nil {
			errs = append(errs, err)
		}
	}
	runtimes := map[string]bool{}
	for i := range c.Runtimes {
		add(&c.Runtimes[i].System, runtimes)
	}
	for i := range c.Systems {
		add(&c.Systems[i], names)
	}
	for _, s := range c.Systems {
		if q := s.Launch.QEMU; q != nil && !runtimes[q.Runtime] {
			bad("system %q needs the runtime %q, which is not in the list", s.Name, q.Runtime)
		}
		switch after := s.Launch.After; after {
		case "", AfterMenu, AfterReboot, AfterPowerOff:
		default:
			if !names[after] {
				bad("system %q is to be followed by %q, which is not in the list", s.Name, after)
			}
		}
	}
	if d := c.Defaults.System; d != "" && !names[d] {
		bad("the default system %q is not in the list", d)
	}
	return errors.Join(append(errs, c.Defaults.Seed.validate(), c.Limits.validate())...)
}

func (s *System) validate() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("catalog: system %q: "+format, append([]any{s.Name}, args...)...))
	}
	var size int64
	paths := map[string]bool{}
	for _, f := range s.Files {
		if !CleanPath(f.Path) {
			bad("path %q leaves the system's folder or is not clean", f.Path)
		}
		if paths[f.Path] {
			bad("file %q is listed twice", f.Path)
		}
		if f.Size < 0 {
			bad("file %q has size %d", f.Path, f.Size)
		}
		if b, err := hex.DecodeString(f.SHA256); err != nil || len(b) != 32 {
			bad("file %q: %q is not a SHA-256", f.Path, f.SHA256)
		}
		paths[f.Path] = true
		size += f.Size
	}
	if size != s.Size {
		bad("size %d is not the sum of its files, %d", s.Size, size)
	}
	if s.PieceLength <= 0 {
		bad("piece length %d", s.PieceLength)
	}
	for _, p := range s.Launch.programs() {
		if !paths[p] {
			bad("%q is not among its files", p)
		}
	}
	if !s.Launch.complete() {
		bad("method %s without its arguments", s.Launch.Method)
	}
	// An unknown method is not an error here: an older node lists the system and says that it can't start it.
	return errors.Join(errs...)
}

// programs are the files that the method names.
func (l *Launch) programs() []string {
	switch {
	case l.Method == MethodKexec && l.Kexec != nil:
		return append([]string{l.Kexec.Kernel}, l.Kexec.Initrd...)
	case l.Method == MethodBin && l.Bin != nil:
		return []string{l.Bin.Program}
	}
	return nil
}

// complete reports whether the method has its arguments.
func (l *Launch) complete() bool {
	switch l.Method {
	case MethodKexec:
		return l.Kexec != nil
	case MethodBin:
		return l.Bin != nil
	case MethodQEMU:
		return l.QEMU != nil
	}
	return true
}

// CleanPath reports whether p is a relative, clean, slash-separated path that stays in its folder.
func CleanPath(p string) bool {
	return p != "" && p != "." && p == path.Clean(p) && !path.IsAbs(p) && p != ".." && !strings.HasPrefix(p, "../") &&
		!strings.ContainsAny(p, "\x00\\")
}
