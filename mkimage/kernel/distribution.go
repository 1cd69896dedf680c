package kernel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"
)

// Names within the folder "kernel" of the cache.
const (
	// folder has one folder NAME_VERSION for each package, as dpkg-deb -x made it.
	folder = "kernel"
	// current is a symbolic link to the one that is used.
	current = "current"
	// lock is locked (flock) by the process that downloads.
	lock = "lock"
)

// Distribution returns the distribution's kernel from the cache below cacheDir, and only if there is none downloads it,
// some 70 MB, with apt. It may be called by several processes at once.
func Distribution(ctx context.Context, cacheDir string, log *slog.Logger) (Files, error) {
	dir := filepath.Join(cacheDir, folder)
	if f, err := cached(dir); err == nil {
		return f, nil
	}
	unlock, err := lockFolder(ctx, dir)
	if err != nil {
		return Files{}, err
	}
	defer unlock()
	if f, err := cached(dir); err == nil {
		return f, nil
	}
	return download(ctx, dir, log)
}

// Update is Distribution, but asks apt for the newest kernel first. Which is the newest is as old as apt's lists.
func Update(ctx context.Context, cacheDir string, log *slog.Logger) (Files, error) {
	dir := filepath.Join(cacheDir, folder)
	unlock, err := lockFolder(ctx, dir)
	if err != nil {
		return Files{}, err
	}
	defer unlock()
	return download(ctx, dir, log)
}

// cached returns the kernel that the link current leads to.
func cached(dir string) (Files, error) {
	target, err := os.Readlink(filepath.Join(dir, current))
	if err != nil {
		return Files{}, err
	}
	return unpacked(filepath.Join(dir, target), strings.Replace(target, "_", " ", 1))
}

// download makes the newest kernel the current one, downloading it if the cache does not have it.
func download(ctx context.Context, dir string, log *slog.Logger) (Files, error) {
	p, err := newest(ctx)
	if err != nil {
		return Files{}, err
	}
	name := p.name + "_" + p.version
	target := filepath.Join(dir, name)
	if !isDir(target) {
		log.Info("download the distribution's kernel", "package", p.name, "version", p.version)
		if err := fetch(ctx, p, dir, target); err != nil {
			return Files{}, err
		}
	}
	f, err := unpacked(target, p.name+" "+p.version)
	if err != nil {
		return Files{}, err
	}
	if err := link(dir, name); err != nil {
		return Files{}, err
	}
	return f, nil
}

// fetch downloads and unpacks p, and moves the result to target when it is whole.
func fetch(ctx context.Context, p aptPackage, dir, target string) error {
	temp, err := os.MkdirTemp(dir, ".download-")
	if err != nil {
		return fmt.Errorf("make a folder for the kernel: %w", err)
	}
	defer os.RemoveAll(temp)
	deb, err := p.download(ctx, temp)
	if err != nil {
		return err
	}
	root := filepath.Join(temp, "root")
	if _, err := run(ctx, temp, "dpkg-deb", "-x", deb, root); err != nil {
		return fmt.Errorf("unpack the kernel's package: %w", err)
	}
	if err := os.Rename(root, target); err != nil {
		return fmt.Errorf("move the kernel into the cache: %w", err)
	}
	return nil
}

// link points current to name, at once for whoever reads it.
func link(dir, name string) error {
	if err := renameio.Symlink(name, filepath.Join(dir, current)); err != nil {
		return fmt.Errorf("remember the kernel %s: %w", name, err)
	}
	return nil
}

// lockFolder waits until no other process downloads into dir, which it makes if need be.
func lockFolder(ctx context.Context, dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the cache: %w; give another with --cache DIR", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, lock), os.O_CREATE|os.O_RDWR, 0o644)
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
			return nil, fmt.Errorf("wait for another process to download the kernel: %w", ctx.Err())
		case <-retry.C:
		}
	}
}
