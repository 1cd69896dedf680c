package source

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/program"
	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/mkimage/kernel"
	"github.com/boottorrent/boottorrent/mkimage/source/tree"
)

// OutsideKernel is a kernel that a source has beside a root file system, which has the modules.
type OutsideKernel struct {
	// Path is a file of this machine, From says where it comes from.
	Path, From string
}

// FinishRoot completes a system of the method root whose images are in its folder and named by Root.Images: it looks for what becomes
// process 1, for the distribution's name, and for a kernel with its modules: the one that the person asked for, else the newest in the root,
// else one of those beside it whose modules are in the root; else the system runs under phase 1's.
func (j *Job) FinishRoot(ctx context.Context, s *System, outside ...OutsideKernel) error {
	scratch, err := os.MkdirTemp(j.Temp, "root-")
	if err != nil {
		return err
	}
	var images []string
	for _, i := range s.Root.Images {
		images = append(images, s.Path(i))
	}
	step := j.Step("look into the root file system", 0)
	defer step.End()
	root, err := tree.Open(ctx, scratch, images...)
	if err != nil {
		return err
	}
	defer root.Close()
	found, err := j.look(ctx, root, s)
	if err != nil {
		return err
	}
	s.Arch = found.Arch
	if s.Title == "" {
		s.Title = found.Title
	}
	if found.Init != usualInit {
		s.Root.Init = found.Init
	}
	s.withoutMounts(found.Mounts)
	given, err := j.GivenKernel(ctx, s.Arch)
	if err != nil {
		return err
	}
	k, err := j.rootKernel(ctx, root, found, given, outside, filepath.Join(scratch, "kernel"))
	if err != nil {
		return err
	}
	step.End()
	if k != nil {
		return j.AddKernel(ctx, s, k)
	}
	s.Comments["kernel"] = "There is no kernel in the root file system, so it runs under that of phase 1, with the modules that phase 1 has. " +
		"To give it another: " + self.Mkimage() + " import … --replace --kernel FILE --modules DIR"
	return nil
}

// look looks into the root file system of a system.
func (j *Job) look(ctx context.Context, root *tree.Root, s *System) (tree.Found, error) {
	arches := j.arches
	if s.Arch != "" { // the source says it
		arches = []arch.Arch{s.Arch}
	}
	found, err := root.Look(ctx, s.Root.Init, arches...)
	if wrong := (*program.Error)(nil); !errors.As(err, &wrong) {
		return found, err
	}
	for _, a := range arch.All {
		if other, e := root.Look(ctx, s.Root.Init, a); e == nil {
			return found, j.WrongArch("its "+other.Init, a)
		}
	}
	return found, err
}

// withoutMounts keeps systemd from waiting for the disks of the machine that a root file system is from (systemd-fstab-generator(8)).
func (s *System) withoutMounts(mounts []string) {
	if len(mounts) == 0 || strings.Contains(s.Root.Cmdline, "fstab=") {
		return
	}
	s.Root.Cmdline = strings.TrimSpace(s.Root.Cmdline + " fstab=no")
	s.Comments["cmdline"] = strings.TrimSpace(s.Comments["cmdline"] + "\nfstab=no has systemd leave out /etc/fstab, which names disks that nodes don't have: " + strings.Join(mounts, ", ") + ".")
}

// usualInit is what init: is where config.yaml doesn't say it.
const usualInit = "/sbin/init"

// rootKernel finds the kernel of a root file system; nil: there is none.
func (j *Job) rootKernel(ctx context.Context, root *tree.Root, found tree.Found, given *Kernel, outside []OutsideKernel, dir string) (*Kernel, error) {
	switch {
	case given != nil:
		return given, nil
	case len(found.Kernels) > 0:
		k := found.Kernels[0]
		vmlinuz, modules, err := root.Extract(ctx, k, dir)
		if err != nil {
			return nil, err
		}
		return j.kernelOf(ctx, root, vmlinuz, modules, k.File+" in the root", k.Modules+" in the root")
	}
	for _, o := range outside {
		release, err := kernel.Release(o.Path)
		if err != nil {
			continue // it is no kernel, or does not say
		}
		at := slices.IndexFunc(found.ModulesOnly, func(k tree.Kernel) bool { return k.Release == release })
		if at < 0 {
			found.Notes = append(found.Notes, fmt.Sprintf("%s is the kernel %s, and its modules are not in the root", o.From, release))
			continue
		}
		_, modules, err := root.Extract(ctx, found.ModulesOnly[at], dir)
		if err != nil {
			return nil, err
		}
		return j.kernelOf(ctx, root, o.Path, modules, o.From, found.ModulesOnly[at].Modules+" in the root")
	}
	for _, n := range found.Notes {
		j.Log.Warn(n)
	}
	return nil, nil
}

// kernelOf is a kernel and its modules as files of this machine.
func (j *Job) kernelOf(ctx context.Context, root *tree.Root, vmlinuz, modules, from, modulesFrom string) (*Kernel, error) {
	files, err := kernel.Local(vmlinuz, modules)
	if err != nil {
		return nil, err
	}
	firmware, err := j.rootFirmware(ctx, root, files)
	if err != nil {
		return nil, err
	}
	return &Kernel{Files: files, Firmware: firmware, From: from, ModulesFrom: modulesFrom}, nil
}
