package site

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"golang.org/x/crypto/bcrypt"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/rules"
	"github.com/boottorrent/boottorrent/internal/self"
)

// start is a name that a group's settings give, which can be checked only when the systems are known. key is its key for messages, words are
// what else may stand there.
type start struct {
	text
	key   string
	words []string
}

// groupPlaces are where the groups are written, by their names.
type groupPlaces map[string]place

// readGroups reads the list of groups, without those whose names can't be used.
func readGroups(m *mapping, s *Site) groupPlaces {
	at := groupPlaces{}
	folded := map[string]place{}
	var all *text
	for i, g := range m.mappings("groups") {
		if i == catalog.MaxGroups {
			m.check.problem(g.at, fmt.Sprintf("there are more than %d groups", catalog.MaxGroups), "join some of them")
		}
		name, ok := g.required("name", "write what the group is called: name: teachers")
		if ok = ok && checkRuleName(g, name, folded); ok && all != nil {
			m.check.problem(all.place, fmt.Sprintf("the group all takes every machine that is in no other, and stands before %s", name.value), "move it to the end of the list")
			all = nil
		}
		if name.value == catalog.GroupAll {
			all = &name
		}
		group := catalog.Group{Name: name.value, Match: readMatch(g, name, s.Arches), Settings: readSettings(g, s.Defaults)}
		g.done()
		if ok {
			at[group.Name] = name.place
			s.Groups = append(s.Groups, group)
		}
	}
	return at
}

// checkRuleName reports a name that no group or machine can have, or that something else has. taken are the names so far, in lower case.
func checkRuleName(m *mapping, name text, taken map[string]place) bool {
	if err := catalog.CheckRuleName(name.value); err != nil {
		what, do, _ := strings.Cut(err.Error(), "; ")
		m.check.problem(name.place, what, do)
		return false
	}
	key := strings.ToLower(name.value)
	if first, twice := taken[key]; twice {
		m.check.problem(name.place, fmt.Sprintf("the name %s is given twice, first in line %d", name.value, first.line), "groups and machines each have a name of their own; rename one")
		return false
	}
	taken[key] = name.place
	return true
}

// readSettings reads what holds for a group, in which keys have the names and meanings that they have for the site.
func readSettings(m *mapping, site catalog.Defaults) (s catalog.Settings) {
	if m.value("default"); m.has("default") {
		t := m.start("default", "", catalog.StartLocal, catalog.StartMenu)
		if t.value == catalog.StartMenu {
			t.value = ""
		}
		s.Default = &t.value
	}
	if m.value("timeout"); m.has("timeout") {
		seconds := m.integer("timeout", 10, math.MinInt32, math.MaxInt32)
		s.Timeout = &seconds
	}
	m.readOffer(&s, site)
	m.readMenu(&s, site)
	s.Cmdline = readCmdline(m, catalog.MaxGroupCmdline)
	m.readGroupSeeding(&s, site)
	if m.value("limits"); m.has("limits") {
		limits := m.mapping("limits")
		s.Limits = &catalog.Limits{Upload: limits.rate("upload"), Download: limits.rate("download")}
		limits.done()
	}
	s.Hostname = m.hostnamePattern()
	if m.value("writable"); m.has("writable") {
		s.Writable = m.oneOf("writable", catalog.WritableRAM, catalog.WritableRAM, catalog.WritableNone)
	}
	if s.WritableLimit = m.share("writable_limit"); s.Writable == catalog.WritableNone && s.WritableLimit != (catalog.Share{}) {
		m.check.problem(m.place("writable_limit"), m.path+"writable_limit is given, but nothing can be written", "remove it, or write writable: ram")
	}
	s.SSHKeys = readSSHKeys(m)
	s.Next = m.start("next", "", catalog.StartLocal, catalog.StartMenu).value
	return s
}

// start reads a name of a system, or one of some words that stand for something else.
func (m *mapping) start(key string, words ...string) text {
	t := m.text(key, "")
	t.value = strings.TrimSpace(t.value)
	if m.has(key) {
		m.check.starts = append(m.check.starts, start{t, m.path + key, words})
	}
	return t
}

// readOffer reads the list of systems that the machines offer.
func (m *mapping) readOffer(s *catalog.Settings, site catalog.Defaults) {
	list := m.texts("systems")
	if !m.has("systems") {
		return
	}
	s.Systems = []string{}
	for i, t := range list {
		key := fmt.Sprintf("%ssystems[%d]", m.path, i)
		if t.value = strings.TrimSpace(t.value); slices.Contains(s.Systems, t.value) {
			m.check.problem(t.place, fmt.Sprintf("%s: %s is listed twice", key, t.value), "remove one")
			continue
		}
		m.check.starts = append(m.check.starts, start{t, key, []string{catalog.StartLocal}})
		s.Systems = append(s.Systems, t.value)
	}
	switch {
	case len(list) == 0:
		m.check.problem(m.place("systems"), m.path+"systems is empty, so the machines would have nothing to start", "name systems, or local, or remove the key to offer all")
	case s.Default != nil && *s.Default != "" && !s.Offers(*s.Default):
		m.check.problem(m.place("default"), fmt.Sprintf("%sdefault is %s, which is not among %ssystems", m.path, *s.Default, m.path), "add it there, or name another one")
	case s.Default == nil && site.System != "" && !s.Offers(site.System):
		m.check.warning(m.place("systems"), fmt.Sprintf("the site's default %s is not among %ssystems, so these machines wait for a person", site.System, m.path),
			"add it, or give the group a default of its own")
	}
}

// readMenu reads how the chooser shows itself, and its password. Default and timeout must have been read.
func (m *mapping) readMenu(s *catalog.Settings, site catalog.Defaults) {
	if m.value("menu"); m.has("menu") {
		s.Menu = m.oneOf("menu", catalog.MenuShown, catalog.MenuShown, catalog.MenuHidden, catalog.MenuLocked)
	}
	s.Password = m.passwordHash("password")
	system := site.System
	if s.Default != nil {
		system = *s.Default
	}
	switch {
	case s.Menu == catalog.MenuLocked && !m.has("password"):
		m.check.problem(m.place("menu"), m.path+"menu is locked, and there is no password", "make one with '"+self.Seeder()+" password', and write it with password:")
	case s.Menu != catalog.MenuLocked && s.Password != "":
		m.check.warning(m.place("password"), m.path+"password is asked of nobody, as the menu is not locked", "write menu: locked, or remove the password")
	case s.Menu == catalog.MenuHidden && system == "":
		m.check.warning(m.place("menu"), m.path+"menu is hidden, but there is no default system, so nodes show it and wait", "name a system with default, or remove menu")
	case s.Timeout != nil && *s.Timeout == 0 && system == "":
		m.check.warning(m.place("timeout"), m.path+"timeout is 0 but there is no default system, so nodes show the chooser and wait", "name a system with default, or remove timeout")
	}
}

// passwordHash reads a bcrypt hash. Messages don't repeat what may be a password.
func (m *mapping) passwordHash(key string) string {
	t := m.text(key, "")
	do := "make one with: " + self.Seeder() + " password"
	bad := func(what string) string {
		m.check.problem(t.place, m.path+key+" "+what, do)
		return ""
	}
	cost, err := bcrypt.Cost([]byte(t.value))
	switch {
	case t.value == "" || catalog.IsPasswordHash(t.value):
		return t.value
	case err == nil && (cost < 4 || cost > 16):
		return bad(fmt.Sprintf("is a bcrypt hash with the cost %d, and nodes take 4 to 16", cost))
	case strings.HasPrefix(t.value, "$2"):
		return bad(fmt.Sprintf("is a bcrypt hash that was changed or cut off: it has %d characters, and they have 60", len(t.value)))
	case strings.HasPrefix(t.value, "$"):
		return bad("is a hash of another kind than bcrypt")
	}
	return bad("is no hash of a password; everyone in the network can read it")
}

// readGroupSeeding reads seed_time and seed. What they leave open is what the site says.
func (m *mapping) readGroupSeeding(s *catalog.Settings, site catalog.Defaults) {
	seconds := m.integer("seed_time", site.SeedTime, 0, math.MaxInt32)
	section := m.mapping("seed")
	until, after := section.has("until"), section.has("after_start")
	seeding, leave := readSeeding(section)
	switch {
	case until && seeding.Until == "" || !until && m.has("seed_time"):
		s.Seed = &catalog.Seeding{Until: catalog.UntilTime, Limit: seconds}
	case until:
		s.Seed = &seeding
	case section.has("ratio") || section.has("limit"):
		m.check.problem(section.at, m.path+"seed says no until", "write until: swarm or until: ratio beside it")
	}
	if after {
		s.LeaveAtStart = &leave
	}
}

// hostnamePattern reads the pattern of host names.
func (m *mapping) hostnamePattern() string {
	t := m.text("hostname", "")
	t.value = strings.TrimSpace(t.value)
	if t.value == "" {
		return ""
	}
	if err := rules.CheckHostname(t.value); err != nil {
		what, do, _ := strings.Cut(err.Error(), "; ")
		m.check.problem(t.place, m.path+"hostname: "+what, do)
		return ""
	}
	return t.value
}

// LockPasswords are the hashes of the passwords of the locked menus, each once.
func (s *Site) LockPasswords() (hashes []string) {
	for _, g := range s.Groups {
		if g.Menu == catalog.MenuLocked && !slices.Contains(hashes, g.Password) {
			hashes = append(hashes, g.Password)
		}
	}
	return hashes
}
