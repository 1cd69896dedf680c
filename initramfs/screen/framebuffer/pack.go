package framebuffer

import "encoding/binary"

// packer packs pixels of four bytes (blue, green, red, unused) into those of a device: as many as dst has room for.
type packer func(dst, src []byte)

// packerFor returns the fastest packer for a device. All are little endian, as are the machines that nodes are.
func packerFor(i Info) packer {
	f := format{red: i.Red, green: i.Green, blue: i.Blue}
	eights := i.Red.Length == 8 && i.Green.Length == 8 && i.Blue.Length == 8
	usual := eights && i.Red.Offset == 16 && i.Green.Offset == 8 && i.Blue.Offset == 0
	switch {
	case usual && i.BitsPerPixel == 32:
		return packCopy
	case usual && i.BitsPerPixel == 24:
		return pack888
	case i.BitsPerPixel == 16 && f == format{Channel{11, 5}, Channel{5, 6}, Channel{0, 5}}:
		return pack565
	case i.BitsPerPixel == 16:
		return f.pack16
	case i.BitsPerPixel == 24:
		return f.pack24
	}
	return f.pack32
}

func packCopy(dst, src []byte) { copy(dst, src) }

func pack888(dst, src []byte) {
	for len(dst) >= 3 && len(src) >= 4 {
		dst[0], dst[1], dst[2] = src[0], src[1], src[2]
		dst, src = dst[3:], src[4:]
	}
}

func pack565(dst, src []byte) {
	for len(dst) >= 2 && len(src) >= 4 {
		v := binary.LittleEndian.Uint32(src)
		binary.LittleEndian.PutUint16(dst, uint16(v>>8&0xf800|v>>5&0x07e0|v>>3&0x001f))
		dst, src = dst[2:], src[4:]
	}
}

// format is any other order of the channels.
type format struct{ red, green, blue Channel }

// value is a pixel in the format. (Channels of more than 8 bits, which 30-bit modes have, get the high bits again below.)
func (f format) value(v uint32) uint32 {
	return f.red.put(v>>16&0xff) | f.green.put(v>>8&0xff) | f.blue.put(v&0xff)
}

func (c Channel) put(v uint32) uint32 {
	if c.Length <= 8 {
		return v >> (8 - c.Length) << c.Offset
	}
	return (v<<8 | v) >> (16 - c.Length) << c.Offset
}

func (f format) pack16(dst, src []byte) {
	for len(dst) >= 2 && len(src) >= 4 {
		binary.LittleEndian.PutUint16(dst, uint16(f.value(binary.LittleEndian.Uint32(src))))
		dst, src = dst[2:], src[4:]
	}
}

func (f format) pack24(dst, src []byte) {
	for len(dst) >= 3 && len(src) >= 4 {
		v := f.value(binary.LittleEndian.Uint32(src))
		dst[0], dst[1], dst[2] = byte(v), byte(v>>8), byte(v>>16)
		dst, src = dst[3:], src[4:]
	}
}

func (f format) pack32(dst, src []byte) {
	for len(dst) >= 4 && len(src) >= 4 {
		binary.LittleEndian.PutUint32(dst, f.value(binary.LittleEndian.Uint32(src)))
		dst, src = dst[4:], src[4:]
	}
}
