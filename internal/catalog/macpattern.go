package catalog

import (
	"fmt"
	"net"
	"net/netip"
	"path"
	"strings"
)

// macLength is that of aa:bb:cc:dd:ee:ff.
const macLength = len("aa:bb:cc:dd:ee:ff")

// IsMAC reports whether a text is the MAC address of a machine as aa:bb:cc:dd:ee:ff: of six bytes, in lower case, not that of a multicast group.
func IsMAC(s string) bool {
	if len(s) != macLength {
		return false
	}
	for i := range len(s) {
		if i%3 == 2 && s[i] != ':' || i%3 < 2 && !strings.ContainsRune("0123456789abcdef", rune(s[i])) {
			return false
		}
	}
	return strings.ContainsRune("02468ace", rune(s[1])) // IEEE 802-2014, 8.2.2: the lowest bit of the first byte
}

func readsAsAddress(s string) bool {
	_, mac := net.ParseMAC(s)
	_, ip := netip.ParseAddr(s)
	return mac == nil || ip == nil
}

// MatchMAC reports whether a MAC address (aa:bb:cc:dd:ee:ff) is what a pattern says: an address, a glob (path.Match), or a range
// "FIRST-LAST" that includes both. No address is what a wrong pattern says.
func MatchMAC(pattern, mac string) bool {
	if first, last, is := macRange(pattern); is {
		return isMACText(first) && isMACText(last) && IsMAC(mac) && first <= mac && mac <= last // as texts of one form, they are in order
	}
	ok, err := path.Match(pattern, mac)
	return ok && err == nil
}

// macRange splits a range. A hyphen may be in a glob, too: "52:54:00:12:34:[0-9]*".
func macRange(pattern string) (first, last string, is bool) {
	if len(pattern) != 2*macLength+1 || pattern[macLength] != '-' || strings.ContainsAny(pattern, "*?[\\") {
		return "", "", false
	}
	return pattern[:macLength], pattern[macLength+1:], true
}

// CheckMACPattern reports a pattern that is not one, or that no MAC address can match.
func CheckMACPattern(pattern string) error {
	first, last, is := macRange(pattern)
	switch {
	case is && (!isMACText(first) || !isMACText(last)):
		return fmt.Errorf("%q is no range of MAC addresses; write it as 52:54:00:00:00:01-52:54:00:00:00:20", pattern)
	case is && last < first:
		return fmt.Errorf("the range %q ends before it begins; exchange the two", pattern)
	case is:
		return nil
	}
	if _, err := path.Match(pattern, ""); err != nil {
		return fmt.Errorf("%q is no pattern of MAC addresses; a bracket or backslash in it has no end", pattern)
	}
	if !reachable(pattern) {
		do := "write six pairs of the digits 0-9 a-f with colons, and * for what may be anything: 52:54:00:*"
		if reachable(strings.TrimSuffix(pattern, ":") + ":*") {
			do = fmt.Sprintf("write %q for all that begin so", strings.TrimSuffix(pattern, ":")+":*")
		}
		return fmt.Errorf("no MAC address is %q; %s", pattern, do)
	}
	return nil
}

func isMACText(s string) bool {
	hw, err := net.ParseMAC(s)
	return err == nil && len(hw) == 6 && hw.String() == s
}

// reachable reports whether some text of the form of a MAC address matches a glob that is well-formed: it goes through the six pairs of
// digits and keeps where in the glob one may be.
func reachable(glob string) bool {
	elements := globElements(glob)
	at := map[int]bool{0: true}
	// stars adds what is reached without a character.
	stars := func() {
		for i, e := range elements {
			if at[i] && e == "*" {
				at[i+1] = true
			}
		}
	}
	for i := range macLength {
		allowed := "0123456789abcdef"
		if i%3 == 2 {
			allowed = ":"
		}
		stars()
		next := map[int]bool{}
		for j, e := range elements {
			if !at[j] {
				continue
			}
			if e == "*" {
				next[j] = true
			} else if strings.ContainsFunc(allowed, func(r rune) bool { ok, _ := path.Match(e, string(r)); return ok }) {
				next[j+1] = true
			}
		}
		at = next
	}
	stars()
	return at[len(elements)]
}

// globElements splits a glob that is well-formed into what stands for one character each, and stars.
func globElements(glob string) (elements []string) {
	for len(glob) > 0 {
		n := 1
		switch {
		case glob[0] == '\\':
			n = min(2, len(glob))
		case glob[0] == '[':
			for n < len(glob) && (glob[n] != ']' || n == 1) {
				if glob[n] == '\\' {
					n++
				}
				n++
			}
			n = min(n+1, len(glob))
		}
		elements, glob = append(elements, glob[:n]), glob[n:]
	}
	return elements
}
