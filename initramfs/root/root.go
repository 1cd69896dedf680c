// Package root makes the root file system of a system of the method root, and what it needs to become the machine's.
//
// In go a folder with fetched images and what the catalog says of them ([Config]). [Prepare] mounts them, and does everything that can
// fail before the point of no return: the layers by loop devices, a tmpfs for what is written, overlayfs over both, the kernel's
// modules where the system has none for it, and a look at its init. [Prepared.Commit] then writes down a [Switch], which process 1
// (cmds/init) carries out when the command boot has ended: [Switch.Move] brings the mounts to where the system expects them.
//
// What is mounted where until then, and after it:
//
//	STAGE/root                        /                            overlayfs, or the only image
//	STAGE/run                         /run                         tmpfs
//	STAGE/run/boottorrent/layers/N    /run/boottorrent/layers/N    image N of the list, 0 is the lowest
//	STAGE/run/boottorrent/rw          /run/boottorrent/rw          tmpfs, with upper and work (overlayfs's)
//	STAGE/run/boottorrent/files     /run/boottorrent/files     tmpfs, with this machine's files, where the system is not written to
//	STAGE/run/boottorrent/modules     /run/boottorrent/modules     tmpfs, with the kernel's modules
//	(of phase 1: /systems)            /run/boottorrent/img         tmpfs with the images
//
// Loop devices read the images through a mount that has no name, and overlayfs has such ones of its layers. So a running system may
// unmount everything below /run/boottorrent, as systemd does when it shuts down.
package root

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/boottorrent/boottorrent/initramfs/hardware"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/machinefiles"
)

const (
	// Stage is the folder below which a node mounts the system.
	Stage = "/sysroot"
	// Wish is the file in which the command boot tells process 1 what to do, on phase 1's own /run.
	Wish = "/run/boottorrent/switch.json"
)

// Config is what is to be prepared.
type Config struct {
	// Name is the system's name, Root what the catalog says of it.
	Name string
	Root catalog.Root
	// Dir is the folder with the images, below their paths in the catalog. It is on a mount of its own (phase 1's /systems), which
	// moves into the system.
	Dir string
	// Cmdline is what the system reads in /proc/cmdline.
	Cmdline string
	// Hostname is a name for a system that has none itself, or, if Named is set, for any; it may be empty.
	Hostname string
	Named    bool
	// Identity is what tells this machine from others, such as its UUID and a MAC address; the system gets a machine-id made of it. It
	// may be empty.
	Identity string
	// Writable is how many bytes the system may write, with catalog.WritableRAM.
	Writable int64
	// Kernel is the folder that holds lib/modules/RELEASE and lib/firmware of the running kernel: the root folder of phase 1.
	// Empty: there are none.
	Kernel string
	// Files are laid over it: this machine's, with their placeholders filled in; nil: none.
	Files *machinefiles.Tree
	// Stage is the folder to mount below; empty: [Stage]. Wish is the file for process 1; empty: [Wish].
	Stage, Wish string
	// Probe loads a kernel module by its name; nil: hardware.Probe.
	Probe func(module string) error
	// Log takes messages; nil for none.
	Log func(format string, args ...any)
}

func (c Config) withDefaults() Config {
	if c.Stage == "" {
		c.Stage = Stage
	}
	if c.Wish == "" {
		c.Wish = Wish
	}
	if c.Probe == nil {
		c.Probe = hardware.Probe
	}
	if c.Log == nil {
		c.Log = func(string, ...any) {}
	}
	return c
}

// Prepared is a root file system that is mounted and ready.
type Prepared struct {
	config Config
	mounts *mounts
	wish   Switch
}

// Prepare mounts the system's root file system. What an earlier call, perhaps of a process that died, has mounted below the stage is
// unmounted first. On an error nothing stays mounted, and no loop device is in use.
func Prepare(ctx context.Context, c Config) (p *Prepared, err error) {
	c = c.withDefaults()
	defer func() {
		if err != nil {
			err = fmt.Errorf("mount %s: %w", c.Name, err)
		}
	}()
	if err := clearStage(c.Stage); err != nil {
		return nil, err
	}
	p = &Prepared{config: c, mounts: &mounts{probe: c.Probe}}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
			p = nil
		}
	}()
	if err := p.mountImages(ctx); err != nil {
		return p, err
	}
	found, err := p.look()
	if err != nil {
		return p, err
	}
	if err := p.mountRoot(found); err != nil {
		return p, err
	}
	if found.hostname, err = p.lookAtRoot(); err != nil {
		return p, err
	}
	if err := p.mounts.folders(c); err != nil {
		return p, err
	}
	if err := identify(c); err != nil {
		return p, err
	}
	if err := nameSystem(c); err != nil {
		return p, err
	}
	p.wish, err = newSwitch(c, found, p.mounts.loops)
	return p, err
}

// mountImages mounts the system's /run, and its images below that.
func (p *Prepared) mountImages(ctx context.Context) error {
	for _, m := range imagePlan(p.config) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := p.mounts.mount(m); err != nil {
			return err
		}
	}
	return nil
}

// mountRoot mounts the root file system over the images.
func (p *Prepared) mountRoot(f found) error {
	c := p.config
	if f.modules != "" {
		if err := p.mounts.mount(modulesPlan(c)); err != nil {
			return err
		}
		if err := copyModules(c.Kernel, f.release, filepath.Join(own(c.Stage, "modules"), f.modules)); err != nil {
			return err
		}
		if err := p.mounts.readOnly(own(c.Stage, "modules")); err != nil {
			return err
		}
		c.Log("root: %s has no modules of this kernel (%s); it gets those of phase 1", c.Name, f.release)
	}
	if c.filesLayer() {
		if err := p.makeFilesLayer(f); err != nil {
			return err
		}
	}
	for _, m := range rootPlan(c, f.modules != "") {
		if err := p.mounts.mount(m); err != nil {
			return err
		}
		if m.target == own(c.Stage, "rw") {
			if err := upperFolders(m.target, f); err != nil {
				return err
			}
		}
	}
	if c.filesLayer() {
		return nil
	}
	return layFiles(rootDir(c.Stage), c.Files)
}

// makeFilesLayer makes a layer with the machine's files for a root file system that is not written to, of what overlayfs writes when they are laid over
// the images.
func (p *Prepared) makeFilesLayer(f found) error {
	c := p.config
	layer, over := filesPlan(c, f.modules != "")
	if err := p.mounts.mount(layer); err != nil {
		return err
	}
	if err := upperFolders(layer.target, f); err != nil {
		return err
	}
	if err := p.mounts.mount(over); err != nil {
		return err
	}
	err := layFiles(over.target, c.Files)
	if err := errors.Join(err, p.mounts.unmount()); err != nil {
		return err
	}
	return p.mounts.readOnly(layer.target)
}

// Commit writes down what process 1 is to do. After it the program has to end with boot.ExitSwitch; until then Close undoes it.
func (p *Prepared) Commit() error { return p.wish.write(p.config.Wish) }

// Close unmounts everything and frees the loop devices. It can be repeated.
func (p *Prepared) Close() error {
	if err := os.Remove(p.config.Wish); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("take back that %s is to be started: %w", p.config.Name, err)
	}
	return p.mounts.undo()
}
