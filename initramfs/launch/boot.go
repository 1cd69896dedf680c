package launch

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// Host is what a node is for systems of the method root.
type Host struct {
	// KernelSHA256 is of the kernel that it runs under, as a file.
	KernelSHA256 string
	// Mounts reports whether that kernel can mount a file system, by the kernel's name of it.
	Mounts func(fs string) bool
	// Started is the name of the system for which that kernel was started; empty: it is phase 1's.
	Started string
}

// OtherKernel reports whether a system has to be started by the kernel of its boot part first: one of the method root that wants another
// kernel than this, or whose images this one can't mount. The error says that neither will do.
func OtherKernel(sys catalog.System, h Host) (bool, error) {
	r := sys.Launch.Root
	if sys.Launch.Method != catalog.MethodRoot || r == nil {
		return false, nil
	}
	if r.Boot != nil && r.Boot.KernelSHA256 != h.KernelSHA256 {
		return true, nil
	}
	lacks := h.lacks(r.Images)
	switch {
	case len(lacks) == 0:
		return false, nil
	case r.Boot == nil:
		return false, fmt.Errorf("system %s: phase 1's kernel can't mount %s, which its images have; give it a kernel with kernel: and modules: in "+
			"its config.yaml, or make the images anew as squashfs", sys.Name, strings.Join(lacks, " and "))
	case h.Started == sys.Name:
		return false, fmt.Errorf("system %s: its kernel %s can't mount %s, which its images have: the archive of modules lacks that; make it "+
			"anew with mkimage modules, or the images as squashfs", sys.Name, r.Boot.Release, strings.Join(lacks, " and "))
	}
	return true, nil
}

// lacks are the images' file systems that can't be mounted.
func (h Host) lacks(images []catalog.RootImage) (lacks []string) {
	for _, i := range images {
		if !slices.Contains(lacks, i.FS) && !h.Mounts(i.FS) {
			lacks = append(lacks, i.FS)
		}
	}
	return lacks
}

// BootKernel starts the kernel of a system's boot part, under which the node goes on.
type BootKernel struct {
	*kexecMethod
	composed int64
}

const composedInitramfs = "composed/initramfs"

// NewBootKernel returns the method for an initramfs that has at most so many bytes.
func NewBootKernel(composed int64) BootKernel { return BootKernel{newKexec(), composed} }

// ComposedInitramfs is where the initramfs is to be written before [BootKernel.Load], with the folder that Dir of the job is.
func ComposedInitramfs(dir string) string { return path.Join(dir, composedInitramfs) }

// Job is that of a boot part whose files lie below dir/INFOHASH/NAME. cmdline is for the kernel as it is.
func (b BootKernel) Job(sys catalog.System, part catalog.Runtime, files catalog.FileList, dir, cmdline string) Job {
	below := func(p string) string { return path.Join(part.InfoHash.String(), part.Name, p) }
	boot := sys.Launch.Root.Boot
	job := Job{System: part.System, Dir: dir}
	job.System.Name = "the kernel of " + sys.Name
	job.System.Launch = catalog.Launch{Method: catalog.MethodKexec, Kexec: &catalog.Kexec{
		Kernel: below(boot.Kernel), Initrd: []string{composedInitramfs, below(boot.Modules)}, Cmdline: cmdline,
	}}
	for _, f := range files {
		f.Path = below(f.Path)
		job.Files = append(job.Files, f)
	}
	job.Files = append(job.Files, catalog.File{Path: composedInitramfs, Size: b.composed})
	return job
}

// Need implements [Method] for such a job: beside the download there are the initramfs, to which the modules are appended, and the
// copies of kexec.
func (b BootKernel) Need(sys catalog.System, files catalog.FileList) Memory {
	m := b.kexecMethod.Need(sys, files)
	m.Files, m.FilesWhat = m.Files+b.composed, "its initramfs"
	return m
}

// Keeping is a method that starts a system beside which something else stays in memory.
type Keeping struct {
	Method
	Beside Part
}

// Need implements [Method].
func (k Keeping) Need(sys catalog.System, files catalog.FileList) Memory {
	m := k.Method.Need(sys, files)
	m.Parts = append(slices.Clone(m.Parts), k.Beside)
	return m
}
