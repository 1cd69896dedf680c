package root

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// mount is one step of a plan: a mount, on a folder that is made where it is missing.
type mount struct {
	// source is the image if loop is set, a folder if flags have MS_BIND, and else a name.
	source string
	target string
	// fs is the kernel's name of the file system.
	fs      string
	flags   uintptr
	options string
	// loop says that source is a file, to be mounted by a loop device.
	loop bool
}

// The parts of a stage; see the package's comment.
func rootDir(stage string) string { return filepath.Join(stage, "root") }
func runDir(stage string) string  { return filepath.Join(stage, "run") }

// own is something in the folder /run/boottorrent of the system.
func own(stage string, elements ...string) string {
	return filepath.Join(append([]string{runDir(stage), "boottorrent"}, elements...)...)
}

func layerDir(stage string, i int) string { return own(stage, "layers", strconv.Itoa(i)) }

// runOptions are those of systemd for /run (TMPFS_LIMITS_RUN in src/shared/mount-util.h and mount_table in src/shared/mount-setup.c,
// version 252), which leaves one alone that is mounted already.
const (
	runOptions = "mode=755,size=20%,nr_inodes=800k"
	runFlags   = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_STRICTATIME
)

// imagePlan is what is mounted before anything can be looked at: the system's /run, and the images.
func imagePlan(c Config) []mount {
	plan := []mount{{source: "tmpfs", target: runDir(c.Stage), fs: "tmpfs", flags: runFlags, options: runOptions}}
	for i, image := range c.Root.Images {
		m := mount{
			source: filepath.Join(c.Dir, filepath.FromSlash(image.Path)), target: layerDir(c.Stage, i), fs: image.FS,
			flags: unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV, loop: true,
		}
		if image.FS == "ext4" {
			m.options = "noload" // an image of a file system that was in use has a journal, which can't be replayed into it
		}
		plan = append(plan, m)
	}
	return plan
}

// lookPlan is the images put together, only to be looked at, and the folder that shows them.
func lookPlan(c Config) (m *mount, dir string) {
	if len(c.Root.Images) == 1 {
		return nil, layerDir(c.Stage, 0)
	}
	m = &mount{source: "overlay", target: filepath.Join(c.Stage, "look"), fs: "overlay", flags: unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV,
		options: lowerOption(lowerDirs(c, false))}
	return m, m.target
}

// modulesPlan is a file system for the kernel's modules.
func modulesPlan(c Config) mount {
	return mount{source: "tmpfs", target: own(c.Stage, "modules"), fs: "tmpfs", flags: unix.MS_NOSUID | unix.MS_NODEV, options: "mode=755"}
}

// filesLayer reports whether the machine's files are a layer of their own.
func (c Config) filesLayer() bool {
	return c.Root.Writable == catalog.WritableNone && c.Files.Len() > 0
}

// filesPlan is a file system for that layer, and what the files are laid over.
func filesPlan(c Config, modules bool) (layer, over mount) {
	dir := own(c.Stage, "files")
	layer = mount{source: "tmpfs", target: dir, fs: "tmpfs", flags: unix.MS_NOSUID | unix.MS_NODEV, options: "mode=700"}
	return layer, mount{source: "overlay", target: filepath.Join(c.Stage, "look"), fs: "overlay", flags: unix.MS_NOSUID | unix.MS_NODEV,
		options: writtenOption(lowerDirs(c, modules), dir)}
}

// rootPlan is the root file system itself. With modules, those are its lowest layer; its uppermost one are the machine's files, where they are one.
func rootPlan(c Config, modules bool) []mount {
	target := rootDir(c.Stage)
	if c.Root.Writable == catalog.WritableNone {
		if len(c.Root.Images) == 1 && !modules && !c.filesLayer() {
			return []mount{
				{source: layerDir(c.Stage, 0), target: target, flags: unix.MS_BIND},
				// Otherwise it would have the flags of the layer.
				{target: target, flags: unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY},
			}
		}
		lower := lowerDirs(c, modules)
		if c.filesLayer() {
			lower = append([]string{own(c.Stage, "files", "upper")}, lower...)
		}
		return []mount{{source: "overlay", target: target, fs: "overlay", flags: unix.MS_RDONLY, options: lowerOption(lower)}}
	}
	rw := own(c.Stage, "rw")
	return []mount{
		{source: "tmpfs", target: rw, fs: "tmpfs", flags: unix.MS_NOSUID | unix.MS_NODEV, options: fmt.Sprintf("mode=700,size=%d", c.Writable)},
		{source: "overlay", target: target, fs: "overlay", options: writtenOption(lowerDirs(c, modules), rw)},
	}
}

// lowerDirs are the folders of overlayfs's layers, of which it wants the uppermost first. They are named by numbers, so
// that no colon or comma of an image's path gets into its options.
func lowerDirs(c Config, modules bool) (dirs []string) {
	for i := len(c.Root.Images) - 1; i >= 0; i-- {
		dirs = append(dirs, layerDir(c.Stage, i))
	}
	if modules {
		dirs = append(dirs, own(c.Stage, "modules"))
	}
	return dirs
}

func lowerOption(dirs []string) string { return "lowerdir=" + strings.Join(dirs, ":") }

// writtenOption are the options of an overlay that is written to, with the folders upper and work in rw.
func writtenOption(lower []string, rw string) string {
	return fmt.Sprintf("%s,upperdir=%s/upper,workdir=%s/work", lowerOption(lower), rw, rw)
}
