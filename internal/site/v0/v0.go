// Package v0 makes version 1 documents of the files of the original BootTorrent (version 0, as of its release 0.1.1 of 2018).
//
// In go Boottorrent.yaml and the config.yaml of each system, as their reader (a [Group]) has them; out comes a boottorrent.yaml, the
// place in the original's file that each of its values comes from, and what became of every key. What the original's keys mean is in
// its documentation (usage.rst), its templates (dnsmasq.conf.tpl, aria2.conf.tpl) and its client (tui.go). What is refused is what
// verify_config_v0 of its cli.py refused.
package v0

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/boottorrent/boottorrent/internal/self"
)

// Names of files. NewFile is what version 1 has in the place of File.
const (
	File    = "Boottorrent.yaml"
	NewFile = "boottorrent.yaml"
)

// Place is a position in the original's file; both count from 1.
type Place struct{ Line, Col int }

func (p Place) compare(other Place) int {
	return cmp.Or(cmp.Compare(p.Line, other.Line), cmp.Compare(p.Col, other.Col))
}

// Group is a group of keys in a YAML file. Methods that return ok report a value which is not what they are to return.
type Group interface {
	// Values are those of all keys but null ones. A change in them is one in the group.
	Values() map[string]ast.Node
	// Group is what is below a key; empty if it is absent.
	Group(key string) Group
	// Required reports a text that is absent or empty, too.
	Required(key, do string) (value string, ok bool)
	// Integer is not ok if the key is absent. Whole reports that, and takes a number in quotes, as Python's int() did.
	Integer(key string, low, high int) (n int, ok bool)
	Whole(key string, low, high int) (n int, ok bool)
	Boolean(key string, absent bool) (value, ok bool)
	// IPv4 is the address of a machine that stands in the value of a key.
	IPv4(key, address string) (netip.Addr, bool)
	// Places are where a key stands and where its value begins.
	Places(key string) (name, value Place)
	// Problem and Warning are about the value of a key; about the whole group if it is absent.
	Problem(key, what, do string)
	Warning(key, what, do string)
	// Nearest is the word that a key is but for its spelling, or empty.
	Nearest(key string, words []string) string
}

// Document is a version 1 document made of a Boottorrent.yaml.
type Document struct {
	// Fates are what became of the keys in the file, in their order.
	Fates []Fate
	keys  []key
	// sections are the places of the four groups.
	sections map[string]Place
}

// Fate is what became of a key of the original.
type Fate struct {
	At Place
	// Key is with its section; Value is as it is written.
	Key, Value string
	// Now is the key of version 1 with its value, or keys with commas between them; empty if it is always so, or lost.
	Now string
	// Lost is what there is instead of what the key meant; empty if it is honoured as it was.
	Lost string
}

// key is a key of version 1.
type key struct {
	// path is the whole name: "dhcp.lease". value is as it is written.
	path, value string
	// from is the original's key that the value comes from. Its comments stand above this key, and those of near, too.
	from string
	near []string
	at   Place
}

// order is that of the keys in the document.
var order = []string{
	"version", "serve.interfaces", "serve.address", "default", "timeout", "seed_time", "dhcp.mode", "dhcp.range", "dhcp.lease",
	"dhcp.netmask", "dhcp.router", "ports.http", "ports.tftp", "ports.torrent", "log.level", "node.cmdline",
}

// sectionOf are the groups of version 1 that get the comments of one of the original.
var sectionOf = map[string]string{"dhcp": "dnsmasq", "ports": "opentracker", "log": "aria2"}

// Implied reports whether a key of the document is dnsmasq's own doing. The original did the same, so nothing of it is warned of.
func Implied(path string) bool { return path == "dhcp.router" || path == "dhcp.lease" }

// Place is where the value of a key comes from, or the entry of a list or group that is its value; zero if nobody wrote it.
func (d *Document) Place(path string) Place {
	for _, k := range d.keys {
		if rest, found := strings.CutPrefix(path, k.path); found && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return k.at
		}
	}
	return Place{}
}

// Name is what people who have an original's file call a key or a group of version 1 whose value they may want to change; empty if
// the original has nothing for it.
func Name(path string) string {
	return map[string]string{
		"serve": "dnsmasq.interface and boottorrent.host_ip", "serve.interfaces": "dnsmasq.interface",
		"serve.address": "boottorrent.host_ip",
		"dhcp":          "dnsmasq", "ports.http": "opentracker.port", "ports": "opentracker.port and dnsmasq.enable_tftp",
		"log": "aria2.console_log_level",
	}[path]
}

// Text is the document with comments, by the original's keys; see [Document.Comments].
func (d *Document) Text(comments map[string][]string) string {
	var out strings.Builder
	comment := func(indent string, names ...string) {
		for _, name := range names {
			for _, c := range comments[name] {
				out.WriteString(indent + "# " + c + "\n")
			}
		}
	}
	comment("", "boottorrent")
	out.WriteString("# From Boottorrent.yaml, by '" + self.Seeder() + " migrate'. What '" + self.Seeder() + " init' writes shows every key there is.\n")
	before, from := "", ""
	for _, k := range d.keys {
		group, name, indented := strings.Cut(k.path, ".")
		indent := "  "
		if !indented {
			group, name, indent = "", k.path, ""
		}
		if group != before {
			out.WriteString("\n")
		}
		if group != before && indented {
			comment("", sectionOf[group])
			out.WriteString(group + ":\n")
		}
		comment(indent, k.near...)
		if k.from != from {
			comment(indent, k.from)
		}
		if k.path == "dhcp.router" {
			out.WriteString("  # As dnsmasq did: this machine. Only of use if it forwards packets.\n")
		}
		fmt.Fprintf(&out, "%s%s: %s\n", indent, name, k.value)
		before, from = group, k.from
	}
	comment("", belowAll)
	return out.String()
}
