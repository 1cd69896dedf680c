package source

import (
	"context"
	"errors"
	"fmt"
	"os"

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
	// Firmware are folders such as …/lib/firmware in which firmware is looked for that its drivers ask for; the first that has it counts.
	Firmware []string
	// From says where it comes from, for the table.
	From string
}

// GivenKernel is the kernel that the person asked for with --kernel; nil: none.
func (j *Job) GivenKernel(ctx context.Context) (*Kernel, error) {
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
		return &Kernel{Files: files, Firmware: []string{hostFirmware}, From: j.Options.Kernel}, nil
	case j.Modules != "":
		return nil, fmt.Errorf("--kernel %s brings its own modules; leave --modules out", DistributionKernel)
	}
	step := j.Step("get the distribution's kernel", 0)
	defer step.End()
	files, err := kernel.Distribution(ctx, j.Cache, j.Log)
	if err != nil {
		return nil, err
	}
	return &Kernel{Files: files, Firmware: []string{hostFirmware}, From: files.Package}, nil
}

// hostFirmware is where this machine's firmware is.
const hostFirmware = "/lib/firmware"

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

// packModules packs the modules of a kernel.
func (j *Job) packModules(ctx context.Context, s *System, k *Kernel) error {
	return fmt.Errorf("the modules of %s can't be packed by this version", k.Version)
}
