// Package fat writes a FAT16 file system with given files, as small as they allow, with the same bytes each time ([Make]), and
// reads any FAT file system ([Open]).
//
// The format is that of Microsoft's "FAT: General Overview of On-Disk Format" 1.03 (fatgen103), which UEFI 2.10 section
// 13.3 refers to; names that are not of the form 8.3 get long ones (VFAT). Every file lies in one piece.
package fat

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf16"
)

// File is a regular file. Its folders are made.
type File struct {
	// Path is relative, clean, with slashes.
	Path string
	Data []byte
}

// Options of a file system.
type Options struct {
	// Label is up to eleven characters, ID the volume's serial number.
	Label string
	ID    uint32
	// Time is that of all files; FAT knows two-second steps from 1980 on.
	Time time.Time
	// Free is how many bytes shall be left for a person's files.
	Free int64
	// Hidden is how many sectors are before the file system on the disk, for a BIOS that looks.
	Hidden uint32
}

const (
	sector = 512
	// A file system is FAT16 if, and only if, it has so many clusters (fatgen103, "FAT Type Determination").
	leastClusters, mostClusters = 4085, 65524
	reserved                    = 1 // the boot sector
	copies                      = 2 // of the FAT
	rootEntries                 = 512
	rootSectors                 = rootEntries * entrySize / sector
	entrySize                   = 32
	media                       = 0xf8 // a fixed disk
	endOfChain                  = 0xffff

	attrVolume, attrFolder, attrArchive, attrLong = 0x08, 0x10, 0x20, 0x0f
)

var order = binary.LittleEndian

// node is a file or folder.
type node struct {
	name     string
	data     []byte
	children []*node // of a folder
	folder   bool
	first    int // its first cluster, 0 if empty
	clusters int
}

// Make returns the file system's bytes.
func Make(files []File, o Options) ([]byte, error) {
	root := &node{folder: true}
	for _, f := range files {
		if err := root.put(f); err != nil {
			return nil, fmt.Errorf("make a FAT file system: %w", err)
		}
	}
	if n := root.entries() + 1; n > rootEntries {
		return nil, fmt.Errorf("make a FAT file system: %d entries in the top folder, %d fit", n, rootEntries)
	}
	w := &writer{Options: o}
	if err := w.plan(root); err != nil {
		return nil, fmt.Errorf("make a FAT file system: %w", err)
	}
	w.boot()
	w.folder(root, nil, w.bytes(w.root(), rootSectors*sector))
	for i := range copies {
		w.table(w.bytes(reserved+i*w.fatSectors, w.fatSectors*sector))
	}
	return w.out, nil
}

// put adds a file and the folders on its way.
func (n *node) put(f File) error {
	if f.Path != path.Clean(f.Path) || path.IsAbs(f.Path) || f.Path == "." || strings.HasPrefix(f.Path, "..") {
		return fmt.Errorf("path %q is not clean and relative", f.Path)
	}
	parts := strings.Split(f.Path, "/")
	for i, name := range parts {
		if len(name) > 255 || strings.ContainsAny(name, "\\:*?\"<>|") || strings.HasSuffix(name, ".") || strings.HasSuffix(name, " ") ||
			strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' }) {
			return fmt.Errorf("name %q can't be one in FAT", name)
		}
		last := i == len(parts)-1
		at := slices.IndexFunc(n.children, func(c *node) bool { return strings.EqualFold(c.name, name) })
		if at >= 0 && (last || !n.children[at].folder) {
			return fmt.Errorf("%q is there twice", f.Path)
		}
		if at < 0 {
			n.children = append(n.children, &node{name: name, folder: !last})
			at = len(n.children) - 1
		}
		n = n.children[at]
	}
	n.data = f.Data
	return nil
}

// entries is how many directory entries the folder's children take.
func (n *node) entries() (count int) {
	for _, c := range n.children {
		count += 1 + longEntries(c.name)
	}
	return count
}

// size is what the node's own data takes, in bytes; a folder has . and .. as well.
func (n *node) size() int {
	if n.folder {
		return (n.entries() + 2) * entrySize
	}
	return len(n.data)
}

// writer lays a file system out.
type writer struct {
	Options
	out         []byte
	perCluster  int // sectors
	fatSectors  int
	clusters    int
	fat         []uint16
	dataSectors int
}

func (w *writer) root() int { return reserved + copies*w.fatSectors }

func (w *writer) bytes(sectorAt, n int) []byte { return w.out[sectorAt*sector:][:n] }

func (w *writer) cluster(c int) []byte {
	return w.out[(w.root()+rootSectors+(c-2)*w.perCluster)*sector:]
}

// plan chooses the cluster size, gives every node its clusters, and fills in the files.
func (w *writer) plan(root *node) error {
	for w.perCluster = 1; ; w.perCluster *= 2 {
		size := w.perCluster * sector
		need := int((w.Free + int64(size) - 1) / int64(size))
		walk(root, func(n *node) {
			n.clusters = (n.size() + size - 1) / size
			need += n.clusters
		})
		need -= root.clusters // which has a place of its own
		if w.clusters = max(need, leastClusters); w.clusters <= mostClusters {
			break
		}
		if w.perCluster == 64 {
			return errors.New("it would be larger than 2 GiB")
		}
	}
	w.fatSectors = ((w.clusters+2)*2 + sector - 1) / sector
	w.dataSectors = w.clusters * w.perCluster
	w.out = make([]byte, (w.root()+rootSectors+w.dataSectors)*sector)
	w.fat = []uint16{0xff00 | media, endOfChain}
	root.clusters = 0
	walk(root, w.place)
	walk(root, func(n *node) {
		for _, c := range n.children {
			if c.folder {
				w.folder(c, n, w.cluster(c.first)[:c.clusters*w.perCluster*sector])
			} else if c.first > 0 {
				copy(w.cluster(c.first), c.data)
			}
		}
	})
	return nil
}

// place gives a node its clusters, one behind the other.
func (w *writer) place(n *node) {
	if n.clusters == 0 {
		return
	}
	n.first = len(w.fat)
	for range n.clusters - 1 {
		w.fat = append(w.fat, uint16(len(w.fat)+1))
	}
	w.fat = append(w.fat, endOfChain)
}

func walk(n *node, visit func(*node)) {
	visit(n)
	for _, c := range n.children {
		walk(c, visit)
	}
}

func (w *writer) table(to []byte) {
	for i, next := range w.fat {
		order.PutUint16(to[2*i:], next)
	}
}

// boot writes the boot sector (fatgen103, "Boot Sector and BPB Structure"). Its program says that this is no disk to start
// from: what starts from it reads the partition table.
func (w *writer) boot() {
	b := w.bytes(0, sector)
	copy(b, "\xeb\x3c\x90BOOTTORR")
	order.PutUint16(b[11:], sector)
	b[13] = byte(w.perCluster)
	order.PutUint16(b[14:], reserved)
	b[16] = copies
	order.PutUint16(b[17:], rootEntries)
	total := len(w.out) / sector
	if total < 1<<16 {
		order.PutUint16(b[19:], uint16(total))
	} else {
		order.PutUint32(b[32:], uint32(total))
	}
	b[21] = media
	order.PutUint16(b[22:], uint16(w.fatSectors))
	order.PutUint16(b[24:], 63)  // sectors a track and
	order.PutUint16(b[26:], 255) // heads, as BIOSes pretend
	order.PutUint32(b[28:], w.Hidden)
	b[36], b[38] = 0x80, 0x29 // drive number, extended boot signature
	order.PutUint32(b[39:], w.ID)
	copy(b[43:54], label(w.Label))
	copy(b[54:62], "FAT16   ")
	copy(b[62:], "\xf4\xeb\xfd") // hlt; jump back to it
	b[510], b[511] = 0x55, 0xaa
}

func label(text string) string {
	if text == "" {
		text = "NO NAME"
	}
	return fmt.Sprintf("%-11.11s", strings.ToUpper(text))
}

// folder writes a folder's entries. The top folder, whose parent is nil, begins with the volume's label.
func (w *writer) folder(n, parent *node, to []byte) {
	d := &directory{to: to, date: date(w.Time), clock: clock(w.Time), short: map[string]bool{}}
	if parent == nil {
		d.add(label(w.Label), attrVolume, 0, 0)
	} else {
		d.add(fmt.Sprintf("%-11s", "."), attrFolder, n.first, 0)
		d.add(fmt.Sprintf("%-11s", ".."), attrFolder, parent.first, 0) // 0 is the top folder
	}
	for _, c := range n.children {
		if plain(c.name) {
			d.short[eleven(c.name)] = true // before others are shortened to the same
		}
	}
	for _, c := range n.children {
		attr := byte(attrArchive)
		if c.folder {
			attr = attrFolder
		}
		d.named(c.name, attr, c.first, len(c.data))
	}
}

// directory is the place of a folder's entries.
type directory struct {
	to          []byte
	date, clock uint16
	short       map[string]bool
}

// add writes an 8.3 entry (fatgen103, "FAT Directory Structure").
func (d *directory) add(name string, attr byte, first, size int) {
	e := d.to[:entrySize]
	d.to = d.to[entrySize:]
	copy(e, name)
	e[11] = attr
	for _, at := range []int{14, 22} { // made, and written
		order.PutUint16(e[at:], d.clock)
		order.PutUint16(e[at+2:], d.date)
	}
	order.PutUint16(e[18:], d.date) // read
	order.PutUint16(e[26:], uint16(first))
	order.PutUint32(e[28:], uint32(size))
}

// named writes a node's entries, those of its long name first.
func (d *directory) named(name string, attr byte, first, size int) {
	short := d.shorten(name)
	d.long(name, short)
	d.add(short, attr, first, size)
}

func date(t time.Time) uint16 {
	if t.Year() < 1980 || t.Year() > 2107 {
		return 1<<5 | 1 // the first of January 1980
	}
	return uint16(t.Year()-1980)<<9 | uint16(t.Month())<<5 | uint16(t.Day())
}

func clock(t time.Time) uint16 {
	if t.Year() < 1980 || t.Year() > 2107 {
		return 0
	}
	return uint16(t.Hour())<<11 | uint16(t.Minute())<<5 | uint16(t.Second()/2)
}

// plain is whether a name is of the form 8.3 already.
func plain(name string) bool {
	base, extension, _ := strings.Cut(name, ".")
	return name == strings.ToUpper(name) && len(base) >= 1 && len(base) <= 8 && len(extension) <= 3 &&
		!strings.Contains(extension, ".") && !strings.ContainsAny(name, " +,;=[]")
}

// eleven is a plain name as it stands in an entry.
func eleven(name string) string {
	base, extension, _ := strings.Cut(name, ".")
	return fmt.Sprintf("%-8s%-3s", base, extension)
}

// shorten returns the name as eleven characters; of one that is not plain the beginning with a number, unlike all others
// in the folder.
func (d *directory) shorten(name string) string {
	if plain(name) {
		return eleven(name)
	}
	base, extension := name, ""
	if i := strings.LastIndex(name, "."); i > 0 {
		base, extension = name[:i], name[i+1:]
	}
	for n := 1; ; n++ {
		tail := fmt.Sprintf("~%d", n)
		short := fmt.Sprintf("%-8s%-3.3s", fmt.Sprintf("%.*s", 8-len(tail), letters(base))+tail, letters(extension))
		if !d.short[short] {
			d.short[short] = true
			return short
		}
	}
}

func letters(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '.' || r == ' ':
			return -1
		case strings.ContainsRune("+,;=[]", r):
			return '_'
		}
		return r
	}, strings.ToUpper(s))
}

// Long names: thirteen characters an entry, the last entry first (fatgen103, "FAT Long Directory Entries").
const longChars = 13

func longEntries(name string) int {
	if plain(name) {
		return 0
	}
	return (len(name) + longChars - 1) / longChars
}

func (d *directory) long(name, short string) {
	sum := byte(0)
	for i := range 11 {
		sum = sum>>1 | sum<<7
		sum += short[i]
	}
	text := utf16.Encode([]rune(name))
	for n := longEntries(name); n > 0; n-- {
		e := d.to[:entrySize]
		d.to = d.to[entrySize:]
		e[0], e[11], e[13] = byte(n), attrLong, sum
		if n == longEntries(name) {
			e[0] |= 0x40
		}
		for i := range longChars {
			c := uint16(0xffff)
			switch at := (n-1)*longChars + i; {
			case at < len(text):
				c = text[at]
			case at == len(text):
				c = 0
			}
			order.PutUint16(e[longAt[i]:], c)
		}
	}
}

// longAt is where the characters are in an entry.
var longAt = [longChars]int{1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30}
