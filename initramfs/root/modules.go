package root

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/boottorrent/boottorrent/internal/kmod"
)

// hasModules tells whether a folder has the modules of a kernel.
func hasModules(dir, release string) bool {
	_, err := os.Stat(filepath.Join(dir, "lib/modules", release, "modules.dep"))
	return err == nil
}

// copyModules copies the modules of a kernel, and the firmware that their drivers may want, from below the folder from to the folder lib, where
// udev and modprobe find them.
// What phase 1 has of them goes when the system has started, so that they are in memory once.
func copyModules(from, release, lib string) error {
	modules := filepath.Join("modules", release)
	for _, tree := range []string{modules, "firmware"} {
		source := filepath.Join(from, "lib", tree)
		if _, err := os.Stat(source); os.IsNotExist(err) {
			continue
		}
		if err := copyTree(filepath.Join(lib, tree), source); err != nil {
			return fmt.Errorf("copy the kernel's %s for it: %w", tree, err)
		}
	}
	if err := kmod.WriteIndexes(filepath.Join(lib, modules)); err != nil {
		return fmt.Errorf("list the kernel's modules for its udev: %w", err)
	}
	return nil
}

// copyTree copies files, folders and links.
func copyTree(to, from string) error {
	root := os.DirFS(from)
	return fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(to, path)
		switch {
		case d.IsDir():
			return os.MkdirAll(target, 0o755)
		case d.Type() == fs.ModeSymlink:
			link, err := os.Readlink(filepath.Join(from, path))
			if err != nil {
				return err
			}
			return os.Symlink(link, target)
		case !d.Type().IsRegular():
			return nil
		}
		return copyFile(target, filepath.Join(from, path))
	})
}

func copyFile(to, from string) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := target.Close(); err == nil {
			err = closeErr
		}
	}()
	_, err = target.ReadFrom(source)
	return err
}
