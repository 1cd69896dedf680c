package tftp

import (
	"path"
	"strings"
)

// cleanName makes one name of the forms in which firmware asks for a file: with slashes or backslashes, in capitals.
func cleanName(name string) string {
	return strings.ToLower(strings.Trim(strings.ReplaceAll(name, `\`, "/"), "/"))
}

// find returns the served name that a client means, and whether it had to be mended. exact names go first; then what is known of
// firmware and of DHCP servers set up by hand counts:
//
//   - Garbage behind the name, from ROMs that read option 67 up to a NUL and take in the options that follow it:
//     "undionly.kpxe\xff" (END; Kontron VX3040, Samsung NC10, Jetway J7F4 and others: netbootxyz/netboot.xyz, issue 1198),
//     "undionly.kpxea\x11" (option 97). A longer name that can be typed, such as "ipxe.efi.sig", is another file.
//   - The end cut off, from ROMs that count one byte too few. It must be clear which name is meant.
//   - A folder, a drive or a URL in front: "/tftpboot/undionly.kpxe", "C:\undionly.kpxe", "tftp://10.77.0.1/undionly.kpxe".
func (s *Server) find(asked string) (name string, mended bool) {
	clean := cleanName(asked)
	if _, ok := s.files[clean]; ok {
		return clean, false
	}
	base := path.Base(clean)
	if i := strings.LastIndexByte(base, ':'); i >= 0 {
		base = base[i+1:]
	}
	// Garbage may have a slash in it: then what stands before it counts.
	for _, candidate := range []string{base, clean} {
		if name := s.mend(candidate); name != "" {
			return name, true
		}
	}
	return "", false
}

// minCutName is the shortest name taken for one whose end was cut off.
const minCutName = 6

func (s *Server) mend(asked string) string {
	if _, ok := s.files[asked]; ok {
		return asked
	}
	garbled, cut := "", []string{}
	for name := range s.files {
		if rest, ok := strings.CutPrefix(asked, name); ok && isGarbage(rest) && len(name) > len(garbled) {
			garbled = name
		}
		if len(asked) >= minCutName && strings.HasPrefix(name, asked) {
			cut = append(cut, name)
		}
	}
	if garbled == "" && len(cut) == 1 {
		return cut[0]
	}
	return garbled
}

// isGarbage tells bytes of a DHCP packet from the rest of another name: a single byte, or some that nobody types.
func isGarbage(rest string) bool {
	return len(rest) == 1 || strings.ContainsFunc(rest, func(r rune) bool { return r <= ' ' || r > '~' })
}
