// Package kinds lists what mkimage import knows.
package kinds

import (
	"slices"

	"github.com/boottorrent/boottorrent/mkimage/source"
	"github.com/boottorrent/boottorrent/mkimage/source/iso"
	"github.com/boottorrent/boottorrent/mkimage/source/roots"
)

// All are the kinds of sources, in the order in which they are asked: one that takes less comes before one that takes more.
func All() []source.Kind {
	return slices.Concat(
		[]source.Kind{iso.Live{}, iso.Installer{}},
		roots.Kinds(),
		[]source.Kind{iso.Machine{}},
	)
}
