package rootimage

import (
	"encoding/binary"
	"errors"
)

const (
	ext4Magic = 0xef53 // at 0x38
	// Bits of s_feature_incompat.
	ext4Recover    = 0x4
	ext4JournalDev = 0x8
	ext4Bits64     = 0x80
)

func readExt4(head []byte) (Image, error) {
	sb := head[superblockAt:]
	u32 := binary.LittleEndian.Uint32
	incompatible, shift := u32(sb[0x60:]), u32(sb[0x18:])
	i := Image{FS: Ext4, Bits64: incompatible&ext4Bits64 != 0, Unclean: incompatible&ext4Recover != 0}
	if incompatible&ext4JournalDev != 0 {
		return i, errors.New("it is the journal of an ext4 file system, not the file system itself; name that")
	}
	blocks := uint64(u32(sb[0x4:]))
	if i.Bits64 {
		blocks |= uint64(u32(sb[0x150:])) << 32
	}
	if shift > 6 { // 64 KiB, EXT4_MAX_BLOCK_LOG_SIZE
		return i, errors.New("it is a damaged ext4 image: its superblock says blocks larger than 64 KiB; copy it again")
	}
	i.BlockSize = 1024 << shift
	var err error
	i.Size, err = bytesOf(Ext4, blocks, 10+shift)
	return i, err
}
