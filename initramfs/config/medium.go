package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/mediumconf"
)

// again marks, behind the medium's number, the command line with which phase 1 started itself again.
const again = "again"

// MaxCmdline is the longest kernel command line that phase 1 can be started again with, in bytes.
const MaxCmdline = catalog.MaxCmdline

// Over returns c with what the medium's boottorrent.conf says where c says nothing. What c says of the address, by ip=, is
// taken for all of it.
func (c Cmdline) Over(conf mediumconf.Config) Cmdline {
	c.ConfSeeder = conf.Seeder
	if c.System == "" {
		c.System, c.ConfSystem = conf.System, conf.System != ""
	}
	if c.Timeout == nil {
		c.Timeout = conf.Timeout
	}
	n := &c.Network
	if !n.Static.IsValid() && !n.DHCP {
		n.Static, n.DHCP, n.Gateway, n.DNS = conf.Static, conf.DHCP, conf.Gateway, conf.DNS
	}
	if n.Interface == "" {
		n.Interface = conf.Interface
	}
	if n.VLAN == 0 {
		n.VLAN = conf.VLAN
	}
	return c
}

// Added returns the kernel command line to start phase 1 again with, for what boottorrent.conf adds to the present one, which
// is given as c and as text; empty if it adds nothing, or was added already. It hands on the highest counter of a catalog that was seen, too.
// The error says what to change.
func (c Cmdline) Added(text string, conf mediumconf.Config, seen uint64) (string, error) {
	// Consoles go in front: of two of one device the kernel takes the options of the first (add_preferred_console,
	// kernel/printk/printk.c).
	var words []string
	for _, console := range conf.Consoles {
		if !slices.Contains(c.Consoles, console) {
			words = append(words, "console="+console)
		}
	}
	words = append(words, strings.TrimSpace(text))
	if conf.Cmdline != "" {
		words = append(words, conf.Cmdline)
	}
	if c.Again || len(words) == 1 {
		return "", nil
	}
	if word := SeenWord(seen); word != "" {
		words = append(words, word)
	}
	line := strings.Join(append(words, fmt.Sprintf("%s=%08x,%s", mediumconf.Argument, c.Medium, again)), " ")
	if len(line) > MaxCmdline {
		return "", fmt.Errorf("the kernel command line would have %d bytes, and a kernel takes %d: shorten cmdline: in %s",
			len(line), MaxCmdline, mediumconf.Name)
	}
	return line, nil
}
