// Package kinds lists what mkimage import knows.
package kinds

import (
	"github.com/boottorrent/boottorrent/mkimage/source"
	"github.com/boottorrent/boottorrent/mkimage/source/iso"
)

// All are the kinds of sources, in the order in which they are asked: one that takes less comes before one that takes more.
func All() []source.Kind {
	return []source.Kind{
		iso.Live{},
		iso.Installer{},
		iso.Machine{},
	}
}
