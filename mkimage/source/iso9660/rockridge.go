package iso9660

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// maxContinuations is how many continuation areas a record may have.
const maxContinuations = 32

// rock reads the fields of Rock Ridge that matter here: NM (the name), SL (a link's target), CE (they go on elsewhere), CL (the folder is
// elsewhere, as ECMA-119 has no more than eight in one another), RE (such a folder's other place).
func (f *FS) rock(e *entry, area []byte) error {
	var name, link []byte
	var named, partial bool
	for range maxContinuations {
		var next []byte
		for len(area) >= 4 {
			kind, n := string(area[:2]), int(area[2])
			if n < 4 || n > len(area) {
				break // padding
			}
			field := area[4:n]
			area = area[n:]
			switch kind {
			case "NM":
				if len(field) > 1 && field[0]&6 == 0 {
					name, named = append(name, field[1:]...), true
				}
			case "SL":
				link, partial = target(link, partial, field)
			case "CL":
				if err := f.relocated(e, field); err != nil {
					return err
				}
			case "RE":
				e.name = "" // it is found where it belongs
				return nil
			case "CE":
				b, err := f.continuation(field)
				if err != nil {
					return err
				}
				next = b
			case "ST":
				area = nil
			}
			if len(name) > maxName || len(link) > maxName {
				return errors.New("a name is too long")
			}
		}
		if area = next; area == nil {
			break
		}
	}
	if named {
		e.name = string(name)
	}
	if len(link) > 0 {
		e.link, e.dir = string(link), false
	}
	return nil
}

// flags of a component of a link's target (RRIP 4.1.3).
const (
	goesOn  = 1 << 0
	current = 1 << 1
	parent  = 1 << 2
	top     = 1 << 3
)

// target adds the components of an SL field to a link's target. partial says that the last one goes on.
func target(link []byte, partial bool, field []byte) ([]byte, bool) {
	if len(field) < 1 {
		return link, partial
	}
	for c := field[1:]; len(c) >= 2; {
		flags, n := c[0], int(c[1])
		if n > len(c)-2 {
			break
		}
		text := string(c[2 : 2+n])
		c = c[2+n:]
		switch {
		case flags&top != 0:
			link, partial = append(link[:0], '/'), false
			continue
		case flags&current != 0:
			text = "."
		case flags&parent != 0:
			text = ".."
		}
		if len(link) > 0 && !partial && link[len(link)-1] != '/' {
			link = append(link, '/')
		}
		link = append(link, text...)
		partial = flags&goesOn != 0
	}
	return link, partial
}

// continuation reads the area that a CE field points to (SUSP 5.1).
func (f *FS) continuation(field []byte) ([]byte, error) {
	if len(field) < 24 {
		return nil, errors.New("a continuation is damaged")
	}
	at := int64(binary.LittleEndian.Uint32(field))*sector + int64(binary.LittleEndian.Uint32(field[8:]))
	n := binary.LittleEndian.Uint32(field[16:])
	if n > sector {
		return nil, fmt.Errorf("a continuation of %d bytes", n)
	}
	b := make([]byte, n)
	return b, f.read(b, at)
}

// relocated makes an entry the folder that a CL field points to.
func (f *FS) relocated(e *entry, field []byte) error {
	if len(field) < 8 {
		return errors.New("a relocated folder is damaged")
	}
	at := int64(binary.LittleEndian.Uint32(field)) * sector
	self, err := f.firstRecord(&node{extents: []extent{{at, sector}}, size: sector})
	if err != nil {
		return err
	}
	dir, err := f.record(self)
	if err != nil {
		return err
	}
	e.node = dir.node
	e.dir = true
	return nil
}
