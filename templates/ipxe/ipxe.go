// Package ipxe makes boot.ipxe, the script with which iPXE (https://ipxe.org/scripting) starts phase 1: in goes where
// the seeder is and what the kernel is to be told, out comes the text of the script.
//
// The script uses only what iPXE builds of 2019 (Debian 12's package) know, in both their BIOS and UEFI forms.
package ipxe

import (
	"bytes"
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"text/template"
	"unicode"

	"github.com/boottorrent/boottorrent/templates/ipxe/syntax"
)

// How a node that can't load phase 1 goes on: it tries so often, with a pause in seconds, and then offers a shell for
// so many milliseconds before it reboots. Together about two minutes, long enough for a switch port to open.
const (
	tries    = 6
	pause    = 5
	promptMS = 60_000
)

//go:embed boot.ipxe
var text string

//go:embed wait.ipxe
var waitText string

var waitScript = template.Must(template.New("wait.ipxe").Option("missingkey=error").Parse(waitText))

var script = template.Must(template.New("boot.ipxe").Option("missingkey=error").Parse(text))

// Params are what a script is made for.
type Params struct {
	// Base is the seeder's base URL as the node reaches it, http://10.0.0.1:8080, without a slash at the end.
	Base string
	// Kernel and Initrd are the paths of phase 1's kernel and initramfs below Base (catalog.BootPath); those of whatever
	// is there at the time if empty. The initramfs must be called initramfs.img in its folder.
	Kernel, Initrd string
	// Path is where the script itself is below Base; /boot/boot.ipxe if empty.
	Path string
	// Shim is the path below Base of the shim that vouches for the kernel under Secure Boot; none if empty. Only iPXE from 1.21 of 2023 on
	// knows the command, and only a signed iPXE (2.0) needs it.
	Shim string
	// Site is the site's name, for the screen.
	Site string
	// Args are appended to phase 1's kernel command line; one element may hold several arguments.
	Args []string
	// Ask has the script asked for anew with what firmware says of the machine, as the query Query names it: it may be one that starts its
	// own disk.
	Ask bool
	// Disk says that the machine's own disk is started, and phase 1 only if that fails, or if a person presses a key within Wait seconds.
	Disk bool
	Wait int
	// Helper is where a machine that is up gives kernel and initramfs away, ADDRESS:PORT; empty: they come from Base. Stall is for how many milliseconds
	// it may send nothing.
	Helper string
	Stall  int
	// Loaded is the path below Base that is asked for when the machine has kernel and initramfs; none if empty.
	Loaded string
	// Graphics is a kernel argument for machines with a BIOS whose graphics card has the mode that [VESA] asks for; none if empty.
	Graphics string
}

// Script returns the script. It refuses, with an error that names the value, whatever would be more than a word of the
// script: control characters in any value (a newline starts a new command), iPXE's own tokens among the kernel
// arguments, a Base that is no http URL.
func Script(p Params) ([]byte, error) {
	p.Kernel, p.Initrd = cmp.Or(p.Kernel, "/boot/vmlinuz"), cmp.Or(p.Initrd, "/boot/initramfs.img")
	p.Path = cmp.Or(p.Path, "/boot/boot.ipxe")
	args, errs := arguments(p.Args)
	if words, wrong := arguments([]string{p.Graphics}); len(wrong) > 0 || len(words) > 1 {
		errs = append(errs, fmt.Errorf("kernel argument %q for graphics: want one word", p.Graphics))
	}
	if err := checkBase(p.Base); err != nil {
		errs = append(errs, err)
	}
	for _, path := range []string{p.Kernel, p.Initrd, p.Path, p.Shim, p.Loaded} {
		if path != "" && !pathPattern.MatchString(path) {
			errs = append(errs, fmt.Errorf("path %q: want letters, digits and . _ - between slashes", path))
		}
	}
	if i := strings.IndexFunc(p.Site, unicode.IsControl); i >= 0 {
		errs = append(errs, fmt.Errorf("site name %q: has a control character; use one line of plain text", p.Site))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("make boot.ipxe: %w", err)
	}
	if p.Helper != "" {
		if _, err := netip.ParseAddrPort(p.Helper); err != nil || p.Stall <= 0 {
			return nil, fmt.Errorf("make boot.ipxe: helper %q, which may be silent for %d ms: want ADDRESS:PORT, and a time", p.Helper, p.Stall)
		}
	}
	p.Site, p.Args = displayed(p.Site), args
	var b bytes.Buffer
	err := script.Execute(&b, struct {
		Params
		Tries, Pause, PromptMS int
		VESAPath, Asking       string
	}{p, tries, pause, promptMS, VESAPath, asking(p.Path)})
	if err != nil {
		return nil, fmt.Errorf("make boot.ipxe: %w", err)
	}
	return b.Bytes(), nil
}

// asking is where a script is asked for with what firmware says of the machine.
func asking(path string) string { return "${base}" + path + "?" + query }

// Wait returns the script for a machine that waits for its turn: it shows how many machines load before, and asks again after so many seconds; told
// says that what firmware says of the machine is told again.
func Wait(base, path string, before, seconds int, told bool) ([]byte, error) {
	if err := checkBase(base); err != nil {
		return nil, fmt.Errorf("make wait.ipxe: %w", err)
	}
	if !pathPattern.MatchString(path) || before < 0 || seconds < 1 {
		return nil, fmt.Errorf("make wait.ipxe: path %q, %d machines, %d seconds: want a path, and numbers above 0", path, before, seconds)
	}
	again := "${base}" + path
	if told {
		again = asking(path)
	}
	var b bytes.Buffer
	err := waitScript.Execute(&b, map[string]any{"Base": base, "Before": before, "Seconds": seconds, "Again": again, "Tries": tries, "Pause": pause})
	return b.Bytes(), err
}

// The names in the query with which a script is asked for anew.
const (
	QueryMAC      = "mac"
	QueryIP       = "ip"
	QueryUUID     = "uuid"
	QuerySerial   = "serial"
	QueryVendor   = "manufacturer"
	QueryModel    = "product"
	QueryPlatform = "platform"
)

// query has iPXE fill in what firmware says of the machine; what may have any characters in it is escaped. A setting that there isn't is empty.
const query = QueryMAC + "=${netX/mac}&" + QueryIP + "=${netX/ip}&" + QueryUUID + "=${uuid}&" + QuerySerial + "=${serial:uristring}&" +
	QueryVendor + "=${manufacturer:uristring}&" + QueryModel + "=${product:uristring}&" + QueryPlatform + "=${platform}"

// PlatformBIOS is what iPXE calls firmware that is a BIOS; UEFI is "efi".
const PlatformBIOS = "pcbios"

var pathPattern = regexp.MustCompile(`^(/[0-9A-Za-z._-]+)+$`)

func checkBase(base string) error {
	u, err := url.Parse(base)
	if err == nil && u.Scheme == "http" && u.Host != "" && u.User == nil && base == "http://"+u.Host &&
		!strings.ContainsFunc(base, func(r rune) bool {
			return unicode.IsControl(r) || unicode.IsSpace(r) || strings.ContainsRune("${}\"'", r)
		}) {
		return nil
	}
	return fmt.Errorf("seeder's base URL %q: want http://ADDRESS:PORT and nothing behind it", base)
}

// arguments splits every element into words and reports those that iPXE's command line (src/core/exec.c) would not
// hand on as they are.
func arguments(elements []string) (words []string, errs []error) {
	for _, e := range elements {
		if strings.ContainsFunc(e, unicode.IsControl) {
			errs = append(errs, fmt.Errorf("kernel argument %q: has a control character; write it on one line", e))
			continue
		}
		for _, w := range strings.Fields(e) {
			if as, do := syntax.Misread(w); as != "" {
				errs = append(errs, fmt.Errorf("kernel argument %q: iPXE takes %q for %s; %s", e, w, as, do))
				continue
			}
			words = append(words, w)
		}
	}
	return words, errs
}

// displayed returns text as words that `echo` shows and iPXE does not act upon. A site's name is for people: it is
// shown a little changed rather than refused.
func displayed(text string) string {
	words := strings.Fields(strings.ReplaceAll(text, "${", "$ {"))
	for i, w := range words {
		if as, _ := syntax.Misread(w); as != "" {
			words[i] = "." + w
		}
	}
	return strings.Join(words, " ")
}
