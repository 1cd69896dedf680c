package mirror

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/atomicfile"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/seeder/upstream"
)

// bootFiles keeps the boot files: each once in a pool, by its SHA-256, and those of one manifest in the folder of images, as hard links. That
// folder is replaced as a whole. Its methods may be called concurrently.
type bootFiles struct {
	pool, images string
	log          *slog.Logger

	mu sync.Mutex
	// right are the pool's files that were found to have the content that they are called by, as they were then.
	right map[string]fs.FileInfo
	// copies are the files in the folder of images that are no links, and were found to be right, by their paths in it.
	copies map[string]rightCopy
}

// rightCopy is a file as it was when it had a SHA-256.
type rightCopy struct {
	sum  string
	info fs.FileInfo
}

func newBootFiles(pool, images string, log *slog.Logger) *bootFiles {
	return &bootFiles{pool: pool, images: images, log: log, right: map[string]fs.FileInfo{}, copies: map[string]rightCopy{}}
}

func (b *bootFiles) path(sum string) string { return filepath.Join(b.pool, sum) }

// partEnding follows the name of a file that has not come to its end.
const partEnding = ".part"

// place is where a boot file is below the folder of images.
func place(f catalog.BootFile) string {
	if f.Kind == catalog.KindLoader {
		return filepath.Join(image.LoadersFolder, filepath.FromSlash(f.Path))
	}
	return filepath.FromSlash(f.Path)
}

// has reports whether a file is in the pool, and right. It is read if it was not before, or has changed since. One that is damaged is deleted.
func (b *bootFiles) has(f catalog.BootFile) bool {
	info, err := os.Lstat(b.path(f.SHA256))
	if err != nil {
		return false
	}
	b.mu.Lock()
	known := b.right[f.SHA256]
	b.mu.Unlock()
	return known != nil && unchanged(known, info) || b.check(f)
}

func unchanged(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// check reads a file of the pool, and reports whether it is right.
func (b *bootFiles) check(f catalog.BootFile) bool {
	at := b.path(f.SHA256)
	info, err := os.Lstat(at)
	if err != nil {
		return false
	}
	sum, err := hashFile(at)
	if err == nil && sum == f.SHA256 {
		b.mu.Lock()
		b.right[f.SHA256] = info
		b.mu.Unlock()
		return true
	}
	b.log.Warn("a boot file on this disk is damaged; it is not served any more, and fetched again", "file", f.Path, "err", err)
	b.forget(f.SHA256)
	_ = os.Remove(at) // if it stays, it is found the next time
	return false
}

func (b *bootFiles) forget(sum string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.right, sum)
}

// hashFile is the SHA-256 of a regular file, in hexadecimal.
func hashFile(at string) (string, error) {
	f, err := os.OpenFile(at, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// missing are the files of a manifest that are not in the pool.
func (b *bootFiles) missing(m *catalog.BootManifest) (files []catalog.BootFile) {
	for _, f := range m.Files {
		if !b.has(f) {
			files = append(files, f)
		}
	}
	return files
}

// fetch brings a file into the pool by HTTP. What has come of it before is kept, and used.
func (b *bootFiles) fetch(ctx context.Context, from *upstream.Seeder, f catalog.BootFile) error {
	return b.bring(f, func(part *os.File) error { return from.ResumeBootFile(ctx, f, part) })
}

// take copies a file into the pool that is elsewhere on this disk.
func (b *bootFiles) take(from string, f catalog.BootFile) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	return b.bring(f, func(part *os.File) error {
		if err := part.Truncate(0); err != nil {
			return err
		}
		h := sha256.New()
		if _, err := io.Copy(io.MultiWriter(part, h), src); err != nil {
			return err
		}
		if sum := hex.EncodeToString(h.Sum(nil)); sum != f.SHA256 {
			return fmt.Errorf("%s has the SHA-256 %s, want %s", from, sum, f.SHA256)
		}
		return nil
	})
}

// bring fills the part of a file, and gives it its name in the pool when that has returned no error.
func (b *bootFiles) bring(f catalog.BootFile, fill func(part *os.File) error) error {
	at := b.path(f.SHA256)
	part, err := os.OpenFile(at+partEnding, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	err = fill(part)
	if err == nil {
		err = part.Sync()
	}
	if err = errors.Join(err, part.Close()); err != nil {
		return err
	}
	if err := os.Rename(at+partEnding, at); err != nil {
		return err
	}
	info, err := os.Lstat(at)
	if err != nil {
		return err
	}
	b.mu.Lock()
	b.right[f.SHA256] = info
	b.mu.Unlock()
	return atomicfile.SyncFolder(b.pool)
}

// nextEnding follows the name of the folder of images while another one is made.
const nextEnding = ".next"

// prepare makes a folder of images for a manifest, with those of its files that are in the pool, beside the one that is served. What it returns
// puts the folder in its place, and does not fail because a disk is full.
func (b *bootFiles) prepare(m *catalog.BootManifest) (swap func() error, err error) {
	if b.isPlaced(m) {
		return func() error { return b.sweep(m) }, nil
	}
	next := b.images + nextEnding
	if err := os.RemoveAll(next); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(next, 0o755); err != nil {
		return nil, err
	}
	for _, f := range m.Files {
		if !b.has(f) {
			continue
		}
		to := filepath.Join(next, place(f))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return nil, err
		}
		if err := b.link(f.SHA256, to); err != nil {
			return nil, err
		}
	}
	return func() error {
		if err := replace(b.images, next); err != nil {
			return err
		}
		return b.sweep(m)
	}, nil
}

// link makes a file of the pool another name, or a copy where the folder of images is on another file system.
func (b *bootFiles) link(sum, to string) error {
	err := os.Link(b.path(sum), to)
	if err == nil || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return err
	}
	src, err := os.Open(b.path(sum))
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := atomicfile.Begin(to, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = dst.Cleanup() }()
	if _, err := io.Copy(dst, src); err != nil {
		return err
	}
	return atomicfile.Finish(to, dst)
}

// replace puts the folder next in the place of another one, in one step where the file system can (renameat2(2)). Where it can't, whoever
// opens a file in between finds none. A folder that can't be replaced at all stays as it is.
func replace(dir, next string) error {
	if err := syncTree(next); err != nil {
		return err
	}
	err := unix.Renameat2(unix.AT_FDCWD, dir, unix.AT_FDCWD, next, unix.RENAME_EXCHANGE)
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrNotExist):
		err = os.Rename(next, dir)
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EXDEV):
		err = fmt.Errorf("%s can't be replaced as a whole, as where it is a mount point: unmount it, or mount the folder above it: %w", dir, err)
	default:
		if err = os.RemoveAll(dir); err == nil {
			err = os.Rename(next, dir)
		}
	}
	if err == nil {
		err = atomicfile.SyncFolder(filepath.Dir(dir))
	}
	return errors.Join(err, os.RemoveAll(next))
}

// syncTree returns when the names in a folder, and in those in it, are on the disk.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(at string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return atomicfile.SyncFolder(at)
	})
}

// isPlaced reports whether the folder of images has the files of a manifest, as they are in the pool, and no others.
func (b *bootFiles) isPlaced(m *catalog.BootManifest) bool {
	wanted := map[string]string{} // the SHA-256 by the place
	for _, f := range m.Files {
		wanted[place(f)] = f.SHA256
	}
	found := 0
	err := filepath.WalkDir(b.images, func(at string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(b.images, at)
		if err != nil {
			return err
		}
		there, err := os.Lstat(at)
		if err != nil {
			return err
		}
		inPool, err := os.Lstat(b.path(wanted[name]))
		if err != nil || wanted[name] == "" || !os.SameFile(there, inPool) && !b.isCopy(name, wanted[name], there, inPool) {
			return errors.New("another file")
		}
		found++
		return nil
	})
	return err == nil && found == len(m.Files)
}

// isCopy reports whether a file in the folder of images has the content of one of the pool, of the SHA-256 sum. It is read if it was not before, or
// has changed since.
func (b *bootFiles) isCopy(name, sum string, there, inPool fs.FileInfo) bool {
	b.mu.Lock()
	known, ok := b.copies[name]
	b.mu.Unlock()
	if ok && known.sum == sum && unchanged(known.info, there) {
		return true
	}
	if there.Size() != inPool.Size() {
		return false
	}
	if has, err := hashFile(filepath.Join(b.images, name)); err != nil || has != sum {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.copies[name] = rightCopy{sum, there}
	return true
}

// forgetCopies has all copies in the folder of images read once more.
func (b *bootFiles) forgetCopies() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.copies)
}

// sweep deletes what is in the pool and in no manifest any more.
func (b *bootFiles) sweep(m *catalog.BootManifest) error {
	wanted := map[string]bool{}
	for _, f := range m.Files {
		wanted[f.SHA256] = true
	}
	entries, err := os.ReadDir(b.pool)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if sum := strings.TrimSuffix(e.Name(), partEnding); !wanted[sum] {
			b.forget(sum)
			err = errors.Join(err, os.Remove(filepath.Join(b.pool, e.Name())))
		}
	}
	return err
}
