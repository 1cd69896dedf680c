// Package archive writes the initramfs: records become a cpio archive in the "newc" format (Linux
// Documentation/driver-api/early-userspace/buffer-format.rst), and archives become xz streams that the kernel's small
// decompressor reads (Documentation/staging/xz.rst).
//
// The same records give the same bytes: they are sorted, and everything about them that belongs to this machine (inode
// numbers, owners, times) is dropped. Several xz streams may follow each other in one initramfs; the kernel unpacks
// them in order.
package archive

import (
	"bytes"
	"cmp"
	"fmt"
	"path"
	"slices"

	"github.com/u-root/mkuimage/cpio"
)

// Directory, File and Symlink make records; names have no slash at the start. Mode is the permission bits.
func Directory(name string, mode uint64) cpio.Record { return cpio.Directory(name, mode) }

// File makes a record of a regular file.
func File(name string, content []byte, mode uint64) cpio.Record {
	return cpio.StaticFile(name, string(content), mode)
}

// Symlink makes a record of a symbolic link from name to target.
func Symlink(name, target string) cpio.Record { return cpio.Symlink(name, target) }

// CPIO returns the records as one archive with its trailer. Parent directories that are missing are added with mode
// 0755: the kernel, which makes none itself, would drop what is in them. Two records of one name are an error. The
// length of the result is a multiple of 4, as the kernel wants it of archives that others follow.
func CPIO(records []cpio.Record) ([]byte, error) {
	byName := make(map[string]cpio.Record, len(records))
	for _, r := range records {
		r = cpio.MakeReproducible(r)
		if _, twice := byName[r.Name]; twice {
			return nil, fmt.Errorf("two files of the initramfs have the name %s", r.Name)
		}
		byName[r.Name] = r
	}
	for _, r := range records {
		for dir := path.Dir(cpio.Normalize(r.Name)); dir != "."; dir = path.Dir(dir) {
			if _, ok := byName[dir]; !ok {
				byName[dir] = cpio.MakeReproducible(Directory(dir, 0o755))
			}
		}
	}
	// Sorted by name, a directory comes before what is in it.
	sorted := make([]cpio.Record, 0, len(byName))
	for _, r := range byName {
		sorted = append(sorted, r)
	}
	slices.SortFunc(sorted, func(a, b cpio.Record) int { return cmp.Compare(a.Name, b.Name) })

	var out bytes.Buffer
	w := cpio.Newc.Writer(&out)
	if err := cpio.WriteRecords(w, sorted); err != nil {
		return nil, fmt.Errorf("write the initramfs's cpio: %w", err)
	}
	if err := cpio.WriteTrailer(w); err != nil {
		return nil, fmt.Errorf("write the initramfs's cpio: %w", err)
	}
	for out.Len()%4 != 0 {
		out.WriteByte(0)
	}
	return out.Bytes(), nil
}
