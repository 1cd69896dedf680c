package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/cli"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/rules"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/internal/text"
	"github.com/boottorrent/boottorrent/seeder/daemon"
	"github.com/boottorrent/boottorrent/seeder/next"
	"github.com/boottorrent/boottorrent/seeder/room"
)

// showMachine prints what a machine would do by the site as it is written, and which rule says so. That it depends on something that is not
// known is an error.
func (c checkCmd) showMachine(ctx context.Context, s *site.Site, term terminal) error {
	facts, from, err := c.facts(ctx, s)
	if err != nil {
		return err
	}
	said, err := next.Read(filepath.Join(s.Dir, site.StateDir))
	if err != nil {
		fmt.Fprintln(term.Err, "warning: what machines start the next time can't be read:", err)
	}
	d := daemon.Decide(s, said, facts)
	name := facts.MAC
	if called := d.Name(); called != "" {
		name = fmt.Sprintf("%s (%s)", called, facts.MAC)
	}
	fmt.Fprintf(term.Out, "%s: %s\n", name, outlook(d))
	showFacts(term.Out, facts, from)
	if len(d.Unknown) > 0 {
		var give []string
		for _, key := range d.Unknown {
			give = append(give, fmt.Sprintf("--fact %s=...", factOf(key)))
		}
		fmt.Fprintf(term.Err, "whether the machine is in the group %s depends on what is not known of it: %s; say it with %s, or let the machine report it to the running seeder\n",
			d.Perhaps, strings.Join(d.Unknown, ", "), strings.Join(give, " "))
		return cli.ErrReported
	}
	var files []string
	for _, f := range d.Files(&catalog.Catalog{Files: s.Listed()}) {
		files = append(files, filepath.Join(site.FilesDir, f.For))
	}
	d.Because["files"] = "the site"
	showDecision(term.Out, d, files)
	return nil
}

// facts are what is known of the machine, and where that is from.
func (c checkCmd) facts(ctx context.Context, s *site.Site) (facts rules.Facts, from string, err error) {
	nodes, err := daemon.Control{Dir: s.Dir}.Nodes(ctx)
	if err != nil && !errors.Is(err, daemon.ErrNotRunning) {
		return facts, "", err
	}
	mac, err := c.mac(s, nodes)
	if err != nil {
		return facts, "", err
	}
	facts = rules.Facts{MAC: mac}
	for i := range nodes {
		if nodes[i].MAC == mac {
			facts, from = room.Facts(&nodes[i].Report), " from its last report"
		}
	}
	for _, m := range s.Machines {
		if m.MAC == mac && s.DHCP.Mode == site.DHCPServer && !facts.Addr.IsValid() {
			facts.Addr = m.Address
		}
	}
	for _, f := range c.Fact {
		key, value, ok := strings.Cut(f, "=")
		if !ok {
			return facts, "", fmt.Errorf("--fact %s: write it as KEY=VALUE, with one of the keys %s", f, strings.Join(factKeys, ", "))
		}
		if err := setFact(&facts, strings.TrimSpace(key), strings.TrimSpace(value)); err != nil {
			return facts, "", fmt.Errorf("--fact %s: %w", f, err)
		}
	}
	return facts, from, nil
}

// mac is the MAC address of the machine that is meant; nodes have reported to the running seeder, if there is one.
func (c checkCmd) mac(s *site.Site, nodes []report.Node) (string, error) {
	for _, m := range s.Machines {
		if strings.EqualFold(m.Name, c.Machine) {
			return m.MAC, nil
		}
	}
	if mac, err := net.ParseMAC(c.Machine); err == nil && catalog.IsMAC(mac.String()) {
		return mac.String(), nil
	}
	var found []string
	for i := range nodes {
		if n := &nodes[i]; strings.EqualFold(n.Name, c.Machine) || n.IP == c.Machine {
			found = append(found, n.MAC)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", fmt.Errorf("%q is no MAC address, no name in machines, and no machine that has reported to the running seeder; write it as 52:54:00:12:34:56", c.Machine)
	}
	return "", fmt.Errorf("%q is %s; name one of them", c.Machine, strings.Join(found, " and "))
}

// factKeys are what can be said of a machine.
var factKeys = []string{"uuid", "serial", "vendor", "model", "ip", "arch", "firmware", "memory", "secure_boot"}

// factOf is what must be known for a key of match.
func factOf(key string) string {
	if key == "subnet" {
		return "ip"
	}
	return key
}

func setFact(f *rules.Facts, key, value string) error {
	word := func(to *string, words ...string) error {
		if !slices.Contains(words, value) {
			return fmt.Errorf("write one of %s", strings.Join(words, ", "))
		}
		*to = value
		return nil
	}
	var err error
	switch key {
	case "uuid":
		f.UUID = value
	case "serial":
		f.Serial = value
	case "vendor":
		f.Vendor = value
	case "model":
		f.Model = value
	case "ip", "subnet":
		if f.Addr, err = netip.ParseAddr(value); err != nil || !f.Addr.Is4() {
			return errors.New("write an IPv4 address: 192.168.1.20")
		}
	case "arch":
		return word(&f.Arch, "amd64", "arm64")
	case "firmware":
		return word(&f.Firmware, catalog.FirmwareBIOS, catalog.FirmwareUEFI)
	case "memory":
		size, ok := site.ParseSize(value)
		if f.Memory = size; !ok {
			return errors.New("write a size with its unit: 8 GiB")
		}
	case "secure_boot":
		on, err := strconv.ParseBool(value)
		if f.SecureBoot = &on; err != nil {
			return errors.New("write true or false")
		}
	default:
		return fmt.Errorf("there is no fact %q; known are %s", key, strings.Join(factKeys, ", "))
	}
	return nil
}

// outlook says in a few words what the machine does when it is switched on.
func outlook(d rules.Decision) string {
	s := d.Settings
	system := inWords(*s.Default)
	switch {
	case d.Next == catalog.StartMenu:
		return "it shows the menu and waits for a person"
	case d.Next != "":
		return "it starts " + inWords(d.Next) + " at once, without the menu"
	case len(d.Unknown) > 0:
		return "what it starts is not certain"
	case system == "" || *s.Timeout < 0:
		return "it shows the menu and waits for a person"
	case *s.Timeout == 0:
		return "it starts " + system + " at once"
	case s.Menu == catalog.MenuHidden:
		return fmt.Sprintf("it starts %s after %s, and shows the menu if somebody presses a key", system, text.Count(*s.Timeout, "second"))
	}
	return fmt.Sprintf("it shows the menu, and starts %s after %s", system, text.Count(*s.Timeout, "second"))
}

// inWords is a system's name in a sentence.
func inWords(name string) string {
	if name == catalog.StartLocal {
		return "what is on its own disk"
	}
	return name
}

// showFacts prints what is known of the machine.
func showFacts(out io.Writer, f rules.Facts, from string) {
	var known, unknown []string
	add := func(key, value string) {
		switch {
		case value != "":
			known = append(known, key+" "+value)
		case !f.Complete:
			unknown = append(unknown, key)
		}
	}
	add("uuid", f.UUID)
	add("serial", f.Serial)
	add("vendor", f.Vendor)
	add("model", f.Model)
	add("ip", addr(f.Addr))
	add("arch", f.Arch)
	add("firmware", f.Firmware)
	memory, secure := "", ""
	if f.Memory > 0 {
		memory = text.Size(f.Memory)
	}
	if f.SecureBoot != nil {
		secure = strconv.FormatBool(*f.SecureBoot)
	}
	add("memory", memory)
	add("secure_boot", secure)
	if len(known) > 0 {
		fmt.Fprintf(out, "known%s: %s\n", from, strings.Join(known, ", "))
	}
	if len(unknown) > 0 {
		fmt.Fprintf(out, "not known: %s\n", strings.Join(unknown, ", "))
	}
}

func addr(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// showDecision prints what holds, and which rule says so, and the folders of files that the machine gets.
func showDecision(out io.Writer, d rules.Decision, files []string) {
	s := d.Settings
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	defer w.Flush()
	line := func(key, value string) {
		if value != "" {
			fmt.Fprintf(w, "  %s\t%s\t%s\n", key, value, d.Because[key])
		}
	}
	line("group", cmp.Or(d.Group, "none"))
	line("next", d.Next)
	line("default", cmp.Or(*s.Default, "none"))
	timeout := text.Count(*s.Timeout, "second")
	if *s.Timeout < 0 {
		timeout = "none"
	}
	line("timeout", timeout)
	line("menu", s.Menu)
	systems := "all"
	if s.Systems != nil {
		systems = cmp.Or(strings.Join(s.Systems, ", "), "none")
	}
	line("systems", systems)
	line("hostname", cmp.Or(d.Hostname, "as DHCP says"))
	line("cmdline", s.Cmdline)
	line("files", strings.Join(files, ", "))
	line("seed", seeding(*s.Seed))
	line("after_start", strconv.FormatBool(!*s.LeaveAtStart))
	line("limits", limits(*s.Limits))
	line("writable", s.Writable)
	limit := ""
	switch {
	case s.WritableLimit.Percent > 0:
		limit = fmt.Sprintf("%d%%", s.WritableLimit.Percent)
	case s.WritableLimit.Bytes > 0:
		limit = text.Size(s.WritableLimit.Bytes)
	}
	line("writable_limit", limit)
	keys := ""
	if len(s.SSHKeys) > 0 {
		keys = text.Count(len(s.SSHKeys), "key") + " beside those in the image"
	}
	line("ssh_keys", keys)
}

// seeding says when a node that has everything starts the system.
func seeding(s catalog.Seeding) string {
	switch s.Until {
	case catalog.UntilSwarm:
		return fmt.Sprintf("until no other node lacks anything, at most %s", text.Count(s.Limit, "second"))
	case catalog.UntilRatio:
		return fmt.Sprintf("until %g times the size are given away, at most %s", s.Ratio, text.Count(s.Limit, "second"))
	}
	return text.Count(s.Limit, "second")
}

func limits(l catalog.Limits) string {
	var parts []string
	if l.Upload > 0 {
		parts = append(parts, "upload "+text.Size(l.Upload)+"/s")
	}
	if l.Download > 0 {
		parts = append(parts, "download "+text.Size(l.Download)+"/s")
	}
	return strings.Join(parts, ", ")
}
