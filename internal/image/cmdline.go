package image

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/templates/ipxe/syntax"
)

// Cmdline is phase 1's kernel command line.
type Cmdline struct {
	// Arch is the nodes' architecture; amd64 if empty.
	Arch arch.Arch
	// Consoles are values of console=.
	Consoles []string
	// Extra is what the site adds.
	Extra string
	// Graphics says that a frame buffer is wanted, for the screens of guests. A kernel that UEFI starts has the firmware's; for one that
	// a BIOS starts, the boot loader asks for it: see [Graphics].
	Graphics bool
}

// Always is what every kernel for an architecture is told that phase 1 runs under. Of the kernel's messages only warnings are shown: a
// serial line takes seconds for the rest. A kernel that panics on an unattended node tries again after half a minute. And one of
// x86 does not use page tables of five levels, as from there kexec_file_load(2) refuses kernels that don't know them (XLF_5LEVEL; before
// Linux 4.20).
func Always(a arch.Arch) []string {
	always := []string{"loglevel=5", "panic=30"}
	if a != arch.ARM64 {
		always = append(always, "no5lvl")
	}
	return always
}

// usualConsole is the first serial port of most machines of arm64, servers and virtual ones among them (ARM's PL011). The kernel finds it by
// the device tree or by ACPI's table SPCR only where its command line names no console at all.
const usualConsole = "ttyAMA0,115200"

// consoles are those of the site and those that the architecture has besides. The last one is /dev/console.
func (c Cmdline) consoles() []string {
	if c.Arch != arch.ARM64 || slices.ContainsFunc(c.Consoles, func(s string) bool { return strings.HasPrefix(s, "ttyAMA") }) {
		return c.Consoles
	}
	return append([]string{usualConsole}, c.Consoles...)
}

// String is the command line, but for what the boot loader adds for this one machine, such as the seeder's address.
func (c Cmdline) String() string {
	words := Always(c.Arch)
	for _, console := range c.consoles() {
		words = append(words, "console="+console)
	}
	if c.Extra != "" {
		words = append(words, c.Extra)
	}
	return strings.Join(words, " ")
}

// Graphics is the parameter by which iPXE, as a BIOS's boot loader, is told which mode the kernel has to set: 1024x768 in true
// colour (VESA's mode 118; Linux, Documentation/admin-guide/svga.rst).
const Graphics = "vga=0x318"

// AsksForMode reports whether the boot loader of a BIOS has to ask for a frame buffer: one is wanted, and the site doesn't say which.
func (c Cmdline) AsksForMode() bool {
	return c.Graphics && !slices.ContainsFunc(words(c.Extra), func(w string) bool { return strings.HasPrefix(w, "vga=") })
}

const (
	// maxCmdline is COMMAND_LINE_SIZE of x86 and arm64 kernels in bytes, without the zero at the end.
	maxCmdline = 2047
	// roomForLoader is for what boot loaders add: iPXE "initrd=initramfs.img BOOTIF=01-aa-bb-cc-dd-ee-ff vga=0x318" and
	// "bt.seeder=http://NAME:PORT", in which a name has up to 253 bytes (RFC 1035, 2.3.4).
	roomForLoader = 56 + 276
)

// CmdlineError is a text that phase 1's kernel would not get as it is written.
type CmdlineError struct {
	// What is wrong, and what to Do.
	What, Do string
}

// Error is what is wrong; what to do.
func (e *CmdlineError) Error() string { return e.What + "; " + e.Do }

func bad(do, what string, args ...any) error { return &CmdlineError{fmt.Sprintf(what, args...), do} }

// Check says why not every boot loader would hand the command line on to the kernel as it is written; nil: all do. The error is a
// *CmdlineError. What each of them does to it:
//
//   - iPXE splits it at white space and knows no quotes: see [syntax.Misread].
//   - GRUB (grub-core/lib/cmdline.c) puts a \ before every ' and \ that is not the beginning of \xHH.
//   - Firmware takes it in UTF-16, which iPXE and systemd-stub make of single bytes, so that any letter beyond ASCII comes out as
//     two others.
//   - The kernel (lib/cmdline.c) takes what follows an open " for one value, and gives what follows -- to init.
func (c Cmdline) Check() error {
	for _, console := range c.Consoles {
		if err := CheckWords(console); err != nil {
			return err
		}
	}
	if err := CheckWords(c.Extra); err != nil {
		return err
	}
	if n := len(c.String()) + roomForLoader; n > maxCmdline {
		return bad(fmt.Sprintf("shorten it by at least %d bytes", n-maxCmdline),
			"the kernel takes a command line of %d bytes; with what is put before and behind it this one has %d", maxCmdline, n)
	}
	return nil
}

// CheckWords is Check of a part of a command line, but for its length.
func CheckWords(text string) error {
	for i, r := range text {
		switch {
		case unicode.IsControl(r):
			return bad("write it in one line, without such characters", "it has a control character (%U) in it", r)
		case r > unicode.MaxASCII:
			return bad("use ASCII letters only", "%q at byte %d is not in ASCII: firmware hands it on as other letters", r, i)
		}
	}
	if err := CheckKernel(text); err != nil {
		return err
	}
	for _, w := range strings.Fields(text) {
		if as, do := syntax.Misread(w); as != "" {
			return bad(do, "iPXE takes %s for %s", w, as)
		}
		switch {
		case strings.Contains(w, "'") || strings.Contains(unescaped.Replace(w), `\`):
			return bad(`leave it out; for a space in a value, write "…" around the value`, `GRUB puts a \ before each ' and \ in %s`, w)
		case strings.HasPrefix(w, "initrd="):
			return bad("leave it out: the boot script names the initramfs", "%s names another initramfs", w)
		case strings.HasPrefix(w, "bt.medium="):
			return bad("leave it out", "%s is mkimage's, which writes it on media", w)
		}
	}
	return nil
}

// unescaped takes out \xHH, which GRUB leaves as it is.
var unescaped = escapes()

func escapes() *strings.Replacer {
	var pairs []string
	for i := range 256 {
		pairs = append(pairs, fmt.Sprintf(`\x%02x`, i), "")
		if upper := fmt.Sprintf(`\x%02X`, i); upper != pairs[len(pairs)-2] {
			pairs = append(pairs, upper, "")
		}
	}
	return strings.NewReplacer(pairs...)
}

// CheckKernel says what the kernel itself would misunderstand in a part of its command line: what a node hands on by kexec goes
// through no boot loader. The error is a *CmdlineError.
func CheckKernel(text string) error {
	if err := CheckQuotes(text); err != nil {
		return err
	}
	if slices.Contains(words(text), "--") {
		return bad("leave it out", "what follows -- is not for the kernel, but for init")
	}
	return nil
}

// CheckQuotes is the part of [CheckKernel] that holds for the kernels of systems as well: to those, -- may be written. The error is a
// *CmdlineError.
func CheckQuotes(text string) error {
	if strings.Count(text, `"`)%2 != 0 {
		return bad("close it", `a double quote is not closed, so that the kernel takes all that follows for one value`)
	}
	return nil
}

// words splits at white space outside of double quotes, as next_arg in the kernel's lib/cmdline.c does. The quotes stay.
func words(text string) []string {
	quoted := false
	return strings.FieldsFunc(text, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return unicode.IsSpace(r) && !quoted
	})
}
