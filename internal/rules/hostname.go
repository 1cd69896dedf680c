package rules

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// name settles the machine's host name.
func (d *Decision) name(f Facts, g *catalog.Group) {
	because := func(why string) { d.Because["hostname"] = why }
	pattern := ""
	if g != nil {
		pattern = g.Hostname
	}
	switch {
	case d.Machine != nil && d.Machine.Hostname != "":
		d.Hostname = d.Machine.Hostname
		because("machine " + d.Machine.MAC)
	case pattern != "":
		name, err := Hostname(pattern, f, d.Machine)
		if d.Hostname = name; err != nil {
			because(fmt.Sprintf("DHCP, as that of group %s can't be used: %v", g.Name, err))
			return
		}
		because("group " + g.Name)
	case len(d.Unknown) == 0 && d.Machine != nil && catalog.IsHostname(d.Machine.Name):
		d.Hostname = d.Machine.Name
		because("the name of machine " + d.Machine.MAC)
	default:
		because("DHCP")
	}
}

// HostnameWords are the names usable as {{.NAME}} in a pattern of host names, with what each stands for.
var HostnameWords = map[string]string{
	"MAC":    "the MAC address without colons",
	"Last":   "its last three bytes, without colons",
	"IP":     "the IPv4 address with hyphens",
	"Host":   "the last number of the IPv4 address",
	"Serial": "the serial number",
	"Name":   "the machine's name in the site",
}

// Hostname fills a pattern of host names: up to 63 letters, digits and hyphens come out (RFC 1123, 2.1), or an error. What a fact has of
// other characters becomes hyphens.
func Hostname(pattern string, f Facts, m *catalog.Machine) (string, error) {
	mac := strings.ReplaceAll(f.MAC, ":", "")
	words := map[string]string{"MAC": mac, "Last": mac[max(0, len(mac)-6):], "Serial": strings.TrimSpace(f.Serial)}
	if f.Addr.Is4() {
		ip := f.Addr.As4()
		words["IP"], words["Host"] = strings.ReplaceAll(f.Addr.String(), ".", "-"), fmt.Sprint(ip[3])
	}
	if m != nil {
		words["Name"] = m.Name
	}
	return expand(pattern, words)
}

// CheckHostname reports a pattern that makes no host names, or the same for all machines.
func CheckHostname(pattern string) error {
	for _, m := range word.FindAllStringSubmatch(pattern, -1) {
		if _, ok := HostnameWords[m[1]]; !ok {
			return unknownWord(m[0])
		}
	}
	plain := word.ReplaceAllString(pattern, "")
	if bad := other.FindString(plain); bad != "" {
		return fmt.Errorf("%q has %q in it; host names have letters, digits and hyphens, and {{.NAME}} stands for something else", pattern, bad)
	}
	if plain == pattern {
		return fmt.Errorf("%q gives all machines of the group the same name; put {{.Last}} into it, or name single machines in machines", pattern)
	}
	name, err := Hostname(pattern, Facts{MAC: "52:54:00:12:34:56", Addr: netip.MustParseAddr("192.168.100.200"), Serial: "S"}, &catalog.Machine{Name: "n"})
	if err == nil && name == "" {
		err = fmt.Errorf("%q makes empty names; put {{.Last}} into it", pattern)
	}
	return err
}

func unknownWord(m string) error {
	return fmt.Errorf("unknown placeholder %s; known are {{.%s}}", m, strings.Join(slices.Sorted(maps.Keys(HostnameWords)), "}}, {{."))
}

var (
	word  = regexp.MustCompile(`\{\{\s*\.?\s*([^{}\s]*)\s*\}\}`)
	other = regexp.MustCompile(`[^A-Za-z0-9-]+`)
)

func expand(pattern string, words map[string]string) (string, error) {
	var unknown error
	empty := ""
	name := word.ReplaceAllStringFunc(pattern, func(m string) string {
		key := word.FindStringSubmatch(m)[1]
		if _, ok := HostnameWords[key]; !ok {
			unknown = unknownWord(m)
		}
		if words[key] == "" {
			empty = m
		}
		return words[key]
	})
	switch {
	case unknown != nil:
		return "", unknown
	case empty != "":
		return "", fmt.Errorf("this machine has nothing for %s in %q", empty, pattern)
	}
	name = strings.ToLower(strings.Trim(other.ReplaceAllString(name, "-"), "-"))
	if name == "" || len(name) > 63 {
		return "", fmt.Errorf("the host name %q, made of %q, has %d characters; host names have 1 to 63", name, pattern, len(name))
	}
	return name, nil
}
