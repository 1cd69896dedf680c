package fat

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"unicode/utf16"
)

// Volume is a file system to be read: FAT12, FAT16 or FAT32, whoever wrote it.
type Volume struct {
	// ID is the volume's serial number.
	ID uint32

	at                io.ReaderAt
	cluster           int64  // size in bytes
	fat, root, data   int64  // where they begin, in bytes
	rootSize          int64  // in bytes; 0 where the root is a chain of clusters
	rootCluster, last uint32 // last is the highest cluster
	bits              int    // of an entry of the FAT
}

// maxFolder is what a folder's entries may take, in bytes (fatgen103: 65,536 entries).
const maxFolder = 65536 * entrySize

// ErrFormat says that there is no FAT file system.
var ErrFormat = errors.New("no FAT file system")

// Open reads the boot sector at the beginning of r. What is none gives an error that wraps ErrFormat.
func Open(r io.ReaderAt) (*Volume, error) {
	b := make([]byte, sector)
	if _, err := r.ReadAt(b, 0); err != nil {
		return nil, fmt.Errorf("read a boot sector: %w", err)
	}
	size, perCluster := int64(order.Uint16(b[11:])), int64(b[13])
	if b[510] != 0x55 || b[511] != 0xaa || size < sector || size > 4096 || size&(size-1) != 0 || perCluster == 0 || perCluster&(perCluster-1) != 0 {
		return nil, ErrFormat
	}
	reservedSectors, tables, entries := int64(order.Uint16(b[14:])), int64(b[16]), int64(order.Uint16(b[17:]))
	fatSectors, total := int64(order.Uint16(b[22:])), int64(order.Uint16(b[19:]))
	id := b[39:]
	if total == 0 {
		total = int64(order.Uint32(b[32:]))
	}
	v := &Volume{at: r, cluster: perCluster * size, bits: 16}
	if fatSectors == 0 {
		fatSectors, v.rootCluster, v.bits, id = int64(order.Uint32(b[36:])), order.Uint32(b[44:]), 32, b[67:]
	}
	v.ID = order.Uint32(id)
	v.rootSize = entries * entrySize
	v.fat = reservedSectors * size
	v.root = v.fat + tables*fatSectors*size
	v.data = v.root + (v.rootSize+size-1)/size*size
	clusters := (total*size - v.data) / v.cluster
	if reservedSectors == 0 || tables == 0 || fatSectors == 0 || clusters < 1 || clusters > 0x0ffffff5 || (v.bits == 16 && v.rootSize == 0) {
		return nil, ErrFormat
	}
	if v.bits == 16 && clusters < leastClusters {
		v.bits = 12
	}
	v.last = uint32(clusters) + 1
	return v, nil
}

// next is the cluster behind another; 0 is none.
func (v *Volume) next(c uint32) (uint32, error) {
	b := make([]byte, 4)
	at := v.fat + int64(c)*int64(v.bits)/8
	if _, err := v.at.ReadAt(b[:max(2, v.bits/8)], at); err != nil {
		return 0, err
	}
	n := order.Uint32(b)
	switch v.bits {
	case 12:
		n = n >> (c & 1 * 4) & 0xfff
	case 16:
		n &= 0xffff
	default:
		n &= 0x0fffffff
	}
	if n >= 1<<min(v.bits, 28)-8 { // the end
		return 0, nil
	}
	return n, v.check(n)
}

func (v *Volume) check(c uint32) error {
	if c < 2 || c > v.last {
		return fmt.Errorf("damaged FAT file system: cluster %d, there are 2 to %d", c, v.last)
	}
	return nil
}

// chain reads up to size bytes of the clusters from the first on.
func (v *Volume) chain(first uint32, size int64) ([]byte, error) {
	if size == 0 || first == 0 {
		return nil, nil
	}
	if err := v.check(first); err != nil {
		return nil, err
	}
	var out []byte
	for c := first; c != 0 && int64(len(out)) < size; {
		part := make([]byte, min(v.cluster, size-int64(len(out))))
		if _, err := v.at.ReadAt(part, v.data+int64(c-2)*v.cluster); err != nil {
			return nil, err
		}
		out = append(out, part...)
		var err error
		if c, err = v.next(c); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// entry is a file or folder found.
type entry struct {
	folder bool
	first  uint32
	size   int64
}

// ReadFile reads a file of up to limit bytes; a longer one is an error. Letters' case counts for nothing in its path. The error
// wraps fs.ErrNotExist if there is no such file.
func (v *Volume) ReadFile(path string, limit int64) ([]byte, error) {
	e, err := v.entry(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if e.folder || e.size > limit {
		return nil, fmt.Errorf("read %s: it is a folder, or longer than %d bytes", path, limit)
	}
	content, err := v.chain(e.first, e.size)
	if err == nil && int64(len(content)) < e.size {
		err = fmt.Errorf("damaged FAT file system: the file has %d of %d bytes", len(content), e.size)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return content, nil
}

// Offset is where in the file system byte at of a file is, for who overwrites the file in place. Up to the next multiple of 512 bytes, or
// the file's end, what follows it in the file follows it there. The error wraps fs.ErrNotExist if there is no such file, or it has no such byte.
func (v *Volume) Offset(path string, at int64) (int64, error) {
	e, err := v.entry(path)
	if err == nil && (e.folder || at < 0 || at >= e.size) {
		err = fs.ErrNotExist
	}
	if err == nil {
		err = v.check(e.first)
	}
	c := e.first
	for range at / v.cluster {
		if err == nil {
			c, err = v.next(c)
		}
		if err == nil {
			err = v.check(c)
		}
	}
	if err != nil {
		return 0, fmt.Errorf("find %s: %w", path, err)
	}
	return v.data + int64(c-2)*v.cluster + at%v.cluster, nil
}

// entry finds a file or folder.
func (v *Volume) entry(path string) (entry, error) {
	e := entry{folder: true, first: v.rootCluster}
	for i, name := range strings.Split(path, "/") {
		if !e.folder {
			return e, fs.ErrNotExist
		}
		content, err := v.folder(e, i == 0)
		if err != nil {
			return e, err
		}
		found, ok := find(content, name)
		if !ok {
			return e, fs.ErrNotExist
		}
		e = found
	}
	return e, nil
}

// folder reads a folder's entries.
func (v *Volume) folder(e entry, top bool) ([]byte, error) {
	if !top || v.rootSize == 0 {
		return v.chain(e.first, maxFolder)
	}
	b := make([]byte, v.rootSize)
	_, err := v.at.ReadAt(b, v.root)
	return b, err
}

// find looks for a name, long or short, among a folder's entries.
func find(entries []byte, name string) (entry, bool) {
	var long []uint16 // of the short entry that follows
	for ; len(entries) >= entrySize && entries[0] != 0; entries = entries[entrySize:] {
		e := entries[:entrySize]
		switch {
		case e[0] == 0xe5: // removed
			long = nil
		case e[11]&0x3f == attrLong:
			if e[0]&0x40 != 0 {
				long = nil
			}
			part := make([]uint16, longChars)
			for i, at := range longAt {
				part[i] = order.Uint16(e[at:])
			}
			long = append(part, long...)
		case e[11]&attrVolume != 0:
			long = nil
		default:
			if strings.EqualFold(longName(long), name) || strings.EqualFold(shortName(e), name) {
				first := uint32(order.Uint16(e[20:]))<<16 | uint32(order.Uint16(e[26:]))
				return entry{folder: e[11]&attrFolder != 0, first: first, size: int64(order.Uint32(e[28:]))}, true
			}
			long = nil
		}
	}
	return entry{}, false
}

func longName(units []uint16) string {
	for i, c := range units {
		if c == 0 {
			units = units[:i]
			break
		}
	}
	return string(utf16.Decode(units))
}

func shortName(e []byte) string {
	base, extension := strings.TrimRight(string(e[:8]), " "), strings.TrimRight(string(e[8:11]), " ")
	if extension == "" {
		return base
	}
	return base + "." + extension
}
