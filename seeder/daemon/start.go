package daemon

import (
	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/site"
)

// startOf is what boot scripts for a site are made of.
func startOf(s *site.Site) catalog.BootStart {
	start := catalog.BootStart{UEFI: string(s.UEFI), Original: s.Original, Images: map[arch.Arch]catalog.ImageStart{}}
	for _, a := range arch.All {
		cmdline := s.CmdlineFor(a)
		start.Images[a] = catalog.ImageStart{Cmdline: cmdline.String(), Graphics: cmdline.AsksForMode()}
	}
	return start
}
