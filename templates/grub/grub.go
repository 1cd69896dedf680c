// Package grub makes grub.cfg, the script with which GRUB starts phase 1 on UEFI machines that have Secure Boot on: in goes
// where the seeder is and what the kernels are to be told, out comes the text of the script. One script is for all architectures.
//
// The script uses only what Debian 12's signed GRUB has built in (grubnetx64.efi, grubnetaa64.efi; version 2.06): under Secure Boot
// it loads no module.
package grub

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"text/template"
	"unicode"
)

// How a node that can't load phase 1 goes on: it tries so often, with a pause in seconds, and waits so many seconds more before it
// reboots. Together about two minutes, long enough for a switch port to open.
const (
	tries       = 6
	pause       = 5
	rebootPause = 60
)

// Path is where GRUB looks for the script on the TFTP server that it was loaded from: its prefix is /grub.
const Path = "grub/grub.cfg"

//go:embed grub.cfg
var text string

var script = template.Must(template.New("grub.cfg").Option("missingkey=error").Parse(text))

// Params are what a script is made for.
type Params struct {
	// Server is the seeder's address, where it serves TFTP.
	Server netip.Addr
	// Base is the seeder's base URL, http://10.0.0.1:8080, without a slash at the end.
	Base string
	// Site is the site's name, for the screen.
	Site string
	// Ask has GRUB ask for what holds for the machine, see [Machine].
	Ask bool
	// Targets are the images that there are, one for each architecture.
	Targets []Target
}

// MachinePath is the folder of what holds for single machines: below it are their MAC address with hyphens, their IPv4 address and their UUID,
// or "none", as path elements.
const MachinePath = "grub/machine/"

// diskLoaders are the boot loaders on disks, in the order in which they are tried: what Linux distributions install, which start Windows as well
// where both are, Windows' own, and what firmware starts that knows none.
var diskLoaders = []string{
	"/EFI/debian/shimx64.efi", "/EFI/ubuntu/shimx64.efi", "/EFI/fedora/shimx64.efi", "/EFI/redhat/shimx64.efi", "/EFI/centos/shimx64.efi",
	"/EFI/almalinux/shimx64.efi", "/EFI/rocky/shimx64.efi", "/EFI/opensuse/shim.efi", "/EFI/sles/shim.efi",
	"/EFI/debian/grubx64.efi", "/EFI/ubuntu/grubx64.efi", "/EFI/systemd/systemd-bootx64.efi", "/EFI/Microsoft/Boot/bootmgfw.efi", "/EFI/BOOT/BOOTX64.EFI",
	"/EFI/debian/shimaa64.efi", "/EFI/ubuntu/shimaa64.efi", "/EFI/fedora/shimaa64.efi", "/EFI/BOOT/BOOTAA64.EFI",
}

// Machine is what the script is told of a machine: whether its own disk is started, after wait seconds in which a key stops that.
func Machine(disk bool, wait int) []byte {
	if !disk {
		return []byte("set disk=\n")
	}
	return fmt.Appendf(nil, "set disk=%d\n", wait)
}

// Target is the image for an architecture.
type Target struct {
	// CPU is GRUB's name of the architecture ($grub_cpu): x86_64, arm64.
	CPU string
	// Kernel and Initrd are paths on the TFTP server.
	Kernel, Initrd string
	// Cmdline is what the kernel is told, but for BOOTIF.
	Cmdline string
}

// Script returns the script. It refuses, with an error that names the value, whatever would be more than a word of the script.
func Script(p Params) ([]byte, error) {
	var errs []error
	if !p.Server.Is4() {
		errs = append(errs, fmt.Errorf("seeder's address %q: want an IPv4 address", p.Server))
	}
	for what, value := range map[string]string{"site name": p.Site, "base URL": p.Base} {
		if i := strings.IndexFunc(value, unicode.IsControl); i >= 0 {
			errs = append(errs, fmt.Errorf("%s %q: has a control character; use one line of plain text", what, value))
		}
	}
	targets := make([]quoted, 0, len(p.Targets))
	for _, t := range p.Targets {
		if !cpuPattern.MatchString(t.CPU) {
			errs = append(errs, fmt.Errorf("architecture %q: want GRUB's name of it", t.CPU))
		}
		for _, path := range []string{t.Kernel, t.Initrd} {
			if path != "" && !pathPattern.MatchString(path) {
				errs = append(errs, fmt.Errorf("path %q: want letters, digits and . _ - between slashes", path))
			}
		}
		if i := strings.IndexFunc(t.Cmdline, unicode.IsControl); i >= 0 {
			errs = append(errs, fmt.Errorf("kernel command line %q: has a control character; write it on one line", t.Cmdline))
		}
		targets = append(targets, quoted{t, Words(t.Cmdline)})
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("make grub.cfg: %w", err)
	}
	banner := "BootTorrent"
	if p.Site != "" {
		banner += ": " + p.Site
	}
	var b bytes.Buffer
	err := script.Execute(&b, map[string]any{
		"Server": p.Server.String(), "Base": Quote(p.Base), "Banner": Quote(banner), "Targets": targets,
		"Ask": p.Ask, "MachinePath": MachinePath, "DiskLoaders": diskLoaders,
		"Tries": strings.Repeat("x", tries), "Pause": pause, "RebootPause": rebootPause,
	})
	if err != nil {
		return nil, fmt.Errorf("make grub.cfg: %w", err)
	}
	return b.Bytes(), nil
}

// quoted is a Target with its command line as it stands in the script.
type quoted struct {
	Target
	Args string
}

var (
	pathPattern = regexp.MustCompile(`^(/[0-9A-Za-z._-]+)+$`)
	cpuPattern  = regexp.MustCompile(`^[0-9a-z_]+$`)
)

// Quote writes text as one word of a GRUB script, in which nothing is expanded ("Quoting" in GRUB's manual).
func Quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// Words writes a kernel command line so that GRUB passes it on as it is. Both split it at spaces outside of double quotes,
// and GRUB puts quotes around a word with a space again; but GRUB's shell would expand what has $, and end at a semicolon,
// so each word is quoted.
func Words(cmdline string) string {
	var words []string
	inside := false
	for _, word := range strings.FieldsFunc(cmdline, func(r rune) bool {
		if r == '"' {
			inside = !inside
		}
		return r == ' ' && !inside
	}) {
		words = append(words, Quote(strings.ReplaceAll(word, `"`, "")))
	}
	return strings.Join(words, " ")
}
