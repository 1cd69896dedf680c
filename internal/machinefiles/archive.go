package machinefiles

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"github.com/u-root/mkuimage/cpio"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

const (
	trailer = cpio.Trailer
	// overhead is what an entry takes in an archive beside its name and content: a header, a zero byte, and what aligns both.
	overhead = 110 + 1 + 3 + 3
)

// Encode returns the archive. Its length is a multiple of four, as the kernel wants it where others follow.
func (t *Tree) Encode() ([]byte, error) {
	var b bytes.Buffer
	w := cpio.Newc.Writer(&b)
	for i, e := range t.Entries() {
		links := uint64(1)
		if e.Is(Folder) {
			links = 2
		}
		r := cpio.StaticRecord(e.Content, cpio.Info{
			Ino: uint64(i + 1), Name: e.Source(), Mode: uint64(e.Mode), UID: uint64(e.UID), GID: uint64(e.GID), MTime: uint64(e.Time), NLink: links,
		})
		if err := w.WriteRecord(r); err != nil {
			return nil, fmt.Errorf("archive %q: %w", e.Name, err)
		}
	}
	if err := cpio.WriteTrailer(w); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// Decode reads an archive that Encode made.
func Decode(archive []byte) (*Tree, error) {
	if len(archive) > catalog.MaxFileTree {
		return nil, fmt.Errorf("the archive has %d bytes, and machines read %d", len(archive), catalog.MaxFileTree)
	}
	t := &Tree{}
	for at := 0; ; {
		e, end, err := record(archive, at)
		if err == nil && e.Name == trailer {
			return t, nil
		}
		if err == nil {
			err = t.add(e)
		}
		if err == nil && t.Len() > catalog.MaxFileTreeEntries {
			err = fmt.Errorf("there are more than %d files, folders and links", catalog.MaxFileTreeEntries)
		}
		if err != nil {
			return nil, fmt.Errorf("the archive, at byte %d: %w", at, err)
		}
		at = end
	}
}

const (
	header = 110
	magic  = "070701"
)

var errCut = errors.New("it is not whole")

// record reads the record at an offset, and returns where the next one begins. The library's reader makes room for whatever length a
// record claims.
func record(archive []byte, at int) (e *Entry, end int, err error) {
	if len(archive)-at < header || string(archive[at:at+len(magic)]) != magic {
		return nil, 0, errCut
	}
	var fields [13]uint32
	for i := range fields {
		n, err := strconv.ParseUint(string(archive[at+len(magic)+8*i:][:8]), 16, 32)
		if err != nil {
			return nil, 0, errors.New("a number in it is none")
		}
		fields[i] = uint32(n)
	}
	e = &Entry{Mode: fields[1], UID: fields[2], GID: fields[3], Time: fields[5]}
	size, nameSize := int(fields[6]), int(fields[11])
	name := at + header
	content := (name + nameSize + 3) &^ 3
	if nameSize < 1 || nameSize > len(archive) || size > len(archive) || content+size > len(archive) {
		return nil, 0, errCut
	}
	if e.Name = string(archive[name : name+nameSize-1]); e.Name == trailer {
		return e, content, nil
	}
	if !e.Is(Regular) && !e.Is(Folder) && !e.Is(Link) {
		return nil, 0, fmt.Errorf("%q is no file, folder or link (mode %o)", e.Name, e.Mode)
	}
	if !e.Is(Folder) {
		e.Content = archive[content : content+size : content+size]
	}
	return e, (content + size + 3) &^ 3, nil
}

// Listed is what the catalog says of an archive.
func Listed(name string, archive []byte) catalog.Files {
	sum := sha256.Sum256(archive)
	return catalog.Files{For: name, SHA256: hex.EncodeToString(sum[:]), Size: int64(len(archive))}
}

// Verify decodes an archive if it is the one that the catalog lists.
func Verify(f catalog.Files, archive []byte) (*Tree, error) {
	if sum := sha256.Sum256(archive); hex.EncodeToString(sum[:]) != f.SHA256 || int64(len(archive)) != f.Size {
		return nil, fmt.Errorf("the files for %s: what came has %d bytes and the SHA-256 %x, the catalog says %d and %s; "+
			"fetch the catalog anew from the same seeder", f.For, len(archive), sum, f.Size, f.SHA256)
	}
	t, err := Decode(archive)
	if err != nil {
		return nil, fmt.Errorf("the files for %s: %w", f.For, err)
	}
	return t, nil
}
