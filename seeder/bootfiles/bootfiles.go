// Package bootfiles finds the files of the site's images by the names under which firmware, boot loaders and nodes ask for them, over
// HTTP as over TFTP: in goes a name, out comes an open file with its SHA-256.
//
// A file is served under its plain name (vmlinuz, arm64/vmlinuz), and under its content's (0a1b2c3d4e5f/vmlinuz, see catalog.BootPath),
// whichever architecture it is for, for as long as it is the one with that content.
package bootfiles

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/image"
)

// Names are those of the files that an image has for nodes: kernel, initramfs, both as one UEFI program, and both on the image of a disk.
var Names = []string{image.Kernel, image.Initramfs, image.UKI, image.HTTPDisk}

// ErrReplaced says that there is no file with the content that was asked for, but one of that name: the image was replaced.
var ErrReplaced = errors.New("the image was replaced by another")

// ErrUnsigned says that a file is not one that may be handed out; see [Files.Signed]. It is an fs.ErrNotExist as well.
var ErrUnsigned = fmt.Errorf("it is not what the site's key has signed, and is not served: %w", fs.ErrNotExist)

// Files are those of a site. Its methods may be called concurrently.
type Files struct {
	// dir is the site's folder of images.
	dir      string
	hashes   hashCache
	unpacked unpackedCache
	// Signed reports whether a file with that SHA-256 (in hexadecimal) may be handed out; nil: every one may. It is set before the files are used.
	Signed func(sum string) bool
}

// New returns the files of the images in dir, which is the site's image folder; there are none if it is empty.
func New(dir string) *Files { return &Files{dir: dir} }

// File is an open file of an image.
type File struct {
	*os.File
	// Name is its own name, such as vmlinuz, and SHA256 its hash in hexadecimal.
	Name   string
	SHA256 string
	// Arch is the architecture of its image.
	Arch arch.Arch
}

// Open opens the file of that name, which has no slash in front. The error is an fs.ErrNotExist, with a text for whoever asked, if
// there is none; ErrReplaced; or why the file can't be read.
func (f *Files) Open(name string) (*File, error) {
	folder, base := path.Split(name)
	folder = strings.TrimSuffix(folder, "/")
	if !slices.Contains(Names, base) {
		return nil, fmt.Errorf("%s is no boot file: %w", name, fs.ErrNotExist)
	}
	for _, a := range arch.All {
		if folder == image.Folder(a) {
			return f.open(a, base)
		}
	}
	if !isContent(folder) {
		return nil, fmt.Errorf("%s is no boot file: %w", name, fs.ErrNotExist)
	}
	var failed []error
	for _, a := range arch.All {
		file, err := f.open(a, base)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		if catalog.BootPath(base, file.SHA256) == catalog.PathBoot+name {
			return file, nil
		}
		file.Close()
	}
	if len(failed) == len(arch.All) {
		return nil, failed[0]
	}
	return nil, ErrReplaced
}

// isContent reports whether a folder may be one of catalog.BootPath: some hexadecimal digits.
func isContent(folder string) bool {
	return folder != "" && !strings.ContainsFunc(folder, func(r rune) bool { return !strings.ContainsRune("0123456789abcdef", r) })
}

// Hash is the SHA-256 of an open file, in hexadecimal, which is kept until the file changes. It leaves the file at its start; path is
// the file's.
//
// A file that may not be handed out is an error.
func (f *Files) Hash(path string, file *os.File) (string, error) {
	sum, err := f.hashes.sum(path, file)
	if err == nil && f.Signed != nil && !f.Signed(sum) {
		err = fmt.Errorf("%s: %w", path, ErrUnsigned)
	}
	return sum, err
}

// open opens a file of the image for an architecture.
func (f *Files) open(a arch.Arch, base string) (*File, error) {
	if f.dir == "" {
		return nil, fs.ErrNotExist
	}
	at := filepath.Join(f.dir, filepath.FromSlash(image.Folder(a)), base)
	file, err := os.Open(at)
	if err != nil {
		return nil, err
	}
	sum, err := f.Hash(at, file)
	if err != nil {
		file.Close()
		return nil, err
	}
	return &File{File: file, Name: base, SHA256: sum, Arch: a}, nil
}

// Has reports whether the image for an architecture has that file.
func (f *Files) Has(a arch.Arch, base string) bool {
	info, err := os.Stat(filepath.Join(f.dir, filepath.FromSlash(image.Folder(a)), base))
	return err == nil && info.Mode().IsRegular()
}

// Path is the path of kernel or initramfs of an architecture as it is now, by its content. Of one that can't be read it is the plain
// path, where whoever asks is told why.
func (f *Files) Path(a arch.Arch, base string) string {
	file, err := f.open(a, base)
	if err != nil {
		return path.Join(catalog.PathBoot, image.Folder(a), base)
	}
	file.Close()
	return catalog.BootPath(base, file.SHA256)
}

// hashCache keeps the SHA-256 of files until they change. The zero value is ready.
type hashCache struct {
	mu   sync.Mutex
	sums map[string]hashed
}

type hashed struct {
	info os.FileInfo
	sum  string
}

// sum returns the SHA-256 of the open file f, in hexadecimal, and leaves f at its start. key is its path. A room that starts
// at once waits for one hashing.
func (c *hashCache) sum(key string, f *os.File) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", &os.PathError{Op: "read", Path: key, Err: errors.New("not a regular file")}
	}
	if h, ok := c.sums[key]; ok && os.SameFile(h.info, info) && h.info.Size() == info.Size() && h.info.ModTime().Equal(info.ModTime()) {
		return h.sum, nil
	}
	digest := sha256.New()
	if _, err := io.Copy(digest, f); err != nil {
		return "", err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	if c.sums == nil {
		c.sums = map[string]hashed{}
	}
	h := hashed{info, hex.EncodeToString(digest.Sum(nil))}
	c.sums[key] = h
	return h.sum, nil
}
