package root

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/inroot"
	"github.com/boottorrent/boottorrent/internal/rootimage"
)

// mounts carries plans out, and undoes them.
type mounts struct {
	probe func(module string) error
	// done are the folders, in order; loops are the loop devices.
	done, loops []string
}

// mount makes one mount. Where the kernel lacks the file system, its module is loaded.
func (s *mounts) mount(m mount) error {
	if m.flags&unix.MS_REMOUNT != 0 {
		return remount(m.target, m.flags)
	}
	if err := os.MkdirAll(m.target, 0o755); err != nil {
		return fmt.Errorf("make a folder to mount on: %w", err)
	}
	source := m.source
	if m.loop {
		device, err := s.device(m)
		if err != nil {
			return err
		}
		defer device.Close()
		source = device.Name()
	}
	if len(m.options) >= os.Getpagesize() {
		return fmt.Errorf("mount the layers: their folders' names take %d bytes, and the kernel reads a page (mount(2)); join some layers", len(m.options))
	}
	log := openKernelLog()
	defer log.close()
	err := unix.Mount(source, m.target, m.fs, m.flags, m.options)
	if errors.Is(err, unix.ENODEV) && m.fs != "" {
		if probeErr := s.load(m.fs); probeErr != nil {
			return fmt.Errorf("this kernel mounts no %s: %w", m.fs, probeErr)
		}
		err = unix.Mount(source, m.target, m.fs, m.flags, m.options)
	}
	if err != nil {
		return explain(m, err, log.lines())
	}
	s.done = append(s.done, m.target)
	if m.loop {
		s.loops = append(s.loops, source)
	}
	return nil
}

// algorithms are modules that file systems ask the kernel's crypto API for. It would have modprobe(8) load them, which phase 1 has none
// of that it could use. Newer kernels have them built in.
var algorithms = map[string]string{"erofs": "crc32c_generic", "ext4": "crc32c_generic"}

// load loads the module of a file system.
func (s *mounts) load(fs string) error {
	missing := error(nil)
	if module, ok := algorithms[fs]; ok {
		missing = s.probe(module)
	}
	if err := s.probe(fs); err != nil {
		return errors.Join(err, missing)
	}
	return nil
}

// device is a loop device with an image, which has to be one of its file system, and whole.
func (s *mounts) device(m mount) (*os.File, error) {
	file, err := openUnseen(m.source)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	name := filepath.Base(m.source)
	image, err := rootimage.Read(file, info.Size())
	if err != nil {
		return nil, fmt.Errorf("the image %s can't be mounted: %w; put it into the system's folder again", name, err)
	}
	if image.FS != m.fs {
		return nil, fmt.Errorf("the image %s is %s, and the catalog says %s; restart the seeder, or run seeder check", name, image.FS, m.fs)
	}
	return loop(file, s.probe)
}

// remount changes the flags of what is mounted; of nobody else's mount of the same file system (mount(2)).
func remount(target string, flags uintptr) error {
	if err := unix.Mount("", target, "", flags, ""); err != nil {
		return fmt.Errorf("set the flags %#x of what is mounted on %s: %w", flags, target, err)
	}
	return nil
}

// readOnly makes a mount read-only.
func (s *mounts) readOnly(target string) error {
	return remount(target, unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV)
}

// unmount undoes the last mount.
func (s *mounts) unmount() error {
	last := s.done[len(s.done)-1]
	s.done = s.done[:len(s.done)-1]
	return unmount(last)
}

// undo unmounts everything.
func (s *mounts) undo() error {
	var errs []error
	for len(s.done) > 0 {
		errs = append(errs, s.unmount())
	}
	return errors.Join(errs...)
}

// unmount unmounts what is on a folder; from what is busy, its name at least is taken, and the rest ends with those who use it.
func unmount(target string) error {
	err := unix.Unmount(target, 0)
	if errors.Is(err, unix.EBUSY) {
		err = unix.Unmount(target, unix.MNT_DETACH)
	}
	if err != nil {
		return fmt.Errorf("unmount %s: %w", target, err)
	}
	return nil
}

// clearStage unmounts everything that is mounted below a stage.
func clearStage(stage string) error {
	found, err := mountinfo.GetMounts(mountinfo.PrefixFilter(stage))
	if err != nil {
		return fmt.Errorf("look for earlier mounts: %w", err)
	}
	// Later mounts are on top of earlier ones.
	slices.SortFunc(found, func(a, b *mountinfo.Info) int { return cmp.Compare(b.ID, a.ID) })
	slices.SortStableFunc(found, func(a, b *mountinfo.Info) int { return cmp.Compare(len(b.Mountpoint), len(a.Mountpoint)) })
	for _, m := range found {
		if err := unmount(m.Mountpoint); err != nil {
			return err
		}
	}
	return nil
}

// needed are the folders that process 1 mounts on before it starts the system.
var needed = []string{"dev", "proc", "sys", "run"}

// folders makes the folders of the root file system that something is mounted on.
func (s *mounts) folders(c Config) error {
	dir := rootDir(c.Stage)
	in, err := inroot.Open(dir)
	if err != nil {
		return err
	}
	defer in.Close()
	for _, name := range needed {
		info, err := in.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			err = os.Mkdir(filepath.Join(dir, name), 0o755)
			if errors.Is(err, unix.EROFS) {
				return fmt.Errorf("its root file system has no folder /%s to mount on, and is read-only; make the folder in the image, or write writable: ram", name)
			}
			if err != nil {
				return fmt.Errorf("make the folder /%s in its root file system: %w", name, err)
			}
			continue
		}
		if err != nil {
			return err
		}
		if !info.IsDir() {
			return fmt.Errorf("/%s in its root file system is not a folder (%s), and something has to be mounted there; make it one in the image", name, info.Mode())
		}
	}
	return nil
}

// upperFolders makes overlayfs's folders in dir. The upper one is what the root folder will look like, so it gets that of the images.
func upperFolders(dir string, f found) error {
	upper, work := filepath.Join(dir, "upper"), filepath.Join(dir, "work")
	for _, dir := range []string{upper, work} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	if err := os.Chown(upper, int(f.root.Uid), int(f.root.Gid)); err != nil {
		return err
	}
	return unix.Chmod(upper, f.root.Mode&0o7777)
}
