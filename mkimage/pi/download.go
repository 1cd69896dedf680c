package pi

import (
	"context"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/mkimage/debian"
)

// download takes the package that Firmware names out of the distribution's archive, and returns the folder into which it was unpacked.
func (o Options) download(ctx context.Context) (string, error) {
	p, err := debian.Archive{Cache: o.Cache, Arch: arch.ARM64, Log: o.Log}.Get(ctx, debian.Wanted{
		Name: o.Firmware, Instead: "name a folder with start4.elf in it, or a package's file (.deb), with --firmware",
	})
	return p.Dir, err
}
