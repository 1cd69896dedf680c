// Package debian takes packages out of the archive of the distribution, of Debian's kind, that this machine runs: by apt, for any architecture, into a
// cache. Nothing is installed, and root is not needed.
//
// Packages of this machine's own architecture are looked for in apt's lists, as they are. For those of another one apt has lists
// and state of its own in the cache, made from the same sources, so that dpkg --add-architecture is not needed. What the cache has is taken without
// asking apt.
package debian

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/arch"
)

// Folder is the cache's folder for packages. It has a folder for each architecture, which has a folder NAME_VERSION for each package, as
// dpkg-deb -x made it, and symbolic links to those that are used, named by what was asked for.
const Folder = "packages"

// lockFile is locked (flock) by the process that downloads.
const lockFile = "lock"

// Archive is the packages of an architecture.
type Archive struct {
	// Cache is mkimage's cache.
	Cache string
	Arch  arch.Arch
	// Log is told what is downloaded.
	Log *slog.Logger
}

// Wanted is a package, or one that it depends on.
type Wanted struct {
	Name string
	// Dependency, if it is not nil, matches the name of the package that is really wanted: Name depends on one version of it.
	Dependency *regexp.Regexp
	// Instead is what to do where the package can't be had, for messages.
	Instead string
}

// Package is one that was unpacked.
type Package struct {
	Name, Version string
	// Dir is the folder into which it was unpacked.
	Dir string
}

// String is "NAME VERSION".
func (p Package) String() string { return p.Name + " " + p.Version }

// dir is the folder of the packages.
func (a Archive) dir() string { return filepath.Join(a.Cache, Folder, string(a.Arch)) }

// Get returns a package of the cache, and only if there is none downloads it. It may be called by several processes at once.
func (a Archive) Get(ctx context.Context, w Wanted) (Package, error) {
	if p, err := a.cached(w); err == nil {
		return p, nil
	}
	unlock, err := a.lock(ctx)
	if err != nil {
		return Package{}, err
	}
	defer unlock()
	if p, err := a.cached(w); err == nil {
		return p, nil
	}
	return a.newest(ctx, w)
}

// Update is Get, but asks apt for the newest version first. Which is the newest is as old as apt's lists.
func (a Archive) Update(ctx context.Context, w Wanted) (Package, error) {
	unlock, err := a.lock(ctx)
	if err != nil {
		return Package{}, err
	}
	defer unlock()
	return a.newest(ctx, w)
}

// cached returns the package that the link leads to.
func (a Archive) cached(w Wanted) (Package, error) {
	target, err := os.Readlink(filepath.Join(a.dir(), w.Name))
	if err != nil {
		return Package{}, err
	}
	name, version, ok := strings.Cut(target, "_")
	if p := (Package{Name: name, Version: version, Dir: filepath.Join(a.dir(), target)}); ok && isDir(p.Dir) {
		return p, nil
	}
	return Package{}, fmt.Errorf("%s is damaged", a.dir())
}

// newest makes the newest version the one that is used, and downloads it if the cache does not have it. The caller has the lock.
func (a Archive) newest(ctx context.Context, w Wanted) (Package, error) {
	apt, err := a.apt(ctx, w)
	if err != nil {
		return Package{}, err
	}
	p, err := a.found(ctx, apt, w)
	if err != nil && apt.old() && ctx.Err() == nil { // perhaps the archive has another version by now
		if err := apt.update(ctx); err != nil {
			return Package{}, err
		}
		p, err = a.found(ctx, apt, w)
	}
	if err != nil {
		return Package{}, err
	}
	name := filepath.Base(p.Dir)
	if err := renameio.Symlink(name, filepath.Join(a.dir(), w.Name)); err != nil {
		return Package{}, fmt.Errorf("remember the package %s: %w", name, err)
	}
	return p, nil
}

// found is the version that apt's lists have, downloaded if need be.
func (a Archive) found(ctx context.Context, apt *apt, w Wanted) (Package, error) {
	v, err := apt.find(ctx, w)
	if err != nil {
		return Package{}, err
	}
	p := Package{Name: v.name, Version: v.version, Dir: filepath.Join(a.dir(), v.name+"_"+v.version)}
	if isDir(p.Dir) {
		return p, nil
	}
	a.Log.Info("download a package of the distribution", "package", v.name, "version", v.version, "architecture", string(a.Arch))
	return p, a.fetch(ctx, apt, v, w, p.Dir)
}

// fetch downloads and unpacks v, and moves the result to target when it is whole.
func (a Archive) fetch(ctx context.Context, apt *apt, v version, w Wanted, target string) error {
	temp, err := os.MkdirTemp(a.dir(), ".download-")
	if err != nil {
		return fmt.Errorf("make a folder for a package: %w", err)
	}
	defer os.RemoveAll(temp)
	deb, err := apt.download(ctx, v, w, temp)
	if err != nil {
		return err
	}
	root := filepath.Join(temp, "root")
	if _, err := run(ctx, temp, "dpkg-deb", "-x", deb, root); err != nil {
		return fmt.Errorf("unpack the package %s: %w", v.name, err)
	}
	if err := os.Rename(root, target); err != nil {
		return fmt.Errorf("move the package %s into the cache: %w", v.name, err)
	}
	return nil
}

// lock waits until no other process downloads.
func (a Archive) lock(ctx context.Context) (unlock func(), err error) {
	if err := os.MkdirAll(a.dir(), 0o755); err != nil {
		return nil, fmt.Errorf("make the cache: %w; give another with --cache DIR", err)
	}
	f, err := os.OpenFile(filepath.Join(a.dir(), lockFile), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock the cache: %w; give another with --cache DIR", err)
	}
	retry := time.NewTicker(100 * time.Millisecond)
	defer retry.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil // closing unlocks
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("wait for another process to download packages: %w", ctx.Err())
		case <-retry.C:
		}
	}
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
