package site

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// checkStarts reports names in the settings of groups that lead to no system that is whole. They stop nothing: the publisher takes them out.
func (r *systemReader) checkStarts(starts []start) {
	for _, s := range starts {
		state := r.named(s.value)
		if slices.Contains(s.words, s.value) || state == nameWhole {
			continue
		}
		do := "mend it, or name another system; until then it is as if nothing stood there"
		if state == nameUnknown {
			do = fmt.Sprintf("make the folder %s, or name one that is there", filepath.Join(SystemsDir, s.value))
			if near := nearest(s.value, append(slices.Clone(s.words), r.names()...)); near != "" {
				do = fmt.Sprintf("did you mean %s?", near)
			}
		}
		r.shared.problem(s.place, fmt.Sprintf("%s: the system %q %s", s.key, s.value, state), do)
	}
}

// checkGroupCmdlines reports command lines that are too long with what a group adds to them.
func (r *systemReader) checkGroupCmdlines() {
	for _, sys := range r.site.Systems {
		own, limit := "", catalog.MaxCmdline
		switch l := sys.Launch; {
		case l.Kexec != nil:
			own = l.Kexec.Cmdline
		case l.Root != nil:
			own, limit = l.Root.Cmdline, catalog.MaxRootCmdline
		default:
			continue
		}
		for _, g := range r.site.Groups {
			n := catalog.Longest(strings.TrimSpace(own + " " + g.Cmdline))
			if g.Cmdline != "" && n > limit && g.Offers(sys.Name) {
				r.shared.problem(startOf(r.shared.shownSystem(sys.Name)), fmt.Sprintf("its command line and that of the group %s have up to %d bytes together, and the kernel takes %d", g.Name, n, limit),
					"shorten one of the two cmdline; machines of this group can't start it")
			}
		}
	}
}
