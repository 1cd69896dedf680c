package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/boottorrent/boottorrent/internal/atomicfile"
	"github.com/boottorrent/boottorrent/internal/cli"
	"github.com/boottorrent/boottorrent/mkimage/archive"
	"github.com/boottorrent/boottorrent/mkimage/drivers"
)

// modulesCmd packs the modules of a kernel for a system of the method root.
type modulesCmd struct {
	Output string `short:"o" required:"" placeholder:"FILE" help:"Where to write the archive: into the system's folder, where 'modules:' in its config.yaml names it."`
}

// Run packs them and says what is in and what is not.
func (c modulesCmd) Run(ctx context.Context, t terminal, f *flags) error {
	if f.Kernel == "" {
		return cli.UsageError{Err: errors.New("whose modules? give the system's kernel with --kernel FILE")}
	}
	selection, err := drivers.ParseSelection(f.Drivers)
	if err != nil {
		return cli.UsageError{Err: err}
	}
	steps := newSteps(t.Err)
	defer steps.close()
	log := slog.New(slog.NewTextHandler(steps, &slog.HandlerOptions{ReplaceAttr: withoutTime}))
	compressor, err := archive.New(ctx, f.Compress, f.CompressLevel)
	if err != nil {
		return err
	}
	if lacks := compressor.Lacks(); lacks != "" {
		log.Warn("the tool "+f.Compress+" is not here; the archive gets a tenth or more larger than with it", "remedy", "apt-get install "+lacks)
	}
	steps.began("pack the modules")
	b, set, err := drivers.Archive(ctx, f.Kernel, f.Modules, selection, f.Firmware, compressor)
	if err != nil {
		return err
	}
	if err := atomicfile.Write(c.Output, b, 0o644); err != nil {
		return fmt.Errorf("write the archive of modules: %w", err)
	}
	fmt.Fprintf(t.Out, "%s: %d bytes, %.2f MiB: kernel %s, %d modules (%s), %d firmware files\n", c.Output, len(b), float64(len(b))/(1<<20),
		set.Version, len(set.Modules), selection, len(set.Firmware))
	if len(set.Absent) > 0 {
		fmt.Fprintf(t.Out, "not in this kernel: %s\n", strings.Join(set.Absent, ", "))
	}
	if len(set.WithoutFirmware) > 0 {
		fmt.Fprintf(t.Out, "left out, as they need firmware that is not in %s: %s\n", f.Firmware, strings.Join(set.WithoutFirmware, ", "))
	}
	if f.Verbose {
		for _, m := range set.Modules {
			fmt.Fprintln(t.Out, m.Path)
		}
		for _, m := range set.MissingFirmware {
			fmt.Fprintf(t.Out, "firmware that %s may ask for and that is not in %s: %s\n", m.Module, f.Firmware, m.Path)
		}
	}
	return nil
}
