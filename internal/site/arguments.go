package site

import (
	"slices"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/image"
)

// Cmdline is the kernel command line of phase 1 for amd64.
func (s *Site) Cmdline() image.Cmdline { return s.CmdlineFor(arch.AMD64) }

// CmdlineFor is phase 1's kernel command line for an architecture.
func (s *Site) CmdlineFor(a arch.Arch) image.Cmdline {
	return image.Cmdline{Arch: a, Consoles: s.Node.Consoles, Extra: s.Node.Cmdline, Graphics: s.showsGuests()}
}

// showsGuests reports whether nodes of the site show guests on their screens.
func (s *Site) showsGuests() bool {
	return slices.ContainsFunc(slices.Concat(s.Systems, s.Absent), func(sys System) bool {
		q := sys.Launch.QEMU
		return q != nil && (q.Display == "" || q.Display == catalog.DisplayScreen)
	})
}
