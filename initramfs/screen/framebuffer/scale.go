package framebuffer

import "encoding/binary"

// Scaling down is by area average: a pixel of the screen is the mean of the part of the picture that it covers, which
// leaves text readable longer than picking single pixels does. It goes in two passes, rows first. The three colours go
// through both in one number, 21 bits each: 8 of the colour, 7 and 6 of the weights.
const (
	rowBits    = 7
	columnBits = 6
	half       = 1 << (rowBits + columnBits - 1)
	rounding   = half<<42 | half<<21 | half
)

// span is what one pixel of the screen covers of a row or column of the picture: from is the first pixel, weights are the
// shares, whose sum is a power of two.
type span struct {
	from    int
	weights []uint8
}

// scaler scales a picture down. It is made for one Fit.
type scaler struct {
	fit           Fit
	columns, rows []span
	sums          []uint64 // a row of the picture, weighed
	line          []byte   // a row of the screen
}

func newScaler(f Fit) *scaler {
	return &scaler{
		fit: f, columns: spans(f.SrcW, f.W, columnBits), rows: spans(f.SrcH, f.H, rowBits),
		sums: make([]uint64, f.SrcW), line: make([]byte, f.W*4),
	}
}

// spans divides a length of src into dst parts. Shares are rounded so that their sum is exact, so an even colour stays
// what it is.
func spans(src, dst, bits int) []span {
	all := make([]span, dst)
	one := 1 << bits
	for i := range all {
		// In units of which a pixel of the picture has dst and one of the screen src.
		begin, end := i*src, (i+1)*src
		first, last := begin/dst, (end-1)/dst
		weights := make([]uint8, last-first+1)
		given := 0
		for j := range weights {
			covered := min(end, (first+j+1)*dst) - begin
			weights[j] = uint8(covered*one/src - given)
			given += int(weights[j])
		}
		all[i] = span{first, weights}
	}
	return all
}

// row computes the pixels x0 to x1 of a row of the screen from the picture's rows, which source returns from x to x+n.
// The result is valid until the next call.
func (s *scaler) row(x0, x1, y int, source func(x, y, n int) []byte) []byte {
	columns := s.columns[x0:x1]
	last := columns[len(columns)-1]
	begin := columns[0].from
	sums := s.sums[:last.from+len(last.weights)-begin]
	clear(sums)
	for i, weight := range s.rows[y].weights {
		if weight > 0 {
			add(sums, source(begin, s.rows[y].from+i, len(sums)), uint64(weight))
		}
	}
	line := s.line[:4*len(columns)]
	for i, c := range columns {
		binary.LittleEndian.PutUint32(line[4*i:], mean(sums[c.from-begin:], c.weights))
	}
	return line
}

// add weighs a row of pixels and adds it to the sums.
func add(sums []uint64, row []byte, weight uint64) {
	row = row[:4*len(sums)]
	for i := range sums {
		v := uint64(binary.LittleEndian.Uint32(row[4*i:]))
		sums[i] += (v&0xff0000<<26 | v&0xff00<<13 | v&0xff) * weight
	}
}

// mean is the weighed mean of the first sums, as a pixel.
func mean(sums []uint64, weights []uint8) uint32 {
	var v uint64 = rounding
	for i, weight := range weights {
		v += sums[i] * uint64(weight)
	}
	v >>= rowBits + columnBits
	return uint32(v>>42&0xff<<16 | v>>21&0xff<<8 | v&0xff)
}
