package catalog

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// ruleChecker collects what is wrong with rules. systems are the names of the systems in the catalog.
type ruleChecker struct {
	errs    []error
	systems map[string]bool
	// names are those of groups and machines in lower case, groups those of groups as they are.
	names, groups map[string]bool
}

func (c *ruleChecker) bad(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("catalog: "+format, args...))
}

// validate reports everything that would keep a node from using the rules.
func (r *Rules) validate(systems map[string]bool) error {
	c := &ruleChecker{systems: systems, names: map[string]bool{}, groups: map[string]bool{}}
	if len(r.Groups) > MaxGroups || len(r.Machines) > MaxMachines || len(r.Next) > MaxNext {
		c.bad("there are %d groups, %d machines and %d orders of what to start next; nodes read %d, %d and %d",
			len(r.Groups), len(r.Machines), len(r.Next), MaxGroups, MaxMachines, MaxNext)
		return errors.Join(c.errs...)
	}
	for i := range r.Groups {
		g := &r.Groups[i]
		c.name("group", g.Name)
		c.groups[g.Name] = true
		if g.Name == GroupAll && i < len(r.Groups)-1 {
			c.bad("the group %q is not the last one; no group behind it would have a machine", GroupAll)
		}
		if err := g.validate(); err != nil {
			c.bad("group %q: %w", g.Name, err)
		}
		c.systemsOf(g)
	}
	c.machines(r.Machines)
	for i := range r.Next {
		c.next(&r.Next[i])
	}
	return errors.Join(c.errs...)
}

// name notes a name, and reports it if something else has it.
func (c *ruleChecker) name(what, name string) {
	if err := CheckRuleName(name); err != nil {
		c.bad("%w", err)
	}
	folded := strings.ToLower(name)
	if c.names[folded] || what == "machine" && folded == GroupAll {
		c.bad("the name %q of a %s is also that of another group or machine", name, what)
	}
	c.names[folded] = true
}

func (c *ruleChecker) machines(machines []Machine) {
	for i := range machines {
		m := &machines[i]
		if i > 0 && machines[i-1].MAC >= m.MAC {
			c.bad("machine %s is listed behind %s; want them sorted, and each once", m.MAC, machines[i-1].MAC)
		}
		if err := m.validate(); err != nil {
			c.bad("machine %s: %w", m.MAC, err)
		}
		if m.Name != "" {
			c.name("machine", m.Name)
		}
		if m.Group != "" && !c.groups[m.Group] {
			c.bad("machine %s is in the group %q, which is not in the list", m.MAC, m.Group)
		}
	}
}

// known reports whether a name is that of a system, or one of some words.
func (c *ruleChecker) known(name string, words ...string) bool {
	return c.systems[name] || slices.Contains(words, name)
}

// systemsOf reports names in a group's settings that lead to no system.
func (c *ruleChecker) systemsOf(g *Group) {
	names := map[string]bool{}
	for _, name := range g.Systems {
		if !c.known(name, StartLocal) || names[name] {
			c.bad("group %q offers the system %q, which is not in the list, or was named before", g.Name, name)
		}
		names[name] = true
	}
	if g.Default != nil && !c.known(*g.Default, "", StartLocal) {
		c.bad("the default system %q of group %q is not in the list", *g.Default, g.Name)
	}
	if !c.known(g.Next, "", StartLocal, StartMenu) {
		c.bad("the system %q, with which group %q starts, is not in the list", g.Next, g.Name)
	}
}

func (c *ruleChecker) next(n *Next) {
	switch {
	case n.ID == "" || len(n.ID) > MaxRuleName || checkText("the ID", n.ID, MaxRuleName, "") != nil:
		c.bad("%q can't be the ID of what to start next", n.ID)
	case (n.MAC == "") == (n.Group == ""), n.MAC != "" && !IsMAC(n.MAC), n.Group != "" && n.Group != GroupAll && !c.groups[n.Group]:
		c.bad("what to start next (%s) is for the machine %q and the group %q; want one of both, and one that there is", n.ID, n.MAC, n.Group)
	case !c.known(n.What, StartLocal, StartMenu):
		c.bad("the system %q, which is to be started next (%s), is not in the list", n.What, n.ID)
	case len(n.Done) > MaxMachines || slices.ContainsFunc(n.Done, func(mac string) bool { return !IsMAC(mac) }):
		c.bad("the machines that have started what %s says are not MAC addresses, or more than %d", n.ID, MaxMachines)
	case !slices.IsSorted(n.Done):
		c.bad("the machines that have started what %s says are not sorted", n.ID)
	}
}

// validate reports what is wrong with a group by itself.
func (g *Group) validate() error {
	err := errors.Join(g.Match.validate(), g.Settings.validate())
	if n := entrySize(g); n > MaxGroup {
		err = errors.Join(err, fmt.Errorf("it takes %d bytes of the catalog, and nodes read %d; shorten its lists", n, MaxGroup))
	}
	return err
}

func (m *Match) validate() error {
	var errs []error
	for _, pattern := range m.MAC {
		errs = append(errs, CheckMACPattern(pattern))
	}
	for _, globs := range [][]string{m.UUID, m.Serial, m.Vendor, m.Model} {
		for _, glob := range globs {
			errs = append(errs, CheckGlob(glob))
		}
	}
	for _, p := range m.Subnet {
		if !p.IsValid() || !p.Addr().Is4() || p != p.Masked() {
			errs = append(errs, fmt.Errorf("%q is no IPv4 subnet", p))
		}
	}
	if !slices.Contains([]string{"", FirmwareBIOS, FirmwareUEFI}, m.Firmware) {
		errs = append(errs, fmt.Errorf("the firmware is %q; write %s or %s", m.Firmware, FirmwareBIOS, FirmwareUEFI))
	}
	if b := m.Memory; b != nil && (b.Bytes < 0 || !slices.Contains(MemoryOps, b.Op)) {
		errs = append(errs, fmt.Errorf("memory is %s %d; write one of %s and a size", b.Op, b.Bytes, strings.Join(MemoryOps, " ")))
	}
	return errors.Join(errs...)
}

// CheckGlob reports a glob (path.Match) on what SMBIOS says that is not one.
func CheckGlob(glob string) error {
	if err := checkText("the pattern", glob, MaxName, ""); err != nil {
		return err
	}
	if _, err := path.Match(glob, ""); err != nil || glob == "" {
		return fmt.Errorf("%q is no pattern; a bracket or backslash in it has no end", glob)
	}
	return nil
}

// bcryptHash is the form of a bcrypt hash in the modular crypt format: version, cost, 22 characters of salt and 31 of the hash (crypt(5)).
var bcryptHash = regexp.MustCompile(`^\$2[aby]?\$(0[4-9]|1[0-6])\$[./A-Za-z0-9]{53}$`)

// IsPasswordHash reports whether a text is a bcrypt hash with a cost of 4 to 16. With more, a slow machine would need a minute for each try.
func IsPasswordHash(s string) bool { return bcryptHash.MatchString(s) }

func (s *Settings) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !slices.Contains([]string{"", MenuShown, MenuHidden, MenuLocked}, s.Menu) {
		bad("the menu is %q; write %s, %s or %s", s.Menu, MenuShown, MenuHidden, MenuLocked)
	}
	if s.Password != "" && !IsPasswordHash(s.Password) {
		bad("its password is no bcrypt hash; make one with: seeder password")
	}
	if s.Menu == MenuLocked && s.Password == "" {
		bad("its menu is locked and there is no password; make one with: seeder password")
	}
	if _, err := Expand(s.Cmdline, nil); err != nil {
		bad("cmdline: %w", err)
	}
	if len(s.Systems) > MaxSystems {
		bad("it offers %d systems; nodes read %d", len(s.Systems), MaxSystems)
	}
	if !slices.Contains([]string{"", WritableRAM, WritableNone}, s.Writable) {
		bad("writable is %q; write %s or %s", s.Writable, WritableRAM, WritableNone)
	}
	if w := s.WritableLimit; w.Bytes < 0 || w.Percent < 0 || w.Percent > 100 || w.Bytes > 0 && w.Percent > 0 {
		bad("writable_limit is %d bytes and %d%%", w.Bytes, w.Percent)
	}
	for _, line := range s.SSHKeys {
		errs = append(errs, checkText("an SSH key", line, MaxGroup, "\t"))
	}
	errs = append(errs, checkText("cmdline", s.Cmdline, MaxGroupCmdline, "\t"), checkText("hostname", s.Hostname, MaxName, ""))
	if s.Seed != nil {
		errs = append(errs, s.Seed.validate())
	}
	if s.Limits != nil {
		errs = append(errs, s.Limits.validate())
	}
	return errors.Join(errs...)
}
