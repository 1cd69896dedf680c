package siblings

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Header is the header of a mirror's requests for the catalog, by which the seeder that it follows comes to know it. Its value is a [Hello]
// as text.
const Header = "Boottorrent-Mirror"

// maxHello is the most bytes of a Hello as text.
const maxHello = 200

// Hello is what a mirror says of itself. It has no address: a mirror is reached at the one that its requests come from.
type Hello struct {
	// HTTP and Torrent are its ports.
	HTTP, Torrent uint16
	// Counter is that of the catalog that it serves; 0: it serves none yet.
	Counter uint64
	// Size is what it means to have of systems' files, and Done what it has of that, in bytes.
	Size, Done int64
}

// String is a Hello as it is sent: "http=8080; torrent=6881; counter=7; size=100; done=50".
func (h Hello) String() string {
	return fmt.Sprintf("http=%d; torrent=%d; counter=%d; size=%d; done=%d", h.HTTP, h.Torrent, h.Counter, h.Size, h.Done)
}

// ParseHello reads a Hello. Words that it doesn't know are those of later releases.
func ParseHello(text string) (h Hello, err error) {
	if len(text) > maxHello {
		return h, fmt.Errorf("what a mirror says of itself has %d bytes, at most %d are read", len(text), maxHello)
	}
	for word := range strings.SplitSeq(text, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(word), "=")
		var n uint64
		switch name {
		case "http":
			n, err = strconv.ParseUint(value, 10, 16)
			h.HTTP = uint16(n)
		case "torrent":
			n, err = strconv.ParseUint(value, 10, 16)
			h.Torrent = uint16(n)
		case "counter":
			h.Counter, err = strconv.ParseUint(value, 10, 53)
		case "size":
			h.Size, err = parseBytes(value)
		case "done":
			h.Done, err = parseBytes(value)
		}
		if err != nil {
			return Hello{}, fmt.Errorf("what a mirror says of itself: %s: %w", name, err)
		}
	}
	if h.HTTP == 0 || h.Torrent == 0 {
		return Hello{}, fmt.Errorf("a mirror that is reached at no port: %q", text)
	}
	return h, nil
}

// parseBytes reads a number of bytes that some can be added to.
func parseBytes(value string) (int64, error) {
	n, err := strconv.ParseUint(value, 10, 63)
	return int64(min(n, math.MaxInt64>>10)), err
}
