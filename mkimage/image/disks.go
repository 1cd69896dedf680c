package image

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/boottorrent/boottorrent/internal/diskmodules"
	"github.com/boottorrent/boottorrent/mkimage/archive"
	"github.com/boottorrent/boottorrent/mkimage/drivers"
)

// disksPart is the name under which the archive is in the cache.
const disksPart = "disks"

// diskModules makes the archive of the modules that nodes read their own disks with, see package diskmodules, and returns their names.
// A node unpacks it with the code that it has for QEMU's runtime, so it is zstd whatever phase 1 is compressed with.
func (b *build) diskModules(ctx context.Context) (packed []byte, names []string, err error) {
	set, err := drivers.Disks(b.kernel.Modules, b.kernel.Version, b.Arch)
	if err != nil {
		return nil, nil, err
	}
	for _, m := range set.Modules {
		names = append(names, m.Name)
	}
	files, size := set.Tree(), 0
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		h := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name])), ModTime: time.Unix(0, 0), Format: tar.FormatPAX}
		if err := w.WriteHeader(h); err != nil {
			return nil, nil, fmt.Errorf("pack the drivers of disks: %w", err)
		}
		if _, err := w.Write(files[name]); err != nil {
			return nil, nil, fmt.Errorf("pack the drivers of disks: %w", err)
		}
		size += len(files[name])
	}
	if err := w.Close(); err != nil {
		return nil, nil, fmt.Errorf("pack the drivers of disks: %w", err)
	}
	if size > diskmodules.MaxUnpacked {
		return nil, nil, fmt.Errorf("the drivers of disks have %d bytes, and nodes take %d", size, diskmodules.MaxUnpacked)
	}
	zstd, err := archive.New(ctx, archive.MethodZstd, b.Level)
	if err != nil {
		return nil, nil, err
	}
	packed, err = b.cache.stream(disksPart, hash(disksPart, zstd.String(), out.String()), func() (packed []byte, err error) {
		err = b.step("compress the drivers of disks", func() error {
			packed, err = zstd.Compress(ctx, out.Bytes())
			return err
		})
		return packed, err
	})
	return packed, names, err
}
