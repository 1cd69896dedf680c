package command

import (
	"context"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/mkimage/image"
)

// prebuildCmd compiles what the packages bring, so that who installs one needs neither Go nor the source.
type prebuildCmd struct {
	Folder string `arg:"" help:"Where to: a folder for each architecture."`
}

// Run compiles for every architecture, or those that --arch says.
func (c prebuildCmd) Run(ctx context.Context, term terminal, f *flags) error {
	arches := arch.All
	if len(f.Arch) > 0 {
		var err error
		if arches, err = f.arches(""); err != nil {
			return err
		}
	}
	for _, a := range arches {
		steps := newSteps(term.Err)
		options, err := f.options("", steps)
		if err != nil {
			return err
		}
		options.Arch = a
		err = image.Prebuild(ctx, options, c.Folder)
		steps.close()
		if err := explain(term, err); err != nil {
			return err
		}
	}
	return nil
}
