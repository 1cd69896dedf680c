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
			holds, unknown := matches(g.Match, f)
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

// condition is one of a group's: the key it has in match, whether the group has it, whether the fact is known, and whether it holds then.
type condition struct {
	key          string
	asked, known bool
	holds        func() bool
}

func conditions(m catalog.Match, f Facts) []condition {
	if f.Firmware == catalog.FirmwareBIOS {
		f.SecureBoot = new(bool)
	}
	texts := func(key string, patterns []string, fact string, match func(pattern, fact string) bool) condition {
		return condition{key, len(patterns) > 0, fact != "", func() bool {
			return slices.ContainsFunc(patterns, func(pattern string) bool { return match(pattern, fact) })
		}}
	}
	return []condition{
		texts("mac", m.MAC, f.MAC, catalog.MatchMAC),
		texts("uuid", m.UUID, f.UUID, matchText),
		texts("serial", m.Serial, f.Serial, matchText),
		texts("vendor", m.Vendor, f.Vendor, matchText),
		texts("model", m.Model, f.Model, matchText),
		{"subnet", len(m.Subnet) > 0, f.Addr.IsValid(), func() bool {
			return slices.ContainsFunc(m.Subnet, func(p netip.Prefix) bool { return p.Contains(f.Addr.Unmap()) })
		}},
		texts("arch", m.Arch, f.Arch, func(a, b string) bool { return a == b }),
		{"firmware", m.Firmware != "", f.Firmware != "", func() bool { return m.Firmware == f.Firmware }},
		{"memory", m.Memory != nil, f.Memory > 0, func() bool { return m.Memory.Holds(f.Memory) }},
		{"secure_boot", m.SecureBoot != nil, f.SecureBoot != nil, func() bool { return *m.SecureBoot == *f.SecureBoot }},
	}
}

// matches reports whether a machine is as a group wants it, or which facts that are not known decide that: one that is known and isn't as
// the group wants it is enough for a no.
func matches(m catalog.Match, f Facts) (holds bool, unknown []string) {
	for _, c := range conditions(m, f) {
		switch {
		case !c.asked:
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
