package command

import (
	"context"
	"fmt"

	"github.com/boottorrent/boottorrent/internal/cli"
	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/mkimage/image"
)

// mediumCmd is what the commands that make media share.
type mediumCmd struct {
	Dir    string `arg:"" help:"The site directory."`
	Output string `short:"o" placeholder:"FILE" help:"Where to write it. Default: DIR/image/${medium}."`
	Conf   string `placeholder:"FILE" help:"The boottorrent.conf to put on it, for machines that start without a person. Default: one that only explains what can be set."`
}

// usbCmd and isoCmd make the two.
type (
	usbCmd struct {
		mediumCmd `set:"medium=boottorrent.img"`
	}
	isoCmd struct {
		mediumCmd `set:"medium=boottorrent.iso"`
	}
)

// Run makes the image of a stick.
func (c usbCmd) Run(ctx context.Context, term terminal, f *flags) error {
	return c.build(ctx, term, f, image.USB)
}

// Run makes that of a CD.
func (c isoCmd) Run(ctx context.Context, term terminal, f *flags) error {
	return c.build(ctx, term, f, image.ISO)
}

func (c mediumCmd) build(ctx context.Context, term terminal, f *flags, format image.Format) error {
	steps := newSteps(term.Err)
	options, err := f.options(c.Dir, steps)
	if err != nil {
		return err
	}
	arches, err := f.arches(c.Dir)
	if err := explain(term, err); err != nil {
		return err
	}
	options.Arch = arches[0]
	m, medium, err := image.BuildMedium(ctx, options, image.Medium{Format: format, Path: c.Output, Config: c.Conf})
	steps.close()
	if err := explain(term, err); err != nil {
		return err
	}
	if f.Verbose {
		steps.print(term.Out)
	}
	if err := m.WriteTable(term.Out, f.Verbose); err != nil {
		return err
	}
	fmt.Fprintf(term.Out, "\n%s: %d bytes, %.2f MiB, volume %04X-%04X\n", medium.Path, medium.Size, float64(medium.Size)/(1<<20),
		medium.Volume>>16, medium.Volume&0xffff)
	if format == image.USB {
		fmt.Fprintf(term.Out, "Onto a stick with it: "+self.Mkimage()+" flash %s\n", cli.Quote(medium.Path))
	}
	return nil
}
