// Package iso9660 reads the file system of CD images: ECMA-119 with the names and links of Rock Ridge (IEEE P1282), else with those of
// Joliet, and files of several extents, as those above 4 GiB have. In goes an image, out comes an [fs.FS]. Everything in the image is
// foreign: what points out of it is an error, and what costs memory or time has a limit.
//
// Of the libraries for Go, diskfs/go-diskfs v1.9.4 and kdomanski/iso9660 v0.4.0 know no file of several extents, and the first
// returns zeros for what is missing of an image that is cut off.
package iso9660

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode/utf16"
)

// sector is the size of a logical sector, and with all images that there are, of a block (ECMA-119, 6.1.2 and 6.2.2).
const sector = 2048

// Limits of what is read of a foreign image.
const (
	maxDescriptors = 64
	maxDirectory   = 16 << 20 // bytes of one directory
	maxDepth       = 64       // folders in a path
	maxLinks       = 40       // as the kernel follows
	maxName        = 4096     // bytes of a name or of a link's target
	maxExtents     = 4096     // of a file: some 16 TiB
)

// FS is the file system of an image.
type FS struct {
	r    io.ReaderAt
	size int64
	root *node
	// joliet says that names are UCS-2; skip is how many bytes stand before the fields of Rock Ridge (SUSP 5.3).
	joliet, rockRidge bool
	skip              int
	// Label is the volume's name, and Size its size in bytes; the image may have more behind it, such as a partition table.
	Label string
	Size  int64
}

// Is reports whether something that begins with head is an image; head has at least 34 KiB.
func Is(head []byte) bool {
	return len(head) >= 17*sector && string(head[16*sector+1:16*sector+6]) == "CD001"
}

// New reads the descriptors of an image of so many bytes.
func New(r io.ReaderAt, size int64) (*FS, error) {
	f := &FS{r: r, size: size}
	var primary, joliet []byte
	for i := range maxDescriptors {
		d := make([]byte, sector)
		if err := f.read(d, int64(16+i)*sector); err != nil {
			return nil, fmt.Errorf("read the volume descriptors: %w", err)
		}
		if string(d[1:6]) != "CD001" {
			return nil, errors.New("it is no ISO 9660 image: a volume descriptor is missing")
		}
		switch kind := d[0]; {
		case kind == 1 && primary == nil:
			primary = d
		case kind == 2 && isJoliet(d[88:120]):
			joliet = d
		}
		if d[0] == 255 {
			break
		}
	}
	if primary == nil {
		return nil, errors.New("it has no primary volume descriptor")
	}
	if n := binary.LittleEndian.Uint16(primary[128:]); n != sector {
		return nil, fmt.Errorf("it has blocks of %d bytes, not %d", n, sector)
	}
	f.Label = strings.TrimRight(string(primary[40:72]), " \x00")
	f.Size = int64(binary.LittleEndian.Uint32(primary[80:])) * sector
	if err := f.open(primary, joliet); err != nil {
		return nil, err
	}
	return f, nil
}

// isJoliet looks at the escape sequences of a supplementary descriptor: UCS-2 of level 1, 2 or 3.
func isJoliet(escape []byte) bool {
	for _, level := range []string{"%/@", "%/C", "%/E"} {
		if bytes.HasPrefix(escape, []byte(level)) {
			return true
		}
	}
	return false
}

// open finds the root folder, and whose names there are.
func (f *FS) open(primary, joliet []byte) error {
	root, err := f.record(primary[156:190])
	if err != nil {
		return fmt.Errorf("the root folder: %w", err)
	}
	f.root = &root.node
	self, err := f.firstRecord(f.root)
	if err != nil {
		return fmt.Errorf("the root folder: %w", err)
	}
	if area := systemUse(self); len(area) >= 7 && string(area[:2]) == "SP" && area[4] == 0xbe && area[5] == 0xef {
		f.rockRidge, f.skip = true, int(area[6])
		return nil
	}
	if joliet == nil {
		return nil
	}
	if root, err = f.record(joliet[156:190]); err != nil {
		return fmt.Errorf("the root folder: %w", err)
	}
	f.root, f.joliet = &root.node, true
	return nil
}

// read fills p from an offset, or says that the image ends before.
func (f *FS) read(p []byte, at int64) error {
	if at < 0 || at > f.size-int64(len(p)) {
		return fmt.Errorf("the image is cut off: it has %d bytes, and needs %d", f.size, at+int64(len(p)))
	}
	if n, err := f.r.ReadAt(p, at); n < len(p) {
		return fmt.Errorf("read %d bytes at %d: %w", len(p), at, err)
	}
	return nil
}

// extent is a part of a file; both numbers are bytes.
type extent struct{ at, size int64 }

// node is a file, folder or link.
type node struct {
	extents []extent
	size    int64
	dir     bool
	// link is the target of a symbolic link.
	link string
}

// entry is a node with its name.
type entry struct {
	name string
	node
	// more says that the next record goes on with this file (ECMA-119, 9.1.6).
	more bool
}

// flags of a directory record (ECMA-119, 9.1.6).
const (
	flagDir  = 1 << 1
	flagMore = 1 << 7
)

// record reads a directory record without its name.
func (f *FS) record(b []byte) (entry, error) {
	if len(b) < 34 || int(b[0]) < 34 || int(b[0]) > len(b) {
		return entry{}, errors.New("a directory record is damaged")
	}
	at, size := int64(binary.LittleEndian.Uint32(b[2:])), int64(binary.LittleEndian.Uint32(b[10:]))
	at = (at + int64(b[1])) * sector // behind its extended attributes
	return entry{
		node: node{extents: []extent{{at, size}}, size: size, dir: b[25]&flagDir != 0},
		more: b[25]&flagMore != 0,
	}, nil
}

// identifier is the name in a record as it is stored.
func identifier(b []byte) ([]byte, error) {
	n := int(b[32])
	if 33+n > int(b[0]) {
		return nil, errors.New("a directory record is damaged")
	}
	return b[33 : 33+n], nil
}

// systemUse is what stands behind the name in a record.
func systemUse(b []byte) []byte {
	at := 33 + int(b[32])
	at += 1 - int(b[32])%2 // padded to an even length
	if at > int(b[0]) {
		return nil
	}
	return b[at:int(b[0])]
}

// firstRecord is the first record of a folder: the folder itself.
func (f *FS) firstRecord(dir *node) ([]byte, error) {
	b := make([]byte, min(dir.size, 255))
	if len(b) < 34 {
		return nil, errors.New("it is empty")
	}
	if err := f.read(b, dir.extents[0].at); err != nil {
		return nil, err
	}
	if int(b[0]) < 34 || int(b[0]) > len(b) {
		return nil, errors.New("a directory record is damaged")
	}
	return b[:b[0]], nil
}

// list reads a folder.
func (f *FS) list(dir *node) ([]entry, error) {
	if dir.size > maxDirectory {
		return nil, fmt.Errorf("a folder of %d bytes", dir.size)
	}
	b := make([]byte, dir.size)
	at := int64(0)
	for _, e := range dir.extents {
		if err := f.read(b[at:at+e.size], e.at); err != nil {
			return nil, err
		}
		at += e.size
	}
	var entries []entry
	for pos := 0; pos < len(b); {
		n := int(b[pos])
		if n == 0 { // records don't cross sectors
			pos = (pos/sector + 1) * sector
			continue
		}
		if pos+n > len(b) {
			return nil, errors.New("a directory record is damaged")
		}
		e, err := f.entry(b[pos : pos+n])
		if err != nil {
			return nil, err
		}
		pos += n
		if e.name == "." || e.name == ".." || e.name == "" {
			continue
		}
		if last := len(entries) - 1; last >= 0 && entries[last].more && entries[last].name == e.name {
			if len(entries[last].extents) >= maxExtents {
				return nil, fmt.Errorf("%s has too many extents", e.name)
			}
			entries[last].extents = append(entries[last].extents, e.extents...)
			entries[last].size += e.size
			entries[last].more = e.more
			continue
		}
		entries = append(entries, e)
	}
	return slices.DeleteFunc(entries, func(e entry) bool { return strings.Contains(e.name, "/") || strings.ContainsRune(e.name, 0) }), nil
}

// entry reads a record with its name.
func (f *FS) entry(b []byte) (entry, error) {
	e, err := f.record(b)
	if err != nil {
		return e, err
	}
	id, err := identifier(b)
	switch {
	case err != nil:
		return e, err
	case len(id) == 1 && id[0] <= 1:
		e.name = [...]string{".", ".."}[id[0]]
		return e, nil
	case f.joliet:
		e.name = ucs2(id)
	default:
		e.name = strings.ToLower(string(id))
	}
	e.name, _, _ = strings.Cut(e.name, ";") // the version
	if !f.joliet {
		e.name = strings.TrimSuffix(e.name, ".") // an empty ending
	}
	if f.rockRidge {
		area := systemUse(b)
		if err := f.rock(&e, area[min(f.skip, len(area)):]); err != nil {
			return e, fmt.Errorf("%s: %w", e.name, err)
		}
	}
	return e, nil
}

func ucs2(b []byte) string {
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = binary.BigEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(u))
}

// lookup finds a node by a clean path; of a link the link itself, unless follow.
func (f *FS) lookup(name string, follow bool) (*node, error) {
	at, rest, links := []*node{f.root}, strings.Split(name, "/"), 0
	for len(rest) > 0 {
		part := rest[0]
		rest = rest[1:]
		dir := at[len(at)-1]
		switch {
		case part == "." || part == "":
			continue
		case part == "..":
			if len(at) > 1 { // the root's is the root
				at = at[:len(at)-1]
			}
			continue
		case !dir.dir:
			return nil, fs.ErrNotExist
		case len(at) > maxDepth:
			return nil, errors.New("too many folders in one another")
		}
		found, err := f.child(dir, part)
		if err != nil {
			return nil, err
		}
		if found.link == "" || len(rest) == 0 && !follow {
			at = append(at, found)
			continue
		}
		if links++; links > maxLinks {
			return nil, errors.New("too many links")
		}
		if path.IsAbs(found.link) {
			at = at[:1]
		}
		rest = append(strings.Split(found.link, "/"), rest...)
	}
	return at[len(at)-1], nil
}

// child finds what has a name in a folder. Images without Rock Ridge and Joliet have no lower case, so that there it does not count.
func (f *FS) child(dir *node, name string) (*node, error) {
	entries, err := f.list(dir)
	if err != nil {
		return nil, err
	}
	if !f.rockRidge && !f.joliet {
		name = strings.ToLower(name)
	}
	for i := range entries {
		if entries[i].name == name {
			return &entries[i].node, nil
		}
	}
	return nil, fs.ErrNotExist
}
