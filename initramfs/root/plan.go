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
		options: lowerOption(c, false)}
	return m, m.target
}

// modulesPlan is a file system for the kernel's modules.
func modulesPlan(c Config) mount {
	return mount{source: "tmpfs", target: own(c.Stage, "modules"), fs: "tmpfs", flags: unix.MS_NOSUID | unix.MS_NODEV, options: "mode=755"}
}

// rootPlan is the root file system itself. With modules, those are its lowest layer.
func rootPlan(c Config, modules bool) []mount {
	target := rootDir(c.Stage)
	if c.Root.Writable == catalog.WritableNone {
		if len(c.Root.Images) == 1 && !modules {
			return []mount{
				{source: layerDir(c.Stage, 0), target: target, flags: unix.MS_BIND},
				// Otherwise it would have the flags of the layer.
				{target: target, flags: unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY},
			}
		}
		return []mount{{source: "overlay", target: target, fs: "overlay", flags: unix.MS_RDONLY, options: lowerOption(c, modules)}}
	}
	rw := own(c.Stage, "rw")
	return []mount{
		{source: "tmpfs", target: rw, fs: "tmpfs", flags: unix.MS_NOSUID | unix.MS_NODEV, options: fmt.Sprintf("mode=700,size=%d", c.Writable)},
		{source: "overlay", target: target, fs: "overlay",
			options: fmt.Sprintf("%s,upperdir=%s/upper,workdir=%s/work", lowerOption(c, modules), rw, rw)},
	}
}

// lowerOption is the option of overlayfs for its layers, of which it wants the uppermost first. Their folders are named by numbers, so
// that no colon or comma of an image's path gets into it.
func lowerOption(c Config, modules bool) string {
	var dirs []string
	for i := len(c.Root.Images) - 1; i >= 0; i-- {
		dirs = append(dirs, layerDir(c.Stage, i))
	}
	if modules {
		dirs = append(dirs, own(c.Stage, "modules"))
	}
	return "lowerdir=" + strings.Join(dirs, ":")
}
