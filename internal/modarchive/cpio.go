package modarchive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/u-root/mkuimage/cpio"
)

// Limits of the first archive. Debian's kernel with every Ethernet driver has an index of 300 KB.
const (
	maxEntries   = 64
	maxName      = 1024
	maxIndexFile = 16 << 20
	maxPadding   = 1 << 16 // zeros between the archives
)

// Sizes of the newc format: a header, where the length of the name stands in it, and the record that ends an archive.
const (
	headerSize  = 110
	nameSizeAt  = 94
	trailerSize = (headerSize + int64(len(cpio.Trailer)) + 1 + 3) &^ 3
)

const newcMagic = "070701"

// readFirst returns the index files of the first archive by their path, and where it ends.
func readFirst(r io.ReaderAt, size int64) (files map[string]string, end int64, err error) {
	files = map[string]string{}
	at := int64(0)
	for range maxEntries {
		if err := checkHeader(r, at, size); err != nil {
			return nil, 0, err
		}
		// Each record is read by itself, as if it were the first: that is how its place in the file stays known.
		record, err := cpio.Newc.Reader(io.NewSectionReader(r, at, size-at)).ReadRecord()
		if errors.Is(err, io.EOF) { // the trailer, as the header is whole
			return files, at + trailerSize, nil
		}
		if err != nil {
			return nil, 0, formError("its first cpio archive is damaged (%v)", err)
		}
		next := at + (int64(record.FilePos)+int64(record.FileSize)+3)&^3
		if next > size {
			return nil, 0, truncated(size)
		}
		if err := addFile(files, record); err != nil {
			return nil, 0, err
		}
		at = next
	}
	return nil, 0, formError("its first cpio archive has more than %d files; an index has %d", maxEntries, len(indexFiles))
}

func truncated(size int64) error {
	return formError("it ends in the middle, after %d bytes; the file was not copied or downloaded to its end", size)
}

// checkHeader looks at the header at an offset: that it is one, that its name has a sensible length, and is there. The library
// would take any length for the size of a buffer.
func checkHeader(r io.ReaderAt, at, size int64) error {
	head := make([]byte, headerSize)
	n, err := r.ReadAt(head, at)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the archive of modules: %w", err)
	}
	head = head[:n]
	switch {
	case at == 0 && !bytes.HasPrefix(head, []byte(newcMagic)):
		return notAnArchive(head, size)
	case n < headerSize:
		return truncated(size)
	case !bytes.HasPrefix(head, []byte(newcMagic)):
		return formError("its first cpio archive is damaged at byte %d", at)
	}
	length, err := strconv.ParseUint(string(head[nameSizeAt:nameSizeAt+8]), 16, 32)
	if err != nil || length == 0 || length > maxName {
		return formError("its first cpio archive is damaged at byte %d: a name has the length %q", at, head[nameSizeAt:nameSizeAt+8])
	}
	if at+headerSize+int64(length) > size {
		return truncated(size)
	}
	return nil
}

// Beginnings of files that are given by mistake.
var (
	xzMagic   = []byte("\xfd7zXZ\x00")
	zstdMagic = []byte("\x28\xb5\x2f\xfd")
	gzipMagic = []byte("\x1f\x8b")
)

func notAnArchive(head []byte, size int64) error {
	switch {
	case size == 0:
		return formError("it is empty")
	case bytes.HasPrefix(head, xzMagic), bytes.HasPrefix(head, zstdMagic), bytes.HasPrefix(head, gzipMagic):
		return formError("it is compressed as a whole, as the initrds of distributions are, and has no index that can be read")
	case bytes.HasPrefix(head, []byte("07070")):
		return formError("it is a cpio archive of another kind than newc")
	}
	return formError("it is not an archive of kernel modules: it does not begin with a cpio archive")
}

// addFile takes a record of the first archive: an index file, or a folder on the way to one.
func addFile(files map[string]string, r cpio.Record) error {
	name := r.Name
	folder, file := path.Split(name)
	switch r.Mode & cpio.S_IFMT {
	case cpio.S_IFDIR:
		if name == "lib" || name == Folder || path.Dir(name) == Folder {
			return nil
		}
	case cpio.S_IFREG:
		if path.Dir(path.Clean(folder)) != Folder || !slices.Contains(indexFiles, file) {
			break
		}
		if r.FileSize > maxIndexFile {
			return formError("its %s has %d bytes, at most %d are read", name, r.FileSize, maxIndexFile)
		}
		var content strings.Builder
		if _, err := io.Copy(&content, io.NewSectionReader(r, 0, int64(r.FileSize))); err != nil {
			return fmt.Errorf("read the archive of modules: %w", err)
		}
		files[name] = content.String()
		return nil
	}
	return formError("it is an ordinary initrd: its first cpio archive has %q, and an archive of modules begins with its index alone", name)
}

// checkSecond checks that a compressed archive follows, that there is something in it, and that it is whole.
func checkSecond(r io.ReaderAt, at, size int64) error {
	if at > size {
		return truncated(size)
	}
	head := make([]byte, maxPadding)
	n, err := r.ReadAt(head, at)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the archive of modules: %w", err)
	}
	rest := bytes.TrimLeft(head[:n], "\x00")
	at += int64(n - len(rest))
	stream := io.NewSectionReader(r, at, size-at)
	switch {
	case len(rest) == 0:
		return formError("behind its index there are no modules")
	case bytes.HasPrefix(rest, xzMagic):
		return checkXZ(stream)
	case bytes.HasPrefix(rest, zstdMagic):
		return checkZstd(stream, rest)
	}
	return formError("what follows its index is compressed neither with xz nor with zstd")
}

// checkXZ looks at an xz file's size and end (the .xz file format, 1.2.1, 2.1.2): it ends in YZ, before padding. A cpio archive
// without a file in it comes out with more than emptyXZ bytes, nothing at all with fewer.
func checkXZ(stream *io.SectionReader) error {
	const emptyXZ = 72
	if stream.Size() < emptyXZ {
		return formError("there is nothing in its part with the modules")
	}
	tail := make([]byte, min(stream.Size(), 64))
	if _, err := stream.ReadAt(tail, stream.Size()-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the archive of modules: %w", err)
	}
	if !bytes.HasSuffix(bytes.TrimRight(tail, "\x00"), []byte("YZ")) {
		return truncated(stream.Size())
	}
	return nil
}

// checkZstd walks through the blocks of the first frame (RFC 8878, 3.1.1).
func checkZstd(stream *io.SectionReader, head []byte) error {
	var h zstd.Header
	if err := h.Decode(head); err != nil {
		return formError("its part with the modules is damaged (%v)", err)
	}
	content := int64(0)
	for at, last := int64(h.HeaderSize), false; !last; {
		var b [3]byte
		if _, err := stream.ReadAt(b[:], at); err != nil {
			return truncated(stream.Size())
		}
		block := int64(b[0]) | int64(b[1])<<8 | int64(b[2])<<16
		kind, length := block>>1&3, block>>3
		if last = block&1 == 1; kind == 1 { // one byte, again and again
			length = 1
		}
		at, content = at+3+length, content+length
		if at > stream.Size() {
			return truncated(stream.Size())
		}
	}
	if content == 0 {
		return formError("there is nothing in its part with the modules")
	}
	return nil
}
