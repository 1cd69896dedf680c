package launch

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"

	"github.com/boottorrent/boottorrent/internal/qemuruntime"
)

const (
	// maxWindow is the most memory that unpacking may take for what was unpacked before (RFC 8878, 3.1.1.1.2); zstd -19 uses
	// 8 MiB.
	maxWindow = 32 << 20
	// maxRuntimeFiles limits the number of files; QEMU and what it needs are some 150.
	maxRuntimeFiles = 5000
)

// UnpackRuntime unpacks the archive of a runtime, see package qemuruntime, into a new folder. Its files have size bytes
// together by the catalog; more are refused. What was unpacked is removed again on failure.
func UnpackRuntime(ctx context.Context, archive, dir string, size int64) (err error) {
	f, err := os.Open(archive)
	if err != nil {
		return fmt.Errorf("open the runtime: %w", err)
	}
	defer f.Close()
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("make room for the runtime: %w", err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return fmt.Errorf("make a folder for the runtime: %w", err)
	}
	if err := unpack(ctx, f, dir, size); err != nil {
		return errors.Join(fmt.Errorf("unpack the runtime %s: %w", filepath.Base(archive), err), os.RemoveAll(dir))
	}
	return nil
}

// unpack unpacks into an empty folder.
func unpack(ctx context.Context, archive io.Reader, dir string, size int64) error {
	root, err := os.OpenRoot(dir) // no path leads out of it
	if err != nil {
		return err
	}
	defer root.Close()
	decoder, err := zstd.NewReader(archive, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return err
	}
	defer decoder.Close()
	return extract(ctx, decoder, rootFolder{root}, size)
}

// folder is where files are extracted to.
type folder interface {
	// Create makes a file, and the folders that it is in. A file that exists is an error.
	Create(name string, mode os.FileMode) (io.WriteCloser, error)
}

// rootFolder is one on a disk.
type rootFolder struct{ *os.Root }

func (r rootFolder) Create(name string, mode os.FileMode) (io.WriteCloser, error) {
	if err := r.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return nil, err
	}
	return r.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
}

// extract writes the regular files of a tar archive, up to size bytes together.
func extract(ctx context.Context, archive io.Reader, to folder, size int64) error {
	files := tar.NewReader(archive)
	for count := 0; ; count++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		header, err := files.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if count >= maxRuntimeFiles {
			return fmt.Errorf("there are too many files in it; the most are %d", maxRuntimeFiles)
		}
		if header.Typeflag == tar.TypeDir {
			continue
		}
		if size -= header.Size; header.Size < 0 || size < 0 {
			return fmt.Errorf("there is more in it than the catalog says, from %q on", header.Name)
		}
		if err := extractFile(to, header, files); err != nil {
			return err
		}
	}
}

// extractFile writes one file.
func extractFile(to folder, header *tar.Header, content io.Reader) error {
	name := filepath.FromSlash(header.Name)
	if header.Typeflag != tar.TypeReg || !filepath.IsLocal(name) || filepath.Clean(name) != name {
		return fmt.Errorf("%q is not a regular file with a clean path", header.Name)
	}
	mode := os.FileMode(0o644)
	if header.Mode&0o111 != 0 || filepath.Dir(header.Name) == "bin" || header.Name == qemuruntime.Loader {
		mode = 0o755
	}
	f, err := to.Create(name, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}
