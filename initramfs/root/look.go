package root

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/inroot"
	"github.com/boottorrent/boottorrent/internal/program"
)

// found is what a look into the images, and into the root file system made of them, told.
type found struct {
	// root describes their root folder.
	root unix.Stat_t
	// release is the running kernel's.
	release string
	// modules is the folder that the kernel's modules have to be put into, relative to the root; empty: the system has its own.
	modules string
	// hostname says that the system has a name of its own.
	hostname bool
}

// look looks into the images, as they will be seen together.
func (p *Prepared) look() (f found, err error) {
	m, dir := lookPlan(p.config)
	if m != nil {
		if err := p.mounts.mount(*m); err != nil {
			return f, err
		}
		defer func() {
			if unmountErr := p.mounts.unmount(); err == nil {
				err = unmountErr
			}
		}()
	}
	if err := unix.Stat(dir, &f.root); err != nil {
		return f, fmt.Errorf("look at its root folder: %w", err)
	}
	in, err := inroot.Open(dir)
	if err != nil {
		return f, err
	}
	defer in.Close()
	if f.release, err = release(); err != nil {
		return f, err
	}
	f.modules, err = lacksModules(in, p.config.Kernel, f.release)
	return f, err
}

// lookAtRoot looks into the root file system as its init will find it, and tells whether it has a host name of its own.
func (p *Prepared) lookAtRoot() (hostname bool, err error) {
	in, err := inroot.Open(rootDir(p.config.Stage))
	if err != nil {
		return false, err
	}
	defer in.Close()
	if err := checkInit(in, p.config.Root.Init); err != nil {
		return false, err
	}
	info, err := in.Stat("etc/hostname")
	return err == nil && info.Size() > 0, nil
}

// checkInit says why a program can't become process 1.
func checkInit(in *inroot.FS, init string) error {
	name := strings.TrimPrefix(path.Clean(init), "/")
	err := program.CheckInit(in, name, runtime.GOARCH)
	var reason *program.Error
	if errors.As(err, &reason) {
		return fmt.Errorf("its init can't be started: %s %w", init, err)
	}
	if err != nil {
		return fmt.Errorf("look at its init %s: %w", init, err)
	}
	return nil
}

// lacksModules tells whether the root file system is without modules of a kernel that the folder kernel has some of, and where in it they
// have to be: where /lib leads to.
func lacksModules(in *inroot.FS, kernel, release string) (string, error) {
	if kernel == "" || !hasModules(kernel, release) {
		return "", nil
	}
	if _, err := in.Stat("lib/modules/" + release + "/modules.dep"); err == nil {
		return "", nil
	}
	lib, err := in.Where("lib")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "lib", nil
	case err != nil:
		return "", fmt.Errorf("look for its kernel modules: %w", err)
	}
	modules, err := in.Where("lib/modules")
	if err == nil && modules != lib+"/modules" {
		return "", fmt.Errorf("its /lib/modules is a link to /%s, where the kernel's modules can't be put; make it a folder in the image, or give it the modules of %s", modules, release)
	}
	return lib, nil
}

func release() (string, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "", fmt.Errorf("uname: %w", err)
	}
	return unix.ByteSliceToString(u.Release[:]), nil
}
