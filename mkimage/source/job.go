package source

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/internal/text"
)

// Options say what to import, and how.
type Options struct {
	// Source is what a person wrote, and Target the folder DIR/oss/NAME.
	Source, Target string
	// Replace lets the target be a system already.
	Replace bool
	// Arch is the architecture that the system is to be for, where a source has several; empty: one that the site's machines have.
	Arch arch.Arch
	// Init is the program of a root file system that becomes process 1; empty: it is looked for.
	Init string
	// Title is shown in the chooser; empty: one that the source has.
	Title string
	// Kernel is for a root file system that has none: DistributionKernel, or a file whose modules are in the folder Modules,
	// …/lib/modules/RELEASE. Empty: none.
	Kernel, Modules string
	// Firmware is the folder such as /lib/firmware in which the firmware is that drivers of network cards ask for.
	Firmware string
	// Drivers are those for network cards that go into a kernel's archive of modules, as drivers.ParseSelection takes them; empty: the common ones.
	Drivers string
	// Entries are numbers of boot entries, from 1, for sources that have such; empty: the default one.
	Entries []int
	// Cache is where kernels are kept that were downloaded.
	Cache string
	Watch Watch
	Log   *slog.Logger
}

// DistributionKernel as Options.Kernel is the kernel of the distribution, which phase 1 has too unless it was built with another.
const DistributionKernel = "debian"

// Watch is told what is being done. Any of its functions may be nil.
type Watch struct {
	Began func(step string)
	// Counted says how far a step is, in bytes.
	Counted func(step string, done, total int64)
	Took    func(step string, took time.Duration)
}

// Job is one import, as a [Kind] sees it.
type Job struct {
	*Source
	Options
	// Temp is a folder for what is needed only meanwhile, on the file system of the site. It is removed afterwards.
	Temp string

	name    string
	arches  []arch.Arch
	staging *staging
	systems []*System
}

// Arches are the architectures that the system may be for, the preferred one first: the one that the person asked for, or those of the
// site's machines.
func (j *Job) Arches() []arch.Arch { return j.arches }

// arches are those of [Job.Arches]. A site that can't be read has only amd64; its own check says what is wrong.
func (o Options) arches(dir string) []arch.Arch {
	if o.Arch != "" {
		return []arch.Arch{o.Arch}
	}
	if s, _ := site.Load(dir); s != nil && len(s.Arches) > 0 {
		return s.Arches
	}
	return []arch.Arch{arch.AMD64}
}

// WrongArch says that a source is for another architecture than the site's machines have.
func (j *Job) WrongArch(what string, a arch.Arch) error {
	var names []string
	for _, own := range j.arches {
		names = append(names, string(own))
	}
	if j.Arch != "" {
		return fmt.Errorf("%s is for %s, and --arch says %s; take one for that, or leave --arch out", what, a, j.Arch)
	}
	return fmt.Errorf("%s is for %s, and the site's machines are %s; take one for those, or, if there are others too, write into %s: arch: [%s]",
		what, a, strings.Join(names, " and "), site.ConfigFile, strings.Join(append(names, string(a)), ", "))
}

// NewSystem begins a system in a folder of its own. suffix is empty for the only system of a source, else what follows the name
// that was asked for.
func (j *Job) NewSystem(suffix string) (*System, error) {
	name := j.name + suffix
	if err := site.CheckSystemName(name); err != nil {
		return nil, err
	}
	dir := filepath.Join(j.staging.dir, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make a folder for the system: %w", err)
	}
	s := &System{Name: name, Dir: dir, Comments: map[string]string{}}
	j.systems = append(j.systems, s)
	return s, nil
}

// Step begins a step that a person sees until it ends; total is how many bytes it will take, 0 if that is not known.
func (j *Job) Step(name string, total int64) *Step {
	s := &Step{name: name, total: total, watch: j.Options.Watch, began: time.Now()}
	if s.watch.Began != nil {
		s.watch.Began(name)
	}
	return s
}

// Step is something that is being done. As an io.Writer it counts what is written.
type Step struct {
	name        string
	done, total int64
	watch       Watch
	began       time.Time
	ended       bool
}

// Write implements io.Writer.
func (s *Step) Write(p []byte) (int, error) {
	s.Set(s.done + int64(len(p)))
	return len(p), nil
}

// Set says how many bytes are done.
func (s *Step) Set(done int64) {
	s.done = done
	if s.watch.Counted != nil && s.total > 0 {
		s.watch.Counted(s.name, min(done, s.total), s.total)
	}
}

// End ends the step; a second call does nothing.
func (s *Step) End() {
	if !s.ended && s.watch.Took != nil {
		s.watch.Took(s.name, time.Since(s.began))
	}
	s.ended = true
}

// NeedSpace is an error if the site's file system has less than so many bytes free. Kinds call it before a long copy whose size is known.
func (j *Job) NeedSpace(bytes int64) error {
	free, err := freeBytes(j.staging.dir)
	if err != nil || free >= bytes {
		return err
	}
	return fmt.Errorf("the file system of %s has %s free, and this needs %s: %w", j.staging.oss, text.Size(free), text.Size(bytes), unix.ENOSPC)
}

func freeBytes(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, fmt.Errorf("ask how much room there is: statfs %s: %w", dir, err)
	}
	return int64(s.Bavail) * s.Bsize, nil
}

// System is one that is being made. Exactly one of Root, Kexec and QEMU is to be set.
type System struct {
	Name string
	// Dir is the folder that becomes oss/NAME. Its config.yaml is not the kind's business.
	Dir string
	// Title is what the source calls itself; empty: the name.
	Title       string
	Description string
	// Arch is empty where it is not known yet; of a system that is finished so it is amd64.
	Arch  arch.Arch
	Root  *Root
	Kexec *Kexec
	QEMU  *QEMU
	// Comments are sentences that stand above a key of config.yaml, by that key; lines are broken where a comment has line breaks, or is too long.
	// What concerns the whole has the key "".
	Comments map[string]string
	// Files are those that were made, in the order of the table that a person sees.
	Files []File
}

// File is a file of a system, and where it comes from.
type File struct {
	// Name is relative to the system's folder.
	Name string
	// From says where it comes from, such as "live/filesystem.squashfs, as it is".
	From string
}

// Root are the keys of the method root. Paths are relative to the system's folder.
type Root struct {
	// Images are lowest first.
	Images []string
	// Kernel and Modules are empty where the system is to run under phase 1's kernel.
	Kernel, Modules string
	Cmdline         string
	// Init is empty for the usual one.
	Init string
}

// Kexec are the keys of the method kexec.
type Kexec struct {
	Kernel  string
	Initrd  []string
	Cmdline string
}

// QEMU are those of the method qemu.
type QEMU struct {
	Args []string
}

// Path is a file's in the system's folder.
func (s *System) Path(name string) string { return filepath.Join(s.Dir, filepath.FromSlash(name)) }

// Made notes a file of the system for the table.
func (s *System) Made(name, from string) { s.Files = append(s.Files, File{name, from}) }
