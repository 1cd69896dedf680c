package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/boottorrent/boottorrent/internal/cli"
	"github.com/boottorrent/boottorrent/mkimage/image"
	"github.com/boottorrent/boottorrent/mkimage/pi"
)

// piCmd fills the folder from which Raspberry Pis boot. Its flag --firmware is the general one, which means something else here.
type piCmd struct {
	Dir         string `arg:"" help:"The site directory."`
	DeviceTrees string `placeholder:"DIR" help:"Device trees (bcm2711-rpi-4-b.dtb, bcm2712-rpi-5-b.dtb) that go before the kernel's and the firmware's."`
}

// Run fills it and says which boards can start.
func (c piCmd) Run(ctx context.Context, t terminal, f *flags) error {
	if f.Firmware == image.DefaultFirmware {
		return cli.UsageError{Err: errors.New("whose firmware? name it with --firmware: the folder /boot/firmware of a Pi, the package raspi-firmware (.deb) " +
			"or its name; see docs/pi.md")}
	}
	steps := newSteps(t.Err)
	defer steps.close()
	cache := f.Cache
	if cache == "" {
		var err error
		if cache, err = image.DefaultCache(); err != nil {
			return err
		}
	}
	made, err := pi.Make(ctx, pi.Options{
		Site: c.Dir, Firmware: f.Firmware, DeviceTrees: c.DeviceTrees, Cache: cache,
		Log: slog.New(slog.NewTextHandler(steps, &slog.HandlerOptions{ReplaceAttr: withoutTime})),
	})
	if errors.As(err, new(*pi.OptionError)) {
		return cli.UsageError{Err: err}
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(t.Out, "%s: %d files, %.2f MiB, for %s\n", made.Dir, made.Files, float64(made.Size)/(1<<20), strings.Join(made.Ready, " and "))
	for _, l := range made.Lacks {
		fmt.Fprintf(t.Out, "not for a %s: %s is missing\n", l.Board, strings.Join(l.Files, ", "))
	}
	for _, tree := range made.ForeignTrees {
		fmt.Fprintf(t.Out, "%s is the firmware's: the image's kernel has none, and may lack drivers of that board\n", tree)
	}
	return nil
}
