package qemuargs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

// Depends are the names of the files that a disk image refers to, as they stand in it: a backing file, an external data file, a
// VMDK's extents.
type Depends struct {
	Names []string
	// Backing is the backing file among them; empty if there is none.
	Backing string
}

// maxName is the longest name of a backing file (qcow2.txt: 1023 bytes).
const maxName = 1023

// References reads which files the disk image in r refers to. A file that is no image of a known format refers to none.
func References(r io.ReaderAt) (Depends, error) {
	head := make([]byte, 512)
	n, err := r.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return Depends{}, err
	}
	head = head[:n]
	switch {
	case n >= 72 && bytes.HasPrefix(head, []byte("QFI\xfb")):
		return qcow(r, head)
	case n >= 64 && bytes.HasPrefix(head, []byte("QED\x00")):
		return qed(r, head)
	case n == 512 && bytes.HasPrefix(head, []byte("KDMV")):
		// A sparse extent (Virtual Disk Format 5.0, "Hosted Sparse Extent Header"): sector and size of the descriptor in it.
		at, size := binary.LittleEndian.Uint64(head[28:]), binary.LittleEndian.Uint64(head[36:])
		if at == 0 || at > 1<<20 || size > 64 {
			return Depends{}, nil
		}
		return descriptor(r, int64(at*512), int64(size*512))
	case bytes.HasPrefix(head, []byte("# Disk DescriptorFile")):
		return descriptor(r, 0, 64<<10)
	}
	return Depends{}, nil
}

// qcow reads a header of QCOW2 (QEMU, docs/interop/qcow2.txt) or of its predecessor, whose first fields are the same.
func qcow(r io.ReaderAt, head []byte) (d Depends, err error) {
	const externalData, dataFileName, end = 1 << 2, 0x44415441, 0
	u32, u64 := binary.BigEndian.Uint32, binary.BigEndian.Uint64
	if d.Backing, err = text(r, u64(head[8:]), u32(head[16:])); err != nil {
		return d, err
	}
	if d.Backing != "" {
		d.Names = append(d.Names, d.Backing)
	}
	if version := u32(head[4:]); version < 3 || len(head) < 104 || u64(head[72:])&externalData == 0 {
		return d, nil
	}
	for at, i := int64(u32(head[100:])), 0; i < 64; i++ {
		extension := make([]byte, 8)
		if _, err := r.ReadAt(extension, at); err != nil {
			return d, fmt.Errorf("read the header's extensions: %w", err)
		}
		size := u32(extension[4:])
		switch u32(extension) {
		case end:
			return d, nil
		case dataFileName:
			name, err := text(r, uint64(at+8), size)
			d.Names = append(d.Names, name)
			return d, err
		}
		at += 8 + (int64(size)+7)&^7
	}
	return d, nil
}

// qed reads a header of QED (QEMU, docs/interop/qed_spec.txt).
func qed(r io.ReaderAt, head []byte) (d Depends, err error) {
	const backing = 1
	if binary.LittleEndian.Uint64(head[16:])&backing == 0 {
		return d, nil
	}
	d.Backing, err = text(r, uint64(binary.LittleEndian.Uint32(head[56:])), binary.LittleEndian.Uint32(head[60:]))
	d.Names = []string{d.Backing}
	return d, err
}

// text reads a name of size bytes; at 0 there is none.
func text(r io.ReaderAt, at uint64, size uint32) (string, error) {
	if at == 0 || size == 0 {
		return "", nil
	}
	if size > maxName || at > 1<<40 {
		return "", fmt.Errorf("the name of another file in it has %d bytes", size)
	}
	name := make([]byte, size)
	if _, err := r.ReadAt(name, int64(at)); err != nil {
		return "", fmt.Errorf("read the name of another file in it: %w", err)
	}
	return string(bytes.TrimRight(name, "\x00")), nil
}

// descriptor reads the text of a VMDK: lines RW SECTORS TYPE "FILE" [OFFSET], and parentFileNameHint="FILE" where parentCID is
// not ffffffff (Virtual Disk Format 5.0).
func descriptor(r io.ReaderAt, at, size int64) (d Depends, err error) {
	b := make([]byte, size)
	n, err := r.ReadAt(b, at)
	if err != nil && !errors.Is(err, io.EOF) {
		return d, err
	}
	lines, parent, hint := string(bytes.TrimRight(b[:n], "\x00")), "ffffffff", ""
	for line := range strings.Lines(lines) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch strings.TrimSpace(key) {
		case "parentCID":
			parent = strings.TrimSpace(value)
		case "parentFileNameHint":
			hint = strings.Trim(strings.TrimSpace(value), `"`)
		}
		fields := strings.SplitN(line, `"`, 3)
		words := strings.Fields(fields[0])
		// One extent that is in this file itself is named, too.
		if len(fields) == 3 && len(words) == 3 && (words[0] == "RW" || words[0] == "RDONLY") && at == 0 {
			d.Names = append(d.Names, fields[1])
		}
	}
	if !strings.EqualFold(parent, "ffffffff") && hint != "" {
		d.Backing, d.Names = hint, append(d.Names, hint)
	}
	return d, nil
}

// maxChain is how many images may stand on one another.
const maxChain = 64

// Missing is a file that a disk image refers to and that is not in the folder.
type Missing struct {
	// Image is the one that refers to it, Name how.
	Image, Name string
	// Backing says that it is the backing file.
	Backing bool
}

// Chain follows what a disk image of a folder refers to, and returns what is missing in it. Names in images are relative to the
// image; those of json: to the working directory, which is the folder.
func Chain(folder fs.FS, image string) ([]Missing, error) {
	var missing []Missing
	seen := map[string]bool{}
	for queue := []string{path.Clean(image)}; len(queue) > 0 && len(seen) < maxChain; queue = queue[1:] {
		at := queue[0]
		if seen[at] {
			continue
		}
		seen[at] = true
		d, err := references(folder, at)
		if err != nil {
			return missing, fmt.Errorf("%s: %w", at, err)
		}
		for _, name := range d.Names {
			for _, local := range Local(name) {
				if !strings.HasPrefix(name, "json:") && !path.IsAbs(local) {
					local = path.Join(path.Dir(at), local)
				}
				if info, err := fs.Stat(folder, path.Clean(local)); err != nil || !info.Mode().IsRegular() {
					missing = append(missing, Missing{at, name, name == d.Backing})
				} else {
					queue = append(queue, path.Clean(local))
				}
			}
		}
	}
	return missing, nil
}

func references(folder fs.FS, name string) (Depends, error) {
	f, err := folder.Open(name)
	if err != nil {
		return Depends{}, err
	}
	defer f.Close()
	r, ok := f.(io.ReaderAt)
	if !ok {
		return Depends{}, errors.New("it can't be read from the middle")
	}
	return References(r)
}
