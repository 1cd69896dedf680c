package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/dustin/go-humanize"
	"golang.org/x/sys/unix"
)

// copier stores a source's files in a folder. Each file is read once while it is stored. What is sparse stays so, and what could be
// becomes it: blocks of zeros are not written.
type copier struct {
	source *source
	// dir is the folder of the system; it exists.
	dir   string
	clone func(dst, src *os.File) error
	// copies is set once the file system has refused to share blocks.
	copies bool
	// free is what there was room for before the first file, in bytes.
	free uint64
}

func newCopier(src *source, dir string, clone func(dst, src *os.File) error) (*copier, error) {
	free, err := freeSpace(dir)
	if err != nil {
		return nil, fmt.Errorf("store system %s: %w", src.system, err)
	}
	return &copier{source: src, dir: dir, clone: clone, free: free}, nil
}

// open returns what gets stored as file i, to be read to its end and closed.
func (c *copier) open(i int) (io.ReadCloser, error) {
	src, err := c.source.open(i)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(c.dir, filepath.FromSlash(c.source.files[i]))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, errors.Join(c.explain(err), src.Close())
	}
	if c.source.stamps[i].digest != "" && os.Link(c.source.path(c.source.files[i]), path) == nil {
		return src, nil // nobody writes to what came from elsewhere, so the version has the same file
	}
	dst, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o444)
	if err != nil {
		return nil, errors.Join(c.explain(err), src.Close())
	}
	f := &storedCopy{src: src, dst: dst, copier: c}
	if !c.copies {
		if err := c.clone(dst, src.File); err == nil {
			// From here on the original may change.
			f.Reader = dst
			if err := src.check(); err != nil {
				return nil, errors.Join(err, src.Close(), dst.Close())
			}
			return f, nil
		}
		c.copies = true
		if err := c.checkSpace(i); err != nil {
			return nil, errors.Join(err, src.Close(), dst.Close())
		}
	}
	// With its full size and no data a file reads as zeros.
	if err := dst.Truncate(c.source.stamps[i].size); err != nil {
		return nil, errors.Join(c.explain(err), src.Close(), dst.Close())
	}
	f.Reader = io.TeeReader(src, &sparseWriter{file: dst})
	return f, nil
}

// storedCopy is a file while it is stored. What is read from it is what the copy has.
type storedCopy struct {
	io.Reader
	src    *steadyFile
	dst    *os.File
	copier *copier
}

// Read reads; an error to write the copy is one, too.
func (f *storedCopy) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	return n, f.copier.explain(err)
}

// Close closes both.
func (f *storedCopy) Close() error {
	return errors.Join(f.copier.explain(f.dst.Close()), f.src.Close())
}

// sync brings all copies, and the folders they are in, to the disk (syncfs(2)). One by one that would take minutes for 20,000
// small files.
func (c *copier) sync() error {
	dir, err := os.Open(c.dir)
	if err != nil {
		return c.explain(err)
	}
	defer dir.Close()
	if err := unix.Syncfs(int(dir.Fd())); err != nil {
		return c.explain(&os.PathError{Op: "syncfs", Path: c.dir, Err: err})
	}
	return nil
}

// sparseWriter writes a file from its beginning, which has its size and no data at first, but leaves out blocks of zeros.
type sparseWriter struct {
	file *os.File
	at   int64
}

// sparseBlock is what is left out at least, in bytes: a block of common file systems, and a page of tmpfs.
const sparseBlock = 4 << 10

var zeroBlock [sparseBlock]byte

// Write implements io.Writer.
func (w *sparseWriter) Write(p []byte) (written int, err error) {
	for written < len(p) {
		zeros, n := run(p[written:], w.at)
		if !zeros {
			if m, err := w.file.WriteAt(p[written:written+n], w.at); err != nil {
				return written + m, err
			}
		}
		written += n
		w.at += int64(n)
	}
	return written, nil
}

// run is how many bytes of p, which begin at an offset, are in blocks of zeros, or in blocks that are not.
func run(p []byte, at int64) (zeros bool, n int) {
	for n < len(p) {
		block := p[n:min(len(p), n+sparseBlock-int((at+int64(n))%sparseBlock))]
		zero := bytes.Equal(block, zeroBlock[:len(block)])
		if n > 0 && zero != zeros {
			break
		}
		zeros = zero
		n += len(block)
	}
	return zeros, n
}

// cloneFile makes dst share all blocks of src: FICLONE of ioctl_ficlone(2).
func cloneFile(dst, src *os.File) error {
	return unix.IoctlFileClone(int(dst.Fd()), int(src.Fd()))
}

// checkSpace returns an error if the files from number i on won't fit.
func (c *copier) checkSpace(i int) error {
	var need uint64
	for _, s := range c.source.stamps[i:] {
		need += uint64(min(s.size, s.allocated))
	}
	if need > c.free {
		return c.noSpace(need, unix.ENOSPC)
	}
	return nil
}

// explain adds to the error of a full disk what to do.
func (c *copier) explain(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return c.noSpace(uint64(c.source.size), err)
	}
	return err
}

func (c *copier) noSpace(need uint64, cause error) error {
	return fmt.Errorf("store system %s: its copy needs %s in %s, and %s are free there (%w); free some, or keep the site on "+
		"btrfs or xfs, where a copy takes no space", c.source.system, humanize.IBytes(need),
		filepath.Dir(filepath.Dir(c.dir)), humanize.IBytes(c.free), cause)
}

// freeSpace is what this user may still write to the file system of dir, in bytes.
func freeSpace(dir string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("statfs %s: %w", dir, err)
	}
	unit := st.Frsize
	if unit == 0 {
		unit = st.Bsize
	}
	return st.Bavail * uint64(unit), nil
}
