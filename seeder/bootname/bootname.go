// Package bootname tells which file is meant by a name that firmware or a boot loader asks for: in go the name as it came, the names
// that are served and what the client has loaded before, out comes the served name.
//
// Names come with backslashes, doubled slashes, garbage behind them, folders in front. And a boot loader that starts another one asks
// for it by a name of its own choice, from its own folder or from none, so that it counts which one it was.
package bootname

import (
	"path"
	"regexp"
	"strings"
)

// Clean makes one name of the forms in which a file is asked for: with slashes, single ones, and none at the ends.
func Clean(asked string) string {
	parts := strings.FieldsFunc(asked, func(r rune) bool { return r == '/' || r == '\\' })
	return strings.Join(parts, "/")
}

// Find returns which of the served names is meant, and whether the request had another; "" if none is. before is the served name
// that the client loaded last, "" if that isn't known. Case doesn't matter. Exact names go first, but for those in the folder of what
// was loaded before, if that is a shim; then what is known of firmware, of boot loaders and of DHCP servers set up by hand counts:
//
//   - Shim's second stage under another name or none: see second.
//   - Garbage behind the name, from ROMs that read option 67 up to a NUL and take in the options that follow it:
//     "undionly.kpxe\xff" (END; Kontron VX3040, Samsung NC10, Jetway J7F4 and others: netbootxyz/netboot.xyz, issue 1198),
//     "undionly.kpxea\x11" (option 97). A longer name that can be typed, such as "ipxe.efi.sig", is another file.
//   - The end cut off, from ROMs that count one byte too few. It must be clear which name is meant.
//   - A folder, a drive or a URL in front: "/tftpboot/undionly.kpxe", "C:\undionly.kpxe", "tftp://10.77.0.1/undionly.kpxe".
func Find(served map[string]string, asked, before string) (name string, mended bool) {
	names := make(set, len(served))
	for name := range served {
		names[strings.ToLower(name)] = name
	}
	clean := strings.ToLower(Clean(asked))
	if name := names.second(clean, strings.ToLower(before)); name != "" {
		return name, strings.ToLower(name) != clean
	}
	if name, ok := names[clean]; ok {
		return name, false
	}
	base := path.Base(clean)
	if i := strings.LastIndexByte(base, ':'); i >= 0 {
		base = base[i+1:]
	}
	// Garbage may have a slash in it: then what stands before it counts.
	for _, candidate := range []string{base, clean} {
		if name := names.mend(candidate); name != "" {
			return name, true
		}
	}
	return "", false
}

// set has the served names by their lower case.
type set map[string]string

// minCut is the length of the shortest name taken for one whose end was cut off.
const minCut = 6

func (s set) mend(asked string) string {
	if name, ok := s[asked]; ok {
		return name
	}
	garbled, cut := "", []string{}
	for name := range s {
		if rest, ok := strings.CutPrefix(asked, name); ok && isGarbage(rest) && len(name) > len(garbled) {
			garbled = name
		}
		if len(asked) >= minCut && strings.HasPrefix(name, asked) {
			cut = append(cut, name)
		}
	}
	if garbled == "" && len(cut) == 1 {
		return s[cut[0]]
	}
	return s[garbled]
}

// isGarbage tells bytes of a DHCP packet from the rest of another name: a single byte, or some that nobody types.
func isGarbage(rest string) bool { return len(rest) == 1 || unprintable(rest) }

func unprintable(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

var (
	// shimName is shim as distributions call it, by the architecture in its name: shimx64.efi, shimaa64.efi.
	shimName = regexp.MustCompile(`^shim(x64|aa64|ia32)\.efi$`)
	// ipxeShim is iPXE's: snponly-shim.efi, ipxe-shimx64.efi.
	ipxeShim = regexp.MustCompile(`^([a-z0-9]+)-shim(x64|aa64)?\.efi$`)
)

// second returns the served name that a shim means which the client loaded before; "" if that isn't one, or something else is meant.
//
//   - A shim starts what is signed for it, which is the file in its own folder, also if it asks without the folder: that of iPXE 2.0
//     does (ipxe/ipxe, issue 1684), and each one that got its name by DHCP option 67 (seen with 16.1).
//   - iPXE's asks for ipxe.efi where it should for the name that it has itself without "-shim" (the same issue).
//   - From 15.8 on shim takes what some firmware gives it as load options for the name of its second stage: "\x88Onboard" for
//     "Onboard NIC", "?USB" (Dell's; rhboot/shim, issues 649 and 696).
func (s set) second(clean, before string) string {
	dir, shim := path.Split(before)
	var own string
	if m := shimName.FindStringSubmatch(shim); m != nil {
		own = dir + "grub" + m[1] + ".efi"
	} else if m := ipxeShim.FindStringSubmatch(shim); m != nil {
		own = dir + m[1] + ".efi"
	} else {
		return ""
	}
	base := path.Base(clean)
	if name, ok := s[dir+base]; ok && (clean == base || clean == dir+base) {
		return name
	}
	if unprintable(base) || !strings.Contains(base, ".") || base == "ipxe.efi" {
		return s[own]
	}
	return ""
}
