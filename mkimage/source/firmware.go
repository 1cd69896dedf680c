package source

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/boottorrent/boottorrent/internal/kmod"
	"github.com/boottorrent/boottorrent/mkimage/drivers"
	"github.com/boottorrent/boottorrent/mkimage/kernel"
	"github.com/boottorrent/boottorrent/mkimage/source/tree"
)

// rootFirmware is a folder with the firmware that the drivers of a kernel ask for: what the root file system has, and what it
// lacks and this machine has.
func (j *Job) rootFirmware(ctx context.Context, root *tree.Root, k kernel.Files) (string, error) {
	wanted, err := wantedFirmware(k)
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(j.Temp, "firmware-")
	if err != nil {
		return "", err
	}
	names := map[string]string{} // by their paths in the root, those in the folder
	for _, name := range wanted {
		for _, ending := range append([]string{""}, kmod.Compressions[:]...) {
			if path := "/lib/firmware/" + name + ending; filepath.IsLocal(name) && root.Size(path) >= 0 {
				names[path] = name + ending
				break
			}
			if path := filepath.Join(j.Firmware, name+ending); j.Firmware != "" && filepath.IsLocal(name) && isFile(path) {
				if err := link(path, filepath.Join(dir, name+ending)); err != nil {
					return "", err
				}
				break
			}
		}
	}
	paths, err := root.TakeAll(ctx, slices.Sorted(maps.Keys(names)))
	if err != nil {
		return "", err
	}
	for path, file := range paths {
		if err := link(file, filepath.Join(dir, names[path])); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// wantedFirmware are the names of all firmware that the drivers may ask for which are packed for a kernel.
func wantedFirmware(k kernel.Files) ([]string, error) {
	set, err := drivers.Select(k.Modules, k.Version, k.Arch, drivers.Selection{drivers.Common, drivers.Root}, "")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, m := range set.MissingFirmware {
		names = append(names, m.Path)
	}
	without, err := drivers.Ordered(k.Modules, set.WithoutFirmware)
	if err != nil {
		return nil, err
	}
	for _, m := range without {
		names = append(names, m.Firmware...)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// link makes a symbolic link to a file, with the folders that it is in.
func link(file, name string) error {
	target, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.Symlink(target, name)
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
