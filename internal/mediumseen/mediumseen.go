// Package mediumseen is the form of boottorrent.seen: the file in which a stick keeps the highest counter of a catalog
// (catalog.Catalog.Counter) that a node took which was started from it.
//
// mkimage puts the file on the stick, with nothing seen; nodes overwrite it in place, so that the file system around it is never
// changed. There are two copies of a record, a sector each and far enough apart that no disk writes both at once. A node writes over
// the older one, so that a power cut leaves the other whole.
package mediumseen

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
)

const (
	// Name is that of the file, in the top folder.
	Name = "boottorrent.seen"
	// Size is that of the file in bytes, Sector that of a record.
	Size, Sector = 16 << 10, 512
)

// At is where the two records begin. Disks have blocks of up to 4 KiB.
var At = [2]int64{0, Size / 2}

// Record is what a stick has seen.
type Record struct {
	// Key is the ID of the public key of the site whose catalogs these were; with another key nothing was seen.
	Key     uint64
	Counter uint64
}

// mark is what every record begins with, form what follows.
const (
	mark = "BootTorrent: the newest catalog that machines took which were started from this stick. They write this themselves."
	form = " key %016X counter %d "
	sum  = "sum %08x"
)

// ErrDamaged says that there is no whole record. A node that finds one writes over it.
var ErrDamaged = errors.New("damaged")

// Encode returns the record as a sector: a line of text, filled up with spaces.
func (r Record) Encode() []byte {
	text := fmt.Appendf(nil, mark+form, r.Key, r.Counter)
	text = fmt.Appendf(text, sum, crc32.ChecksumIEEE(text))
	return append(append(text, bytes.Repeat([]byte(" "), Sector-1-len(text))...), '\n')
}

// IsRecord reports whether a sector was written as a record, whole or not.
func IsRecord(sector []byte) bool { return bytes.HasPrefix(sector, []byte(mark)) }

// Decode reads a sector. The error wraps ErrDamaged.
func Decode(sector []byte) (Record, error) {
	words := strings.Fields(strings.TrimPrefix(string(sector), mark))
	if !IsRecord(sector) || len(words) != 6 {
		return Record{}, ErrDamaged
	}
	key, err := strconv.ParseUint(words[1], 16, 64)
	counter, err2 := strconv.ParseUint(words[3], 10, 64)
	r := Record{key, counter}
	if err != nil || err2 != nil || !bytes.Equal(sector, r.Encode()) {
		return Record{}, ErrDamaged
	}
	return r, nil
}

// Blank is the file of a new stick.
func Blank() []byte {
	b := bytes.Repeat([]byte(" "), Size)
	for _, at := range At {
		copy(b[at:], Record{}.Encode())
	}
	b[Size-1] = '\n'
	return b
}
