package drivers

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/boottorrent/boottorrent/internal/modarchive"
	"github.com/boottorrent/boottorrent/mkimage/archive"
	"github.com/boottorrent/boottorrent/mkimage/kernel"
)

// Archive makes the archive of modules (package modarchive) that a node starts the kernel in the file vmlinuz with: the drivers
// of the selection, their firmware, and what a root file system is mounted by. modules is the kernel's folder lib/modules/RELEASE, a
// folder with it, or empty for where it is found beside the kernel; firmware a folder such as /lib/firmware, empty for none.
// The same inputs give the same bytes. Modules of another kernel are an error that names both.
func Archive(ctx context.Context, vmlinuz, modules string, s Selection, firmware string, c archive.Compressor) ([]byte, *Set, error) {
	files, err := kernel.Local(vmlinuz, modules)
	if err != nil {
		return nil, nil, err
	}
	set, err := Select(files.Modules, files.Version, files.Arch, append(slices.Clone(s), Root), firmware)
	if err != nil {
		return nil, nil, err
	}
	b, err := set.archive(ctx, c)
	if err != nil {
		return nil, nil, fmt.Errorf("make the archive of modules of kernel %s: %w", set.Version, err)
	}
	return b, set, nil
}

// archive is the set in the form of package modarchive.
func (s *Set) archive(ctx context.Context, c archive.Compressor) ([]byte, error) {
	index, err := s.fullIndex()
	if err != nil {
		return nil, err
	}
	first, err := archive.CPIO(s.indexRecords(index))
	if err != nil {
		return nil, err
	}
	files, err := archive.CPIO(s.fileRecords())
	if err != nil {
		return nil, err
	}
	second, err := c.Compress(ctx, files)
	if err != nil {
		return nil, err
	}
	b := append(first, second...)
	for len(b)%4 != 0 { // as whatever is joined to it has to begin at a multiple of 4
		b = append(b, 0)
	}
	_, err = modarchive.Read(bytes.NewReader(b), int64(len(b)))
	return b, err
}

// fullIndex is the index with all that the kernel has built in, whether or not it was asked for: who reads it wants to know what the
// kernel can do.
func (s *Set) fullIndex() (map[string][]byte, error) {
	index := s.index()
	aliases, err := s.tree.builtinAliases()
	if err != nil {
		return nil, err
	}
	index[modarchive.Alias] = append(index[modarchive.Alias], aliases...)
	var builtin bytes.Buffer
	for _, p := range slices.Sorted(maps.Values(s.tree.builtin)) {
		fmt.Fprintln(&builtin, p)
	}
	index[modarchive.Builtin] = builtin.Bytes()
	return index, nil
}
