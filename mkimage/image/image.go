// Package image builds phase 1 of a site for one architecture: DIR/image/, or DIR/image/arm64/, with the kernel (vmlinuz), the
// initramfs (initramfs.img), both in one UEFI program (boottorrent.efi), and what they are made of (manifest.json). Boot loaders of
// another architecture than this machine's are put into its folder loaders/.
//
// The initramfs is three streams of xz or zstd one after the other, which the kernel unpacks in this order: the commands, the kernel
// modules, and the site's part (public key, seeder). The first two are kept in a cache under a hash of all they are made
// from, so that a change in the site compiles and compresses nothing anew. The same inputs give the same bytes.
package image

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/bzimage"
	phase1 "github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/internal/sitepart"
	"github.com/boottorrent/boottorrent/mkimage/archive"
	"github.com/boottorrent/boottorrent/mkimage/commands"
	"github.com/boottorrent/boottorrent/mkimage/drivers"
	"github.com/boottorrent/boottorrent/mkimage/kernel"
	"github.com/boottorrent/boottorrent/mkimage/keys"
)

// Names of the files in DIR/image/.
const (
	KernelFile    = phase1.Kernel
	InitramfsFile = phase1.Initramfs
	// UKIFile is kernel, initramfs and command line in one UEFI program.
	UKIFile      = phase1.UKI
	ManifestFile = phase1.Manifest
)

// MaxSize is what a kernel and an initramfs with common drivers may have together, in bytes: 16 MiB, and 20 MiB for arm64, whose kernel
// boot loaders only unpack from gzip.
func MaxSize(a arch.Arch) int64 {
	if a == arch.ARM64 {
		return 20 << 20
	}
	return 16 << 20
}

// DefaultFirmware is where distributions install firmware.
const DefaultFirmware = "/lib/firmware"

// Options say what to build. Only Site is needed.
type Options struct {
	// Site is the site's directory.
	Site string
	// Arch is the nodes' architecture; amd64 if empty.
	Arch arch.Arch
	// Kernel is a kernel image and Modules its folder …/lib/modules/VERSION; empty for the distribution's kernel, which is
	// downloaded into the cache once. UpdateKernel looks for a newer one.
	Kernel, Modules string
	UpdateKernel    bool
	// Drivers are those of drivers.Common if empty.
	Drivers drivers.Selection
	// Firmware is the folder of installed firmware; DefaultFirmware if empty.
	Firmware string
	// Seeder is the seeder's base URL, http://ADDRESS:PORT, for nodes that neither the boot loader nor DHCP tells; may be
	// empty.
	Seeder string
	// Sign signs the UEFI program with the site's own key for Secure Boot, as the site itself may ask for. SignLoaders signs copies of the
	// boot loaders as well, which then start any kernel and initramfs.
	Sign, SignLoaders bool
	// SignKernels are the names of systems whose kernels are signed, in their folders, so that nodes under Secure Boot start them by kexec.
	SignKernels []string
	// Compress is archive.MethodXZ or MethodZstd; xz if empty.
	Compress string
	// Level is how much effort goes into compression, archive.MinLevel to archive.MaxLevel; archive.DefaultLevel if 0.
	Level int
	// Cache is a folder for kernels and compiled parts; DefaultCache if empty.
	Cache string
	// Source is a checkout of this module; looked for from the working folder and the program upwards if empty.
	Source string
	// Prebuilt is the folder of nodes' programs that came with this one, as Prebuild writes it; empty if there is none. It is taken
	// unless Build or Source says to compile.
	Prebuilt string
	Build    bool
	// Release is what the commands call themselves; internal/version's default if empty.
	Release string
	// Log is told what takes time; nobody if nil.
	Log *slog.Logger
	// Watch is told of the steps, some of which are done at the same time as others.
	Watch commands.Watch
}

// DefaultCache is the folder boottorrent in the user's cache: $XDG_CACHE_HOME, or ~/.cache.
func DefaultCache() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("there is no place for the cache (%w); name one with --cache DIR", err)
	}
	return filepath.Join(dir, "boottorrent"), nil
}

// Build builds the image of o.Site and returns its manifest. On an error what was in its folder before is untouched.
// Problems that stop the site come as [site.Problems]; those of single systems are logged, as the image depends on none.
func Build(ctx context.Context, o Options) (*Manifest, error) {
	b, err := newBuild(ctx, o)
	if err != nil {
		return nil, err
	}
	defer b.close()
	return b.run(ctx)
}

func newBuild(ctx context.Context, o Options) (*build, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if o.Level < archive.MinLevel || o.Level > archive.MaxLevel {
		return nil, &OptionError{fmt.Sprintf("there is no compression level %d: choose one from %d (quick) to %d (small)",
			o.Level, archive.MinLevel, archive.MaxLevel)}
	}
	if o.Compress != archive.MethodXZ && o.Compress != archive.MethodZstd {
		return nil, &OptionError{fmt.Sprintf("there is no compression %q: choose %s (small) or %s (quickly unpacked)",
			o.Compress, archive.MethodXZ, archive.MethodZstd)}
	}
	compressor, err := archive.New(ctx, o.Compress, o.Level)
	if err != nil {
		return nil, err
	}
	if lacks := compressor.Lacks(); lacks != "" {
		o.Log.Warn("the tool "+o.Compress+" is not here; the image gets a tenth or more larger than with it", "remedy", "apt-get install "+lacks)
	}
	return &build{Options: o, compressor: compressor, cache: cache{dir: filepath.Join(o.Cache, "parts")}}, nil
}

// OptionError is an option that can't be meant so, as opposed to one that turns out wrong.
type OptionError struct{ message string }

// Error says which option and what to write.
func (e *OptionError) Error() string { return e.message }

func (o Options) withDefaults() (Options, error) {
	var err error
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Compress = cmp.Or(o.Compress, archive.MethodXZ)
	if o.Level == 0 {
		o.Level = archive.DefaultLevel
	}
	if len(o.Drivers) == 0 {
		o.Drivers = drivers.Selection{drivers.Common}
	}
	o.Arch = cmp.Or(o.Arch, arch.AMD64)
	if o.Firmware == "" {
		o.Firmware = DefaultFirmware
	}
	if o.Kernel == "" && o.Modules != "" {
		return o, &OptionError{fmt.Sprintf("modules %s without a kernel: give both, or neither for the distribution's", o.Modules)}
	}
	if err := checkSeeder(o.Seeder); err != nil {
		return o, err
	}
	if o.Cache == "" {
		if o.Cache, err = DefaultCache(); err != nil {
			return o, err
		}
	}
	if o.Cache, err = filepath.Abs(o.Cache); err != nil {
		return o, err
	}
	o.Build = o.Build || o.Source != "" || o.Prebuilt == ""
	if o.Build {
		o.Source, err = commands.FindSource(o.Source)
	}
	return o, err
}

func checkSeeder(text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" || u.Hostname() == "" || u.Path != "" || u.RawQuery != "" || u.User != nil {
		return &OptionError{fmt.Sprintf("the seeder %q is not of the form http://ADDRESS:PORT", text)}
	}
	return nil
}

// build is one run of Build.
type build struct {
	Options
	compressor archive.Compressor
	cache      cache
	// temp is made when it is needed.
	temp string

	site *site.Site
	// key signs the image, kernelKey the kernels of systems; nil if nothing is signed.
	key       *keys.Key
	kernelKey *keys.Key
	kernel    kernel.Files
	// vmlinuz is the content of the kernel's file, read once: what says its hash must hold for what is written.
	vmlinuz []byte
	header  bzimage.Header
	// prebuilt is the nodes' program that came with this one; plan what is compiled instead. One of them is there.
	prebuilt *Prebuilt
	plan     *commands.Plan
	set      *drivers.Set
	// medium is nil unless one is made.
	medium *medium
}

func (b *build) close() {
	if b.temp != "" {
		os.RemoveAll(b.temp)
	}
}

func (b *build) run(ctx context.Context) (*Manifest, error) {
	var problems site.Problems
	if b.site, problems = site.Load(b.Site); len(problems) > 0 {
		return nil, problems
	}
	for _, p := range b.site.AllProblems() {
		b.Log.Warn("a system has a problem; the image doesn't depend on it", "problem", p.Error())
	}
	if err := b.checkPlaces(); err != nil {
		return nil, err
	}
	if err := b.usesPrebuilt(); err != nil {
		return nil, err
	}
	if b.Build {
		if err := commands.CheckGo(ctx, b.Source); err != nil {
			return nil, err
		}
	}
	switch made, err := site.EnsureKeys(b.site); {
	case err != nil:
		return nil, err
	case made:
		b.Log.Info("keys are made for this site of the original; keep them", "secret", site.SecretKeyFile, "public", site.PublicKeyFile)
	}
	if err := b.findKey(); err != nil {
		return nil, err
	}
	if err := b.signKernels(); err != nil {
		return nil, err
	}
	if err := b.step("find the kernel", func() error { return b.findKernel(ctx) }); err != nil {
		return nil, err
	}
	var parts [3]*Part
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		parts[0], err = b.commandsPart(groupCtx)
		return err
	})
	group.Go(func() (err error) {
		parts[1], err = b.modulesPart(groupCtx)
		return err
	})
	group.Go(func() (err error) {
		parts[2], err = b.sitePart(groupCtx)
		return err
	})
	var withStorage *Part
	if b.medium != nil {
		group.Go(func() (err error) {
			withStorage, err = b.storagePart(groupCtx)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var m *Manifest
	err := b.step("write the image", func() (err error) {
		m, err = b.write(ctx, parts[:])
		return err
	})
	if err != nil || b.medium == nil {
		return m, err
	}
	return m, b.step("make the medium", func() error { return b.writeMedium(ctx, []*Part{parts[0], withStorage, parts[2]}) })
}

// step does f and tells how long it took.
func (b *build) step(name string, f func() error) error {
	if b.Watch.Began != nil {
		b.Watch.Began(name)
	}
	began := time.Now()
	err := f()
	if b.Watch.Took != nil {
		b.Watch.Took(name, time.Since(began))
	}
	return err
}

func (b *build) findKernel(ctx context.Context) (err error) {
	switch {
	case b.Kernel != "":
		b.kernel, err = kernel.Local(b.Kernel, b.Modules)
	case b.UpdateKernel:
		b.kernel, err = kernel.Update(ctx, b.Cache, b.Arch, b.Log)
	default:
		b.kernel, err = kernel.Distribution(ctx, b.Cache, b.Arch, b.Log)
	}
	if err != nil {
		return err
	}
	if b.kernel.Arch != b.Arch {
		return &OptionError{fmt.Sprintf("%s is a kernel for %s; build that image with --arch %s, or give a kernel for %s",
			b.kernel.Vmlinuz, b.kernel.Arch, b.kernel.Arch, b.Arch)}
	}
	if b.vmlinuz, err = os.ReadFile(b.kernel.Vmlinuz); err != nil {
		return fmt.Errorf("read the kernel: %w", err)
	}
	if b.header, err = bzimage.Parse(b.vmlinuz); err != nil {
		return fmt.Errorf("read the kernel: %w", err)
	}
	return nil
}

// commandsPart is everything but modules and the site's part.
func (b *build) commandsPart(ctx context.Context) (*Part, error) {
	if !b.Build {
		return b.prebuiltPart(ctx)
	}
	return b.compiledPart(ctx)
}

// compiledPart is the same, compiled here unless the cache has it.
func (b *build) compiledPart(ctx context.Context) (*Part, error) {
	if err := b.step("look at the commands' source", func() (err error) {
		b.plan, err = commands.List(ctx, b.Source, b.Release, b.Arch)
		return err
	}); err != nil {
		return nil, err
	}
	b.compareWithPrebuilt(ctx)
	plan := b.plan
	base := baseRecords()
	skeleton, err := archive.CPIO(base)
	if err != nil {
		return nil, err
	}
	compressor := b.compressor
	if b.Arch == arch.AMD64 {
		compressor = compressor.ForCode() // whose filter is for x86; Linux has had one for arm64 since 6.14
	}
	key := hash("commands", compressor.String(), plan.Key, string(skeleton))
	return b.cache.part(CommandsPart, key, func() (*Part, error) {
		b.Log.Info("compile the node's commands; this takes a minute or more the first time",
			"commands", len(plan.Names), "go", plan.Go)
		temp, err := b.tempDir()
		if err != nil {
			return nil, err
		}
		records, err := plan.Build(ctx, temp, b.Watch)
		if err != nil {
			return nil, err
		}
		// What was compiled must be what the key stands for.
		if err := b.step("look at the source again", func() error {
			if after, err := commands.List(ctx, b.Source, b.Release, b.Arch); err != nil || after.Key != plan.Key {
				return fmt.Errorf("the source in %s was changed while it was compiled; run "+self.Mkimage()+" again", b.Source)
			}
			return nil
		}); err != nil {
			return nil, err
		}
		b.Log.Info("compress the commands")
		return b.newPart(ctx, CommandsPart, compressor, append(base, records...))
	})
}

// modulesPart is the kernel's modules and firmware.
func (b *build) modulesPart(ctx context.Context) (*Part, error) {
	var err error
	if b.set, err = b.choose(b.Drivers); err != nil {
		return nil, err
	}
	return b.compressModules(ctx, b.set)
}

// storagePart is modulesPart with the drivers that a medium is read by.
func (b *build) storagePart(ctx context.Context) (*Part, error) {
	set, err := b.choose(append(slices.Clone(b.Drivers), drivers.Storage))
	if err != nil {
		return nil, err
	}
	return b.compressModules(ctx, set)
}

func (b *build) choose(selection drivers.Selection) (set *drivers.Set, err error) {
	err = b.step("read the modules", func() error {
		set, err = drivers.Select(b.kernel.Modules, b.kernel.Version, b.Arch, selection, b.Firmware)
		return err
	})
	return set, err
}

func (b *build) compressModules(ctx context.Context, set *drivers.Set) (*Part, error) {
	records := set.Records()
	content, err := archive.CPIO(records)
	if err != nil {
		return nil, err
	}
	key := hash("modules", b.compressor.String(), string(content))
	return b.cache.part(ModulesPart, key, func() (*Part, error) {
		b.Log.Info("compress the kernel's modules", "modules", len(set.Modules), "kernel", b.kernel.Version)
		return b.newPart(ctx, ModulesPart, b.compressor, records)
	})
}

// sitePart is what a node knows of its site before it has a network.
func (b *build) sitePart(ctx context.Context) (*Part, error) {
	config, err := b.siteConfig()
	if err != nil {
		return nil, err
	}
	content, err := json.MarshalIndent(config, "", "\t")
	if err != nil {
		return nil, fmt.Errorf("write the site's part: %w", err)
	}
	name, err := filepath.Rel("/", sitepart.Path)
	if err != nil {
		return nil, err
	}
	return b.newPart(ctx, SitePart, b.compressor, siteRecords(name, append(content, '\n')))
}

func (b *build) siteConfig() (sitepart.Config, error) {
	key, err := b.site.PublicKey()
	if err != nil {
		return sitepart.Config{}, err
	}
	text, err := key.MarshalText()
	if err != nil {
		return sitepart.Config{}, fmt.Errorf("write the site's public key: %w", err)
	}
	return sitepart.Config{
		Site: b.site.Name, PublicKey: string(text), Seeder: b.Seeder, KernelSHA256: hash(string(b.vmlinuz)), SSHKeys: b.site.Node.SSHKeys,
		Passwords: b.site.LockPasswords(),
	}, nil
}

func (b *build) tempDir() (string, error) {
	if b.temp == "" {
		dir, err := os.MkdirTemp("", "mkimage-")
		if err != nil {
			return "", fmt.Errorf("make a temporary folder: %w; set TMPDIR to one with 500 MB free", err)
		}
		b.temp = dir
	}
	return b.temp, nil
}
