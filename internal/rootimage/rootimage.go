// Package rootimage recognises the images that a root file system is mounted from, by their superblocks: squashfs 4.0 (Linux,
// Documentation/filesystems/squashfs.rst and fs/squashfs/squashfs_fs.h), erofs (fs/erofs/erofs_fs.h), and ext2, ext3 and ext4
// (Documentation/filesystems/ext4/super.rst), which one driver mounts. Seeder, mkimage and node ask it what an image is; nothing
// here reads the files in one.
package rootimage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Image is what a superblock says.
type Image struct {
	// FS is the kernel's name of the file system: Squashfs, Erofs or Ext4.
	FS string
	// Size is how many bytes the file system takes. The file may have more, as what makes images fills up the last block.
	Size int64
	// Compression are the algorithms that its data may be compressed by, as mksquashfs and mkfs.erofs name them; none for ext4.
	Compression []string
	// BlockSize is in bytes.
	BlockSize int64
	// Bits64 says that an ext4 file system counts its blocks in 64 bits. The others always can be larger than 16 TiB.
	Bits64 bool
	// Unclean says that an ext4 file system was not unmounted: its journal has to be replayed, which nobody can do in a read-only
	// image.
	Unclean bool
	// Devices is how many other files an erofs has its data in (mkfs.erofs --blobdev).
	Devices int
}

// The file systems.
const (
	Squashfs = "squashfs"
	Erofs    = "erofs"
	Ext4     = "ext4"
)

// ErrUnknown is returned by Read for what is none of these file systems.
var ErrUnknown = errors.New("it is no squashfs, erofs or ext4 image")

// TruncatedError is returned by Read for an image whose end is missing.
type TruncatedError struct {
	FS string
	// Size is what the superblock says, Have what is there, in bytes.
	Size, Have int64
}

// Error says how much is missing.
func (e *TruncatedError) Error() string {
	return fmt.Sprintf("it is a truncated %s image: its superblock says %d bytes, and it has %d", e.FS, e.Size, e.Have)
}

// superblockAt is where the superblocks of erofs and ext4 begin; that of squashfs is at 0. headSize has all of them.
const (
	superblockAt = 1024
	headSize     = superblockAt + 0x154
)

// Read recognises the image of size bytes in r. Another file is ErrUnknown, one whose end is missing a *TruncatedError; any other
// error says why no kernel mounts it, or is r's.
func Read(r io.ReaderAt, size int64) (Image, error) {
	head := make([]byte, headSize)
	n, err := r.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return Image{}, err
	}
	read := recognise(head[:n])
	if read == nil {
		return Image{}, ErrUnknown
	}
	image, err := read(head) // what is missing of a superblock reads as zeros
	switch {
	case err != nil:
		return Image{}, err
	case image.Size > size:
		return Image{}, &TruncatedError{image.FS, image.Size, size}
	}
	return image, nil
}

// recognise returns what reads the superblock in head; nil if there is none.
func recognise(head []byte) func([]byte) (Image, error) {
	u32 := func(at int) uint32 {
		if len(head) < at+4 {
			return 0
		}
		return binary.LittleEndian.Uint32(head[at:])
	}
	switch {
	case u32(0) == squashfsMagic, u32(0) == squashfsSwapped:
		return readSquashfs
	case u32(superblockAt) == erofsMagic:
		return readErofs
	case u32(superblockAt+0x38)&0xffff == ext4Magic:
		return readExt4
	}
	return nil
}

// bytesOf is blocks times 1<<shift; an error if no file is that large.
func bytesOf(fs string, blocks uint64, shift uint32) (int64, error) {
	const most = 1 << 60
	if blocks == 0 || shift > 30 || blocks > most>>shift {
		return 0, fmt.Errorf("it is a damaged %s image: its superblock says %d blocks of 2^%d bytes; copy it again", fs, blocks, shift)
	}
	return int64(blocks << shift), nil
}
