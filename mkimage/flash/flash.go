// Package flash writes a disk image onto a USB stick or another removable disk, so that nothing else is overwritten and
// what was written is what can be read.
//
// In go an image file and, perhaps, the name of a device; out comes a written, synced and compared device, or an error
// that says whether the device was touched. [List] finds what is plugged in (by lsblk(8)), [Device.Refuse] says why one must not be
// written, [Write] writes and reads back. [Dialogue] asks a person.
package flash

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/dustin/go-humanize"

	"github.com/boottorrent/boottorrent/internal/self"
)

// Image is a file to be written.
type Image struct {
	*os.File
	// Size is in bytes.
	Size int64
	// Sector is the number of bytes in which its partition table counts; 0 if it has none of that kind.
	Sector int64
}

// Signatures of what is no disk image.
var packed = map[string]string{"\xfd7zXZ": "xz -d", "\x1f\x8b": "gzip -d", "\x28\xb5\x2f\xfd": "zstd -d", "BZh": "bzip2 -d"}

// OpenImage opens a file and checks that a firmware could boot it: at least that its first sector ends as boot sectors do,
// which a protective MBR (UEFI 2.10 section 5.2.3) and a hybrid ISO have too.
func OpenImage(path string) (*Image, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w; build one first: "+self.Mkimage()+" usb DIR", err)
	}
	if err != nil {
		return nil, err
	}
	image, err := check(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s %w", path, err)
	}
	return image, nil
}

func check(f *os.File) (*Image, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		if info.Mode().Type()&fs.ModeDevice != 0 {
			return nil, errors.New("is a device: name the image first, then the device")
		}
		return nil, errors.New("is not a file; name what '" + self.Mkimage() + " usb' or '" + self.Mkimage() + " iso' wrote")
	}
	head := make([]byte, 512)
	if _, err := io.ReadFull(f, head); err != nil {
		return nil, errors.New("is shorter than a disk's first sector; name what '" + self.Mkimage() + " usb' or '" + self.Mkimage() + " iso' wrote")
	}
	for magic, tool := range packed {
		if string(head[:len(magic)]) == magic {
			return nil, fmt.Errorf("is compressed; unpack it first: %s", tool)
		}
	}
	if head[510] != 0x55 || head[511] != 0xaa {
		return nil, errors.New("is no disk image that boots: its first sector lacks the signature 55 AA")
	}
	_, err = f.Seek(0, io.SeekStart)
	return &Image{File: f, Size: info.Size(), Sector: sectorOf(f)}, err
}

// sectorOf finds the sector 1 of a GUID partition table, where its header is (UEFI 2.10 section 5.3.2).
func sectorOf(image io.ReaderAt) int64 {
	for _, size := range []int64{512, 1024, 2048, 4096} {
		head := make([]byte, 8)
		if _, err := image.ReadAt(head, size); err == nil && string(head) == "EFI PART" {
			return size
		}
	}
	return 0
}

// Options say what to write where.
type Options struct {
	Image *Image
	// Device is a path, such as /dev/sdb, or the last part of one; empty: a person chooses.
	Device string
	// Force allows a device that is not removable.
	Force bool
	// Dialogue is the person.
	Dialogue Dialogue
	// Progress is told how far writing, and then reading back, is; may be nil.
	Progress func(phase Phase, done, total int64)

	// list replaces List in tests.
	list func(context.Context) ([]Device, error)
}

// Phase is what is being done to a device.
type Phase string

// The phases.
const (
	Writing  Phase = "writing"
	Checking Phase = "reading back"
)

// Run lets the person choose if need be, checks the device, asks once more, and writes.
func Run(ctx context.Context, o Options) (Device, error) {
	if o.list == nil {
		o.list = List
	}
	devices, err := o.list(ctx)
	if err != nil {
		return Device{}, err
	}
	var d Device
	if o.Device == "" {
		d, err = o.Dialogue.choose(ctx, devices, o.Image)
	} else {
		d, err = find(devices, o.Device)
	}
	if err != nil {
		return d, err
	}
	if err := d.Refuse(o.Image, o.Force); err != nil {
		return d, err
	}
	if err := o.Dialogue.confirm(ctx, d); err != nil {
		return d, err
	}
	return d, Write(ctx, d.Path, o.Image, o.Progress)
}

func size(n int64) string { return humanize.Bytes(uint64(max(n, 0))) }
