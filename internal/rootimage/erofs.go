package rootimage

import "encoding/binary"

const (
	erofsMagic = 0xe0f5e1e2
	// erofsConfigs is EROFS_FEATURE_INCOMPAT_COMPR_CFGS: the superblock lists the algorithms. Without it there is LZ4 at most.
	erofsConfigs = 0x2
	// erofsPadding is EROFS_FEATURE_INCOMPAT_LZ4_0PADDING, which images that are compressed have.
	erofsPadding = 0x1
	// erofs48Bit is EROFS_FEATURE_INCOMPAT_48BIT: root_nid is the higher half of the number of blocks.
	erofs48Bit = 0x80
)

// erofsAlgorithms are the names of the bits in available_compr_algs (Z_EROFS_COMPRESSION_*).
var erofsAlgorithms = []string{"lz4", "lzma", "deflate", "zstd"}

func readErofs(head []byte) (Image, error) {
	sb := head[superblockAt:]
	u16, u32 := binary.LittleEndian.Uint16, binary.LittleEndian.Uint32
	shift, incompatible := uint32(sb[12]), u32(sb[80:])
	i := Image{FS: Erofs, Devices: int(u16(sb[86:]))}
	blocks := uint64(u32(sb[36:]))
	if incompatible&erofs48Bit != 0 {
		blocks |= uint64(u16(sb[14:])) << 32
	}
	var err error
	if i.Size, err = bytesOf(Erofs, blocks, shift); err != nil {
		return i, err
	}
	i.BlockSize = 1 << shift
	switch {
	case incompatible&erofsConfigs != 0:
		for bit, name := range erofsAlgorithms {
			if u16(sb[84:])&(1<<bit) != 0 {
				i.Compression = append(i.Compression, name)
			}
		}
	case incompatible&erofsPadding != 0:
		i.Compression = []string{"lz4"}
	}
	return i, nil
}
