package rootimage

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

const (
	squashfsMagic   = 0x73717368 // "hsqs" in the file
	squashfsSwapped = 0x68737173 // "sqsh": of a big-endian machine, before 4.0
	// squashfsSize is of the superblock in bytes.
	squashfsSize = 96
	// squashfsMaxLog is that of SQUASHFS_FILE_MAX_SIZE, 1 MiB.
	squashfsMaxLog = 20
)

// squashfsCompression are the names of the superblock's numbers.
var squashfsCompression = map[uint16]string{1: "gzip", 2: "lzma", 3: "lzo", 4: "xz", 5: "lz4", 6: "zstd"}

func readSquashfs(head []byte) (Image, error) {
	u16, u32 := binary.LittleEndian.Uint16, binary.LittleEndian.Uint32
	i := Image{FS: Squashfs, BlockSize: int64(u32(head[12:]))}
	major, minor := u16(head[28:]), u16(head[30:])
	if u32(head) == squashfsSwapped || major != 4 {
		return i, fmt.Errorf("it is a squashfs image of version %d.%d, and Linux mounts 4.0; unpack it and make it again with mksquashfs", major, minor)
	}
	algorithm := u16(head[20:])
	name, known := squashfsCompression[algorithm]
	if !known {
		return i, fmt.Errorf("it is a squashfs image with an unknown compression, number %d; make it again with mksquashfs -comp zstd", algorithm)
	}
	i.Compression = []string{name}
	size := binary.LittleEndian.Uint64(head[40:])
	if log := int(u16(head[22:])); log > squashfsMaxLog || bits.Len64(uint64(i.BlockSize)) != log+1 || bits.OnesCount64(uint64(i.BlockSize)) != 1 || size < squashfsSize {
		return i, fmt.Errorf("it is a damaged squashfs image: its superblock says %d bytes in blocks of %d; copy it again", size, i.BlockSize)
	}
	var err error
	i.Size, err = bytesOf(Squashfs, size, 0)
	return i, err
}
