package site

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/crypto/ssh"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// vncLength is how many characters of a password VNC looks at (RFC 6143 section 7.2.2: a DES key).
const vncLength = 8

// readVNCPassword reads the password for guests that are shown on the network.
func readVNCPassword(m *mapping) text {
	t := m.text("vnc_password", "")
	switch {
	case len(t.value) > vncLength:
		m.check.problem(t.place, fmt.Sprintf("vnc_password has %d characters, and VNC looks at %d", len(t.value), vncLength), "shorten it")
	case strings.ContainsFunc(t.value, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsPrint(r) || r == ' ' }):
		m.check.problem(t.place, "vnc_password has other characters than ASCII's letters, digits and signs", "use those")
	}
	return t
}

// giveVNC gives the password to a system that needs it, and reports to its checker that there is none.
func (r *systemReader) giveVNC(c *checker, s *System) {
	if r.vnc.value == "" {
		for _, at := range c.vnc {
			c.problem(at, "display: vnc needs a password", "write vnc_password: in "+ConfigFile+", up to eight characters")
		}
		return
	}
	r.shownByVNC = true
	if q := s.Launch.QEMU; q != nil && q.Display == catalog.DisplayVNC {
		q.VNCPassword = r.vnc.value
	}
}

// warnOfVNC says once what the password is worth.
func (r *systemReader) warnOfVNC() {
	if r.shownByVNC {
		r.shared.warning(r.vnc.place, "vnc_password can be read by everyone in the nodes' network, as nodes read it there", "use it against mistakes, not against enemies")
	}
}

// readSSHKeys reads the keys of those who may log in to nodes. A private key that somebody pasted is not repeated in the
// message.
func readSSHKeys(m *mapping) []string {
	var keys []string
	for i, t := range m.texts("ssh_keys") {
		line := strings.TrimSpace(t.value)
		bad := func(what, do string) {
			m.check.problem(t.place, fmt.Sprintf("%sssh_keys[%d] %s", m.path, i, what), do)
		}
		const want = "paste one line of a .pub file, such as ~/.ssh/id_ed25519.pub"
		if strings.Contains(line, "PRIVATE KEY") {
			bad("is a private key", want+"; and make a new pair of keys if others have seen this one")
			continue
		}
		_, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(line))
		switch {
		case err != nil || len(rest) > 0 || strings.ContainsAny(line, "\r\n"):
			bad("is no public key", want)
		case len(options) > 0:
			bad("has options ("+strings.Join(options, ",")+"), which nodes don't know", "leave them out: begin with ssh-ed25519, ssh-rsa …")
		case slices.Contains(keys, line):
			bad("is there twice", "remove one")
		default:
			keys = append(keys, line)
		}
	}
	return keys
}
