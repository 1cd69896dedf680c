package authenticode

import (
	"cmp"
	"crypto"
	_ "crypto/sha1" // of old signatures
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Where things are in a PE file ("PE Format", Microsoft), and how large they may be.
const (
	peOffsetAt      = 0x3c
	coffSize        = 4 + 20 // with the signature before it
	sizeOfHeadersAt = 60     // in the optional header
	checksumAt      = 64
	directories32   = 96  // in the optional header of PE32: where the data directories are
	directories64   = 112 // of PE32+
	certificates    = 4   // the number of the certificate table among the data directories
	sectionSize     = 40
	maxHeaders      = 1 << 20
	maxCertificates = 1 << 20
	certHeader      = 8 // of a WIN_CERTIFICATE
	certRevision    = 0x0200
	certPKCS        = 0x0002
)

// ErrNotPE is returned for what is no PE file, which can't be signed.
var ErrNotPE = errors.New("it is no PE file")

// image is a PE file.
type image struct {
	r    io.ReaderAt
	size int64
	// checksum and directory are where in the file the checksum is (4 bytes) and the certificate table's entry (8 bytes), which are not
	// signed. The headers end at headers.
	checksum, directory, headers int64
	// table is where the certificate table is, and tableSize how many bytes it has; 0: there is none.
	table, tableSize int64
	sections         []section
}

// section is where a section's bytes are in the file.
type section struct{ at, size int64 }

// parse reads the headers.
func parse(r io.ReaderAt, size int64) (*image, error) {
	if size > MaxFile {
		return nil, fmt.Errorf("it has %d bytes, of which at most %d are looked at for signatures", size, int64(MaxFile))
	}
	head := make([]byte, min(size, maxHeaders))
	if _, err := r.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	u16, u32 := binary.LittleEndian.Uint16, binary.LittleEndian.Uint32
	if len(head) < peOffsetAt+4 || string(head[:2]) != "MZ" {
		return nil, ErrNotPE
	}
	pe := int64(u32(head[peOffsetAt:]))
	if pe+coffSize > int64(len(head)) || string(head[pe:pe+4]) != "PE\x00\x00" {
		return nil, ErrNotPE
	}
	count, optional := int64(u16(head[pe+6:])), pe+coffSize
	table := optional + int64(u16(head[pe+20:]))
	if optional+directories64+(certificates+1)*8 > table || table+count*sectionSize > int64(len(head)) {
		return nil, ErrNotPE
	}
	directories := optional + directories64
	if u16(head[optional:]) == 0x10b {
		directories = optional + directories32
	}
	i := &image{
		r: r, size: size, checksum: optional + checksumAt, directory: directories + certificates*8, headers: int64(u32(head[optional+sizeOfHeadersAt:])),
	}
	if n := u32(head[directories-4:]); n > certificates {
		i.table, i.tableSize = int64(u32(head[i.directory:])), int64(u32(head[i.directory+4:]))
	}
	for n := range count {
		s := head[table+n*sectionSize:]
		i.sections = append(i.sections, section{int64(u32(s[20:])), int64(u32(s[16:]))})
	}
	return i, nil
}

// signatures are the PKCS #7 messages of the certificate table.
func (i *image) signatures() (all [][]byte, err error) {
	if i.tableSize == 0 {
		return nil, nil
	}
	if i.tableSize > maxCertificates || i.table+i.tableSize > i.size {
		return nil, errors.New("the table of signatures is not within the file, which may be cut off")
	}
	table := make([]byte, i.tableSize)
	if _, err := i.r.ReadAt(table, i.table); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	for len(table) >= certHeader {
		length := int(binary.LittleEndian.Uint32(table))
		if length < certHeader || length > len(table) {
			return all, errors.New("the table of signatures is broken")
		}
		revision, kind := binary.LittleEndian.Uint16(table[4:]), binary.LittleEndian.Uint16(table[6:])
		if revision == certRevision && kind == certPKCS {
			all = append(all, table[certHeader:length])
		}
		table = table[min((length+7)&^7, len(table)):] // each begins at a multiple of eight
	}
	return all, nil
}

// digest is what is signed of the file: all but the checksum, where the signatures are, and the signatures.
func (i *image) digest(of crypto.Hash) ([]byte, error) {
	h := of.New()
	type span struct{ from, to int64 }
	spans := []span{{0, i.checksum}, {i.checksum + 4, i.directory}, {i.directory + 8, i.headers}}
	sections := slices.Clone(i.sections)
	slices.SortStableFunc(sections, func(a, b section) int { return cmp.Compare(a.at, b.at) })
	hashed := i.headers
	for _, s := range sections {
		if s.size > 0 {
			spans = append(spans, span{s.at, s.at + s.size})
			hashed += s.size
		}
	}
	if hashed+i.tableSize < i.size {
		spans = append(spans, span{hashed, i.size - i.tableSize})
	}
	var sum int64
	for _, s := range spans {
		if sum += s.to - s.from; s.from > s.to || s.to > i.size || sum > i.size {
			return nil, errors.New("its sections are not within the file, which may be cut off")
		}
		if _, err := io.Copy(h, io.NewSectionReader(i.r, s.from, s.to-s.from)); err != nil {
			return nil, err
		}
	}
	return h.Sum(nil), nil
}
