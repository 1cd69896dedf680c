package rules

import (
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
				d.Unknown = unknown
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
	return nil
}

// matches reports whether a machine is as a group wants it, or which facts, that are not known, decide that.
func matches(m catalog.Match, f Facts) (holds bool, unknown []string) {
	holds, some := true, false
	// test notes one of the conditions; known says that the fact is.
	test := func(key string, asked, known bool, ok func() bool) {
		switch {
		case !asked:
		case known || f.Complete:
			some = true
			holds = holds && known && ok()
		default:
			some = true
			unknown = append(unknown, key)
		}
	}
	test("mac", len(m.MAC) > 0, f.MAC != "", func() bool {
		return slices.ContainsFunc(m.MAC, func(pattern string) bool { return catalog.MatchMAC(pattern, f.MAC) })
	})
	for _, t := range []struct {
		key      string
		patterns []string
		fact     string
	}{{"uuid", m.UUID, f.UUID}, {"serial", m.Serial, f.Serial}, {"vendor", m.Vendor, f.Vendor}, {"model", m.Model, f.Model}} {
		test(t.key, len(t.patterns) > 0, t.fact != "", func() bool {
			return slices.ContainsFunc(t.patterns, func(pattern string) bool { return matchText(pattern, t.fact) })
		})
	}
	test("subnet", len(m.Subnet) > 0, f.Addr.IsValid(), func() bool {
		for _, p := range m.Subnet {
			if p.Contains(f.Addr) {
				return true
			}
		}
		return false
	})
	test("arch", len(m.Arch) > 0, f.Arch != "", func() bool { return slices.Contains(m.Arch, f.Arch) })
	test("firmware", m.Firmware != "", f.Firmware != "", func() bool { return m.Firmware == f.Firmware })
	test("memory", m.Memory != nil, f.Memory > 0, func() bool { return m.Memory.Holds(f.Memory) })
	test("secure_boot", m.SecureBoot != nil, f.SecureBoot != nil, func() bool { return *m.SecureBoot == *f.SecureBoot })
	if !holds || !some {
		return false, nil // whatever is not known, it is no
	}
	return len(unknown) == 0, unknown
}

// matchText matches a text with a glob, whatever the case of letters. Slashes are characters as others.
func matchText(pattern, s string) bool {
	plain := strings.NewReplacer("/", "\x00")
	ok, _ := path.Match(plain.Replace(strings.ToLower(pattern)), plain.Replace(strings.ToLower(strings.TrimSpace(s))))
	return ok
}
