package flash

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

const (
	// chunk is how many bytes are written between two looks at the clock.
	chunk = 1 << 20
	// syncEvery is how many bytes are written before the device must have taken them, so that what is shown as done is.
	syncEvery = 8 << 20
)

// SpoiledError says that a device was begun to be overwritten, and can't be used until it is written again.
type SpoiledError struct {
	Device string
	// At is the byte where it ended.
	At  int64
	Err error
}

// Error says what to do.
func (e *SpoiledError) Error() string {
	return fmt.Sprintf("%s is unusable now, write it again: %v (after %s)", e.Device, e.Err, size(e.At))
}

// Unwrap returns what went wrong.
func (e *SpoiledError) Unwrap() error { return e.Err }

// ErrDiffers says that a device does not give back what was written to it.
var ErrDiffers = errors.New("what is read back is not what was written; the device is broken or a fake of a larger one: take another")

// Write writes the image to a block device, syncs, reads it back past the kernel's cache and compares. Once the first byte may
// have been written, an error is a *SpoiledError. Nobody else can mount the device meanwhile.
func Write(ctx context.Context, device string, image *Image, progress func(phase Phase, done, total int64)) error {
	return write(ctx, device, image, progress, nil)
}

// write is Write; between, if not nil, is called before reading back.
func write(ctx context.Context, device string, image *Image, progress func(Phase, int64, int64), between func()) (err error) {
	if progress == nil {
		progress = func(Phase, int64, int64) {}
	}
	// Of a block device O_EXCL is refused while it is mounted, or part of something, and keeps others from doing so (open(2)).
	f, err := os.OpenFile(device, os.O_RDWR|unix.O_EXCL, 0)
	if errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("%s is not written: it is in use; see: lsblk %s", device, device)
	}
	if err != nil {
		return fmt.Errorf("nothing was written: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	at, err := fill(ctx, f, image, progress)
	if err != nil {
		return &SpoiledError{device, at, err}
	}
	if between != nil {
		between()
	}
	if at, err := compare(ctx, f, image, progress); err != nil {
		return &SpoiledError{device, at, err}
	}
	// The kernel's list of partitions is the old one; that it can't be read anew, as of a loop device without, matters not.
	_ = unix.IoctlSetInt(int(f.Fd()), unix.BLKRRPART, 0)
	return nil
}

// fill copies the image and returns how far it got.
func fill(ctx context.Context, f *os.File, image *Image, progress func(Phase, int64, int64)) (at int64, err error) {
	buf := make([]byte, chunk)
	for at < image.Size {
		if ctx.Err() != nil {
			return at, errors.New("interrupted")
		}
		n, err := image.ReadAt(buf[:min(chunk, image.Size-at)], at)
		if err != nil && !(errors.Is(err, io.EOF) && n > 0) {
			return at, err
		}
		if _, err := f.WriteAt(buf[:n], at); err != nil {
			return at, err
		}
		at += int64(n)
		if at%syncEvery == 0 || at == image.Size {
			if err := f.Sync(); err != nil {
				return at, err
			}
			progress(Writing, at, image.Size)
		}
	}
	return at, nil
}

// compare reads the device back.
func compare(ctx context.Context, f *os.File, image *Image, progress func(Phase, int64, int64)) (at int64, err error) {
	if err := unix.IoctlSetInt(int(f.Fd()), unix.BLKFLSBUF, 0); err != nil {
		return 0, fmt.Errorf("empty the kernel's cache of the device: %w", err)
	}
	got, want := make([]byte, chunk), make([]byte, chunk)
	for at < image.Size {
		if ctx.Err() != nil {
			return at, errors.New("interrupted before it was read back")
		}
		n := min(chunk, image.Size-at)
		if _, err := image.ReadAt(want[:n], at); err != nil && !errors.Is(err, io.EOF) {
			return at, err
		}
		if _, err := f.ReadAt(got[:n], at); err != nil {
			return at, fmt.Errorf("read back: %w", err)
		}
		if !bytes.Equal(got[:n], want[:n]) {
			return at, ErrDiffers
		}
		at += n
		progress(Checking, at, image.Size)
	}
	return at, nil
}
