package mediumseen

import (
	"bytes"
	"errors"
	"math"
	"testing"
)

func TestRoundTrip(t *testing.T) {
	for _, r := range []Record{{}, {0xABCDEF, 1795420800}, {math.MaxUint64, math.MaxUint64}} {
		b := r.Encode()
		got, err := Decode(b)
		if err != nil || got != r || len(b) != Sector || !IsRecord(b) || b[Sector-1] != '\n' {
			t.Errorf("%+v becomes %+v, %v: %q", r, got, err, b)
		}
	}
}

// A new stick has seen nothing, and its records lie a block apart.
func TestBlank(t *testing.T) {
	b := Blank()
	for _, at := range At {
		if r, err := Decode(b[at:][:Sector]); err != nil || r != (Record{}) {
			t.Errorf("at %d there is %+v, %v", at, r, err)
		}
	}
	if len(b) != Size || At[1]-At[0] < 2*4096 {
		t.Errorf("%d bytes, records at %d", len(b), At)
	}
}

// Whatever single byte is another, the record is not taken for whole.
func TestDamaged(t *testing.T) {
	whole := Record{7, 1795420800}.Encode()
	for i := range whole {
		b := bytes.Clone(whole)
		b[i]++
		if r, err := Decode(b); !errors.Is(err, ErrDamaged) {
			t.Errorf("byte %d: %+v, %v", i, r, err)
		}
	}
	for _, b := range [][]byte{nil, make([]byte, Sector), whole[:100], bytes.Repeat([]byte{0xff}, Sector), append(bytes.Clone(whole), ' ')} {
		if r, err := Decode(b); !errors.Is(err, ErrDamaged) {
			t.Errorf("%.20q: %+v, %v", b, r, err)
		}
	}
}

// FuzzDecode looks for what is taken for a record and was not written as one.
func FuzzDecode(f *testing.F) {
	f.Add(Record{7, 1795420800}.Encode())
	f.Add([]byte(mark))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := Decode(b); err == nil && !bytes.Equal(b, r.Encode()) {
			t.Errorf("%q is taken for %+v", b, r)
		}
	})
}
