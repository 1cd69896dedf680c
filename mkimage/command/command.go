// Package command is the command line of the image builder: a file for each command, and build in this one.
package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
	kongcompletion "github.com/jotaen/kong-completion"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/cli"
	phase1 "github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/internal/version"
	"github.com/boottorrent/boottorrent/mkimage/commands"
	"github.com/boottorrent/boottorrent/mkimage/drivers"
	"github.com/boottorrent/boottorrent/mkimage/image"
	"github.com/boottorrent/boottorrent/mkimage/kernel"
)

// Commands are the image builder's. The flags belong to building, and stand here so that mkimage --help shows them.
type Commands struct {
	Build   buildCmd   `cmd:"" default:"withargs" help:"Build the image of a site. The word build can be left out: ${mkimage} DIR."`
	USB     usbCmd     `cmd:"" name:"usb" help:"Build it, and the image of a USB stick that starts it on machines with BIOS and with UEFI."`
	ISO     isoCmd     `cmd:"" name:"iso" help:"The same as a CD image, for virtual machines and management processors."`
	Modules modulesCmd `cmd:"" name:"modules" help:"Pack the modules of a system's own kernel, for systems of the method root."`
	Pi      piCmd      `cmd:"" name:"pi" help:"Fill the folder from which Raspberry Pi 4 and 5 boot by TFTP, after the image for arm64."`
	Keys    keysCmd    `cmd:"" name:"keys" help:"Make a site's own keys for Secure Boot, and how to enrol them."`
	Flash   flashCmd   `cmd:"" help:"Write a disk image onto a USB stick, and compare."`
	Import  importCmd  `cmd:"" help:"Make a system of a site of what you have: a live ISO, a container image, a disk, a folder."`

	Prebuild prebuildCmd `cmd:"" hidden:"" help:"Compile the nodes' program for packages."`

	flags `embed:"" group:"When an image is built (build, usb, iso), modules are packed, or a system is imported:"`
}

// commandLine is that of the program mkimage.
type commandLine struct {
	Commands

	Completion kongcompletion.Completion `cmd:"" help:"Print a line for your shell's start-up file that completes these commands."`
	Version    cli.VersionCmd            `cmd:"" help:"Print the version."`

	ShowVersion kong.VersionFlag `name:"version" help:"Print the version."`
}

// The defaults of flags, as import tells by them which were given.
const (
	defaultCompress = "xz"
	defaultLevel    = 9
)

// flags say how to build an image.
type flags struct {
	Arch    []string `placeholder:"ARCH" help:"For machines of which architectures: amd64, arm64, or both with a comma between them. Default: arch in boottorrent.yaml. For import: which of a container image's platforms."`
	Kernel  string   `placeholder:"FILE" help:"A kernel image (vmlinuz) instead of the distribution's. For import: one for a system that has none; debian is the distribution's."`
	Modules string   `placeholder:"DIR" help:"Its modules, …/lib/modules/VERSION. Default: this system's of that version."`
	Update  bool     `help:"Look for a newer kernel of the distribution than the one in the cache."`

	Drivers  string `default:"common" placeholder:"LIST" help:"common, all, or kernel modules with commas between them; can be combined: common,sfc. Default: ${default}."`
	Firmware string `default:"/lib/firmware" placeholder:"DIR" help:"Where firmware that drivers ask for is installed. Default: ${default}. For pi: a Raspberry Pi's firmware, as folder or package."`
	Seeder   string `placeholder:"URL" help:"The seeder, http://ADDRESS:PORT, for nodes that are not told by what boots them."`

	Sign        bool     `help:"Sign the UEFI program (boottorrent.efi, and what UEFI starts on media) with keys/db.key, which '${mkimage} keys' makes. Default: sign_image in boottorrent.yaml. Machines that know db's certificate then verify all of phase 1."`
	SignKernels []string `placeholder:"NAME" help:"Sign the kernels of these systems, in their folders, so that nodes on which Secure Boot is on start them by kexec; the image itself is signed by --sign only. Other signatures of theirs go. A signed kernel is also a program that such machines start with any initramfs."`
	SignLoaders bool     `help:"Sign the UEFI program, and shim and iPXE as well, into image/loaders, for machines that don't know Microsoft's certificate. They start kernels with any initramfs: whoever can answer on the network then starts what he likes on these machines."`

	Compress      string `default:"${compress}" enum:"xz,zstd" help:"How: xz for the smallest image, zstd for one that is unpacked sooner. Default: ${default}."`
	CompressLevel int    `default:"${level}" placeholder:"1-9" help:"How much effort goes into a small image; 1 is quick, for trying things. Default: ${default}."`
	Cache         string `placeholder:"DIR" help:"Where kernels and compiled parts are kept. Default: $$XDG_CACHE_HOME/boottorrent."`
	Build         bool   `help:"Compile the nodes' program, where one came with this program, and say whether they differ."`
	Source        string `placeholder:"DIR" help:"BootTorrent's source, to compile the nodes' program. Default: the checkout in which you or this program are."`
	Verbose       bool   `short:"v" help:"List every module and missing firmware, and what takes how long."`
}

// buildCmd builds an image.
type buildCmd struct {
	Dir string `arg:"" help:"The site directory."`
}

// terminal is what a command reads and writes.
type terminal = cli.Terminal

// Program is the command with an empty command line.
func Program() cli.Program {
	var line commandLine
	return cli.Program{Name: "mkimage", Grammar: &line, Options: []kong.Option{
		kong.Description("Builds the kernel and initramfs that a site's nodes start with, into DIR/image."), line.Options(),
	}}
}

// Options are what the parser of these commands needs, in whichever program they are.
func (c *Commands) Options() kong.Option {
	return kong.OptionFunc(func(k *kong.Kong) error {
		return errors.Join(kong.Bind(&c.flags).Apply(k),
			kong.Vars{"compress": defaultCompress, "level": strconv.Itoa(defaultLevel), "mkimage": self.Mkimage()}.Apply(k))
	})
}

// Run builds the image and prints what takes how many bytes.
func (c buildCmd) Run(ctx context.Context, term terminal, f *flags) error {
	arches, err := f.arches(c.Dir)
	if err := explain(term, err); err != nil {
		return err
	}
	for i, a := range arches {
		if i > 0 {
			fmt.Fprintln(term.Out)
		}
		if err := c.build(ctx, term, f, a, len(arches) > 1); err != nil {
			return err
		}
	}
	return nil
}

// Build is the command build without any flag.
func Build(ctx context.Context, term cli.Terminal, dir string) error {
	return buildCmd{Dir: dir}.Run(ctx, term, &flags{Drivers: drivers.Common, Compress: defaultCompress, CompressLevel: defaultLevel})
}

// build builds the image for one architecture of several.
func (c buildCmd) build(ctx context.Context, term terminal, f *flags, a arch.Arch, several bool) error {
	steps := newSteps(term.Err)
	options, err := f.options(c.Dir, steps)
	if err != nil {
		return err
	}
	options.Arch = a
	if several && !f.kernelIsFor(a) {
		options.Kernel, options.Modules = "", ""
	}
	m, err := image.Build(ctx, options)
	steps.close()
	if err := explain(term, err); err != nil {
		return err
	}
	if f.Verbose {
		steps.print(term.Out)
	}
	if several {
		fmt.Fprintf(term.Out, "%s:\n", a)
	}
	if err := m.WriteTable(term.Out, f.Verbose); err != nil {
		return err
	}
	fmt.Fprintf(term.Out, "\n%s\n", filepath.Join(c.Dir, site.ImageDir, phase1.Folder(a)))
	return nil
}

// arches are the architectures to build for: those asked for, or the site's.
func (f *flags) arches(dir string) ([]arch.Arch, error) {
	if len(f.Arch) == 0 {
		s, problems := site.Load(dir)
		if len(problems) > 0 {
			return []arch.Arch{arch.AMD64}, nil // building says what is wrong
		}
		return s.Arches, nil
	}
	var arches []arch.Arch
	for _, text := range f.Arch {
		a, err := arch.Parse(strings.TrimSpace(text))
		if err != nil {
			return nil, cli.UsageError{Err: err}
		}
		if !slices.Contains(arches, a) {
			arches = append(arches, a)
		}
	}
	return arches, nil
}

// kernelIsFor reports whether the kernel that was given is for an architecture. Of one that can't be read the building says so.
func (f *flags) kernelIsFor(a arch.Arch) bool {
	if f.Kernel == "" {
		return false
	}
	files, err := kernel.Local(f.Kernel, f.Modules)
	return err != nil || files.Arch == a
}

// options are the flags as a package takes them.
func (f *flags) options(dir string, s *steps) (image.Options, error) {
	selection, err := drivers.ParseSelection(f.Drivers)
	if err != nil {
		return image.Options{}, cli.UsageError{Err: err}
	}
	return image.Options{
		Site: dir, Kernel: f.Kernel, Modules: f.Modules, UpdateKernel: f.Update, Drivers: selection, Firmware: f.Firmware,
		Seeder: f.Seeder, Sign: f.Sign,
		SignLoaders: f.SignLoaders, SignKernels: f.SignKernels, Compress: f.Compress, Level: f.CompressLevel, Cache: f.Cache, Source: f.Source, Build: f.Build, Prebuilt: image.FindPrebuilt(), Release: version.Release,
		Watch: commands.Watch{Began: s.began, Took: s.took, Counted: s.counted},
		Log:   slog.New(slog.NewTextHandler(s, &slog.HandlerOptions{ReplaceAttr: withoutTime})),
	}, nil
}

// explain shows a site's problems, and tells options that can't be meant so from failures.
func explain(term terminal, err error) error {
	if problems := (site.Problems)(nil); errors.As(err, &problems) {
		fmt.Fprintln(term.Err, problems)
		return fmt.Errorf("the site has problems: %d", len(problems))
	}
	if errors.As(err, new(*image.OptionError)) {
		return cli.UsageError{Err: err}
	}
	return err
}

// withoutTime leaves the time out of messages: who builds an image sees when they come.
func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey && len(groups) == 0 {
		return slog.Attr{}
	}
	return a
}
