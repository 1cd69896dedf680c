package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/cli"
	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/mkimage/drivers"
	"github.com/boottorrent/boottorrent/mkimage/image"
	"github.com/boottorrent/boottorrent/mkimage/source"
	"github.com/boottorrent/boottorrent/mkimage/source/kinds"
)

// importCmd makes a system of something.
type importCmd struct {
	Source  string `arg:"" help:"What the system is in; see below."`
	Target  string `arg:"" placeholder:"DIR/oss/NAME" help:"The new system's folder in a site, DIR/oss/NAME."`
	Replace bool   `help:"Replace the system that is there. It stays as it is until the new one is whole."`
	Title   string `placeholder:"TEXT" help:"The name in the chooser. Default: what the source calls itself."`
	Init    string `placeholder:"PATH" help:"The program in a root file system that becomes process 1. Default: /sbin/init, or where else distributions have it."`
	Entry   []int  `placeholder:"N" help:"Of an ISO with a boot menu, its N-th entry, to be started as the ISO does; can be repeated, for a system each."`
}

// Help lists what can be imported.
func (importCmd) Help() string {
	var b strings.Builder
	b.WriteString("SOURCE is recognised by its content:\n")
	for _, k := range kinds.All() {
		e := k.Example()
		fmt.Fprintf(&b, "\n%s: %s.\n\n    "+self.Mkimage()+" import %s\n", k.Name(), e.Becomes, e.Source)
	}
	b.WriteString("\nIf it fails or is interrupted, nothing is left of it.\n\n" +
		"Of the last group of flags below, import takes --arch, --kernel, --modules, --drivers, --firmware, --cache and --verbose.")
	return b.String()
}

// onlyArch is the one architecture that was asked for; empty if none was.
func (f *flags) onlyArch() (arch.Arch, error) {
	if len(f.Arch) == 0 {
		return "", nil
	}
	if len(f.Arch) > 1 {
		return "", cli.UsageError{Err: errors.New("a system is for one architecture; give one with --arch")}
	}
	a, err := arch.Parse(f.Arch[0])
	if err != nil {
		return "", cli.UsageError{Err: err}
	}
	return a, nil
}

// forImport refuses flags that are for images of phase 1 and for archives of modules alone.
func (f *flags) forImport() error {
	if _, err := drivers.ParseSelection(f.Drivers); err != nil {
		return err
	}
	for _, not := range []struct {
		name string
		set  bool
	}{
		{"--update", f.Update}, {"--seeder", f.Seeder != ""},
		{"--compress", f.Compress != defaultCompress}, {"--compress-level", f.CompressLevel != defaultLevel}, {"--source", f.Source != ""}, {"--build", f.Build},
	} {
		if not.set {
			return fmt.Errorf("%s means nothing to import; leave it out", not.name)
		}
	}
	return nil
}

// Run imports and prints what came from where.
func (c importCmd) Run(ctx context.Context, term terminal, f *flags) error {
	cache := f.Cache
	if cache == "" {
		var err error
		if cache, err = image.DefaultCache(); err != nil {
			return err
		}
	}
	for _, n := range c.Entry {
		if n < 1 {
			return cli.UsageError{Err: fmt.Errorf("--entry %d: entries are counted from 1", n)}
		}
	}
	if err := f.forImport(); err != nil {
		return cli.UsageError{Err: err}
	}
	a, err := f.onlyArch()
	if err != nil {
		return err
	}
	steps := newSteps(term.Err)
	result, err := source.Import(ctx, source.Options{
		Source: c.Source, Target: c.Target, Replace: c.Replace, Title: c.Title, Arch: a, Init: c.Init, Entries: c.Entry, Kernel: f.Kernel, Modules: f.Modules, Drivers: f.Drivers, Firmware: f.Firmware, Cache: cache,
		Watch: source.Watch{Began: steps.began, Took: steps.took, Counted: steps.countedBytes},
		Log:   slog.New(slog.NewTextHandler(steps, &slog.HandlerOptions{ReplaceAttr: withoutTime})),
	}, kinds.All())
	steps.close()
	if err != nil {
		return err
	}
	if f.Verbose {
		steps.print(term.Out)
	}
	if err := result.WriteTable(term.Out); err != nil {
		return err
	}
	var configs []string
	for _, s := range result.Systems {
		configs = append(configs, cli.Quote(filepath.Join(s.Dir, site.SystemFile)))
	}
	fmt.Fprintf(term.Out, "\nHow it is started can be changed in %s\n", strings.Join(configs, ", "))
	return nil
}
