package hardware

import (
	"os"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/kmod"
	"github.com/boottorrent/boottorrent/internal/modarchive"
)

// Mounts reports whether the running kernel can mount a file system, by its name: it knows it already (proc(5), filesystems), or the
// image has the module for it.
func Mounts(fs string) bool {
	rel, err := release()
	return err == nil && running.mounts(fs, rel)
}

func (t tree) mounts(fs, release string) bool {
	known, err := os.ReadFile(t.path("proc/filesystems"))
	return err == nil && slices.Contains(strings.Fields(string(known)), fs) || t.has(fs, release)
}

// those are the modules among some that the running kernel has.
func (t tree) those(modules []string) []string {
	rel, err := release()
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(modules), func(name string) bool { return !t.has(name, rel) })
}

// has reports whether the image has a module, or the kernel has it built in.
func (t tree) has(module, release string) bool {
	for _, index := range []string{modarchive.Dep, modarchive.Builtin} {
		lines, err := os.ReadFile(t.path(modarchive.Folder, release, index))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(lines)) {
			file, _, _ := strings.Cut(strings.TrimSpace(line), ":")
			if file != "" && kmod.Name(file) == kmod.Normalize(module) {
				return true
			}
		}
	}
	return false
}
