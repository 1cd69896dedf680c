package swarm

import (
	"bytes"
	"crypto/sha1"
	"hash"
)

// Images of disks are sparse: most of what they have is zeros that nobody ever wrote. A piece of zeros is known by its hash,
// so nobody asks for it, nothing is written for it, and it takes no memory on a node. Who asks for it gets it all the same:
// other clients know nothing of this.

// zeroPieces tells which pieces of a torrent consist of zeros.
type zeroPieces struct {
	pieces []byte
	// whole and last are the SHA-1 sums of such pieces: of the full length, and of the length of the last one.
	whole, last [sha1.Size]byte
	// lengths are those pieces', in bytes.
	wholeLength, lastLength int64
}

func newZeroPieces(pieces []byte, pieceLength, size int64) zeroPieces {
	z := zeroPieces{pieces: pieces, wholeLength: pieceLength, lastLength: (size-1)%pieceLength + 1}
	z.whole = [sha1.Size]byte(zeroSum(sha1.New(), z.wholeLength))
	z.last = [sha1.Size]byte(zeroSum(sha1.New(), z.lastLength))
	return z
}

// zeroSum is the hash of so many zeros.
func zeroSum(h hash.Hash, n int64) []byte {
	zeros := make([]byte, min(n, 64<<10))
	for ; n > 0; n -= int64(len(zeros)) {
		zeros = zeros[:min(n, int64(len(zeros)))]
		_, _ = h.Write(zeros) // never fails
	}
	return h.Sum(nil)
}

// has reports whether piece i consists of zeros.
func (z *zeroPieces) has(i int) bool {
	sum := z.pieces[i*sha1.Size : (i+1)*sha1.Size]
	if i == len(z.pieces)/sha1.Size-1 {
		return bytes.Equal(sum, z.last[:])
	}
	return bytes.Equal(sum, z.whole[:])
}

// bytes is the sum of those pieces' lengths.
func (z *zeroPieces) bytes() (sum int64) {
	for i := range len(z.pieces) / sha1.Size {
		switch {
		case !z.has(i):
		case i == len(z.pieces)/sha1.Size-1:
			sum += z.lastLength
		default:
			sum += z.wholeLength
		}
	}
	return sum
}

// Zeros is how many of the size bytes of a torrent are in pieces that consist of zeros, which are not transferred. pieces are
// the SHA-1 sums of its pieces.
func Zeros(pieces []byte, pieceLength, size int64) int64 {
	z := newZeroPieces(pieces, pieceLength, size)
	return z.bytes()
}

// zeroBlock is what others are compared with.
var zeroBlock [16 << 10]byte

// isZero reports whether b consists of zeros.
func isZero(b []byte) bool {
	for len(b) > 0 {
		n := min(len(b), len(zeroBlock))
		if !bytes.Equal(b[:n], zeroBlock[:n]) {
			return false
		}
		b = b[n:]
	}
	return true
}
