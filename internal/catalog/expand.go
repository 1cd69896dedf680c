package catalog

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Placeholders are the names usable as {{.NAME}} in a kernel command line or a program's arguments, with what each stands for.
var Placeholders = map[string]string{
	"MAC":       "the node's MAC address, aa:bb:cc:dd:ee:ff",
	"IP":        "the node's IPv4 address",
	"Netmask":   "its netmask, 255.255.255.0",
	"Gateway":   "its default gateway; empty if none",
	"DNS":       "its first name server; empty if none",
	"Hostname":  "its host name, by the site's rules or by DHCP; empty if it has none",
	"Group":     "the group it belongs to; empty if none",
	"Serial":    "the machine's serial number, with hyphens for what a word can't have; empty if unknown",
	"Interface": "the network interface it booted from, as phase 1 names it",
	"UUID":      "the machine's SMBIOS UUID; empty if unknown",
	"Seeder":    "the seeder's address, without port",
	"HTTP":      "URL of the folder of this system's files at the seeder, without a slash at the end",
	"System":    "the system's name",
	"Console":   "the console the system was chosen on: tty0, ttyS0",
}

var placeholder = regexp.MustCompile(`\{\{\s*\.?\s*([^{}\s]*)\s*\}\}`)

// longest is how many bytes each placeholder may become.
var longest = map[string]int{
	"MAC": len("aa:bb:cc:dd:ee:ff"), "IP": maxIPv4, "Netmask": maxIPv4, "Gateway": maxIPv4, "DNS": maxIPv4, "Seeder": maxIPv4,
	"Hostname":  64, // HOST_NAME_MAX of Linux
	"Interface": 15, // IFNAMSIZ, less the zero byte
	"Serial":    64,
	"Group":     MaxName,
	"UUID":      36, "System": 64, "Console": 16,
	"HTTP": len("http://:65535/systems//") + maxIPv4 + 2*len(InfoHash{}) + 64,
}

const maxIPv4 = len("255.255.255.255")

// Longest is how many bytes text may have at most when its placeholders are filled in.
func Longest(text string) int {
	n := len(text)
	for _, m := range placeholder.FindAllStringSubmatch(text, -1) {
		n += longest[m[1]] - len(m[0])
	}
	return n
}

// Expand replaces every {{.NAME}} in cmdline by vars[NAME]. A name that is not in [Placeholders] is an error; a known
// one that vars lacks becomes empty. With nil vars it only checks.
func Expand(cmdline string, vars map[string]string) (string, error) {
	var unknown []string
	out := placeholder.ReplaceAllStringFunc(cmdline, func(m string) string {
		name := placeholder.FindStringSubmatch(m)[1]
		if _, ok := Placeholders[name]; !ok {
			unknown = append(unknown, m)
		}
		return vars[name]
	})
	if len(unknown) > 0 {
		names := make([]string, 0, len(Placeholders))
		for n := range Placeholders {
			names = append(names, "{{."+n+"}}")
		}
		slices.Sort(names)
		return "", fmt.Errorf("unknown placeholder %s; known are %s", strings.Join(unknown, " "), strings.Join(names, " "))
	}
	return out, nil
}
