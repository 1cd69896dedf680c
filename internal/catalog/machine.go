package catalog

import (
	"errors"
	"fmt"
	"strings"
)

// noWord stands for an empty field between others in the text of a [Machine]. Names don't begin with it.
const noWord = "-"

// MarshalText implements encoding.TextMarshaler: MAC, name, group and host name with a space between them, a "-" for what is empty, and
// nothing at the end for it. Of thousands of machines that is a third of what objects would take.
func (m Machine) MarshalText() ([]byte, error) {
	words := []string{m.MAC, m.Name, m.Group, m.Hostname}
	for len(words) > 1 && words[len(words)-1] == "" {
		words = words[:len(words)-1]
	}
	for i := range words {
		if words[i] == "" {
			words[i] = noWord
		}
	}
	return []byte(strings.Join(words, " ")), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *Machine) UnmarshalText(text []byte) error {
	words := strings.Split(string(text), " ")
	if len(words) > 4 {
		return fmt.Errorf("machine %q: it has %d words; want MAC, name, group and host name", text, len(words))
	}
	fields := []*string{&m.MAC, &m.Name, &m.Group, &m.Hostname}
	for i, w := range words {
		if *fields[i] = w; w == noWord {
			*fields[i] = ""
		}
	}
	return nil
}

// MACs are addresses as aa:bb:cc:dd:ee:ff. In JSON they are one text, with a space between them.
type MACs []string

// MarshalText implements encoding.TextMarshaler.
func (m MACs) MarshalText() ([]byte, error) { return []byte(strings.Join(m, " ")), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *MACs) UnmarshalText(text []byte) error {
	if *m = nil; len(text) > 0 {
		*m = strings.Split(string(text), " ")
	}
	return nil
}

// validate reports what is wrong with a machine by itself.
func (m *Machine) validate() error {
	if !IsMAC(m.MAC) {
		return fmt.Errorf("%q is no MAC address of a machine", m.MAC)
	}
	if m.Name != "" {
		if err := CheckRuleName(m.Name); err != nil {
			return err
		}
	}
	if m.Hostname != "" && !IsHostname(m.Hostname) {
		return fmt.Errorf("%q is no host name; write up to 63 letters, digits and hyphens", m.Hostname)
	}
	return nil
}

// IsHostname reports whether a text is a label of a host name: up to 63 letters, digits and hyphens, no hyphen at either end (RFC 1123, 2.1).
func IsHostname(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return !isAlphanumeric(r) && r != '-' })
}

func isAlphanumeric(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}

// errRuleName says what names of groups and machines are.
var errRuleName = errors.New("it must be up to 63 letters, digits and . _ + - beginning with a letter or digit")

// CheckRuleName reports a name that no group or machine can have: it is a folder's name below files/, and a word of command lines, where it
// stands beside MAC and IP addresses.
func CheckRuleName(name string) error {
	bad := name == "" || len(name) > MaxRuleName || !isAlphanumeric(rune(name[0])) ||
		strings.ContainsFunc(name, func(r rune) bool { return !isAlphanumeric(r) && !strings.ContainsRune("._+-", r) })
	if bad {
		return fmt.Errorf("the name %q can't be that of a group or machine; %w", name, errRuleName)
	}
	if readsAsAddress(name) {
		return fmt.Errorf("the name %q reads as an address; give it another one", name)
	}
	return nil
}
