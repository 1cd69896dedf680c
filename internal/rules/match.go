package rules

import (
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// findGroup finds the machine's group, and notes it; nil: it is in none, or it is not known in which.
func (d *Decision) findGroup(r *catalog.Rules, f Facts) *catalog.Group {
	for i := range r.Groups {
		g := &r.Groups[i]
		switch {
		case d.Machine != nil && d.Machine.Group != "":
			if g.Name != d.Machine.Group {
				continue
			}
			d.Because["group"] = "machine " + d.Machine.MAC
		case g.Name == catalog.GroupAll:
			d.Because["group"] = "all others"
		default:
			holds, unknown := matches(&g.Match, &f)
			if len(unknown) > 0 {
				d.Unknown, d.Perhaps = unknown, g.Name
				return nil
			}
			if !holds {
				continue
			}
			d.Because["group"] = "match of group " + g.Name
		}
		d.Group = g.Name
		return g
	}
	d.Because["group"] = "no group matches"
	return nil
}

// condition is one that a group has: the key it has in match, whether the fact is known, and whether it holds then.
type condition struct {
	key   string
	known bool
	holds func() bool
}

// conditions are those of a group. A room has thousands of machines, which are matched with each group: what a group doesn't ask for costs nothing.
func conditions(m *catalog.Match, f *Facts) (all []condition) {
	add := func(key string, known bool, holds func() bool) { all = append(all, condition{key, known, holds}) }
	texts := func(key string, patterns []string, fact string, match func(pattern, fact string) bool) {
		if len(patterns) > 0 {
			add(key, fact != "", func() bool {
				return slices.ContainsFunc(patterns, func(pattern string) bool { return match(pattern, fact) })
			})
		}
	}
	texts("mac", m.MAC, f.MAC, catalog.MatchMAC)
	texts("uuid", m.UUID, f.UUID, matchText)
	texts("serial", m.Serial, f.Serial, matchText)
	texts("vendor", m.Vendor, f.Vendor, matchText)
	texts("model", m.Model, f.Model, matchText)
	if len(m.Subnet) > 0 {
		add("subnet", f.Addr.IsValid(), func() bool {
			return slices.ContainsFunc(m.Subnet, func(p netip.Prefix) bool { return p.Contains(f.Addr.Unmap()) })
		})
	}
	texts("arch", m.Arch, f.Arch, func(a, b string) bool { return a == b })
	if m.Firmware != "" {
		add("firmware", f.Firmware != "", func() bool { return m.Firmware == f.Firmware })
	}
	if m.Memory != nil {
		add("memory", f.Memory > 0, func() bool { return m.Memory.Holds(f.Memory) })
	}
	if m.SecureBoot != nil {
		off := f.Firmware == catalog.FirmwareBIOS // it is not there
		add("secure_boot", off || f.SecureBoot != nil, func() bool { return *m.SecureBoot == (!off && *f.SecureBoot) })
	}
	return all
}

// matches reports whether a machine is as a group wants it, or which facts that are not known decide that: one that is known and isn't as
// the group wants it is enough for a no.
func matches(m *catalog.Match, f *Facts) (holds bool, unknown []string) {
	if is := func(pattern string) bool { return catalog.MatchMAC(pattern, f.MAC) }; f.MAC != "" && len(m.MAC) > 0 && !slices.ContainsFunc(m.MAC, is) {
		return false, nil // at once, as most groups of a large site are told apart by it
	}
	for _, c := range conditions(m, f) {
		switch {
		case c.known && c.holds():
			holds = true
		case c.known || f.Complete:
			return false, nil
		default:
			unknown = append(unknown, c.key)
		}
	}
	return holds && len(unknown) == 0, unknown
}

// matchText matches a text with a glob, whatever the case of letters. Slashes are characters as others.
func matchText(pattern, s string) bool {
	plain := strings.NewReplacer("/", "\x00")
	ok, _ := path.Match(plain.Replace(strings.ToLower(pattern)), plain.Replace(strings.ToLower(strings.TrimSpace(s))))
	return ok
}
