package source

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/text"
	"github.com/boottorrent/boottorrent/mkimage/archive"
	"github.com/boottorrent/boottorrent/mkimage/drivers"
	"github.com/boottorrent/boottorrent/mkimage/kernel"
)

// Names of the files of a system's kernel.
const (
	KernelFile  = "vmlinuz"
	ModulesFile = "modules.img"
)

// Kernel is a kernel with its modules, as files of this machine.
type Kernel struct {
	kernel.Files
	// Firmware is a folder such as …/lib/firmware in which the firmware is that its drivers ask for; empty: none.
	Firmware string
	// From says where it comes from, for the table, and ModulesFrom where its modules do; empty: from there too.
	From, ModulesFrom string
}

// GivenKernel is the kernel that the person asked for with --kernel, for a system of an architecture; nil: none.
func (j *Job) GivenKernel(ctx context.Context, a arch.Arch) (*Kernel, error) {
	switch {
	case j.Options.Kernel == "" && j.Modules != "":
		return nil, errors.New("--modules DIR says where the modules of --kernel FILE are; give both")
	case j.Options.Kernel == "":
		return nil, nil
	case j.Options.Kernel != DistributionKernel:
		files, err := kernel.Local(j.Options.Kernel, j.Modules)
		if err != nil {
			return nil, err
		}
		if files.Arch != a {
			return nil, fmt.Errorf("--kernel %s is a kernel for %s, and the system's programs are for %s", j.Options.Kernel, files.Arch, a)
		}
		return &Kernel{Files: files, Firmware: j.Firmware, From: j.Options.Kernel, ModulesFrom: files.Modules}, nil
	case j.Modules != "":
		return nil, fmt.Errorf("--kernel %s brings its own modules; leave --modules out", DistributionKernel)
	}
	step := j.Step("get the distribution's kernel", 0)
	defer step.End()
	files, err := kernel.Distribution(ctx, j.Cache, a, j.Log)
	if err != nil {
		return nil, err
	}
	return &Kernel{Files: files, Firmware: j.Firmware, From: files.Package}, nil
}

// AddKernel gives a system of the method root a kernel: it copies that into the system's folder, packs its modules beside it, and
// sets Root.Kernel and Root.Modules.
func (j *Job) AddKernel(ctx context.Context, s *System, k *Kernel) error {
	f, err := os.Open(k.Vmlinuz)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := j.CopyFile(ctx, s, KernelFile, f, info.Size(), fmt.Sprintf("Linux %s, %s", k.Version, k.From)); err != nil {
		return err
	}
	if err := j.packModules(ctx, s, k); err != nil {
		return err
	}
	s.Root.Kernel, s.Root.Modules = KernelFile, ModulesFile
	return nil
}

// packModules packs the modules of a kernel for network cards, and those that a root file system is mounted by.
func (j *Job) packModules(ctx context.Context, s *System, k *Kernel) error {
	compressor, err := archive.New(ctx, "xz", 9)
	if err != nil {
		return err
	}
	if lacks := compressor.Lacks(); lacks != "" {
		j.Log.Warn("the tool xz is not here; the archive of modules gets a tenth or more larger than with it", "remedy", "apt-get install "+lacks)
	}
	selection, err := drivers.ParseSelection(cmp.Or(j.Drivers, "common"))
	if err != nil {
		return err
	}
	step := j.Step("pack the modules", 0)
	defer step.End()
	b, set, err := drivers.Archive(ctx, k.Vmlinuz, k.Modules, selection, k.Firmware, compressor)
	if err != nil {
		return err
	}
	if err := j.NeedSpace(int64(len(b))); err != nil {
		return err
	}
	if err := os.WriteFile(s.Path(ModulesFile), b, 0o644); err != nil {
		return err
	}
	s.Made(ModulesFile, fmt.Sprintf("%s of %s, %s", text.Count(len(set.Modules), "module"), k.Version, cmp.Or(k.ModulesFrom, k.From)))
	return nil
}
