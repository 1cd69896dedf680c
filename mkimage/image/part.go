package image

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/zstd"
	"github.com/u-root/mkuimage/cpio"

	"github.com/boottorrent/boottorrent/mkimage/archive"
)

// Names of the parts.
const (
	CommandsPart = "commands"
	ModulesPart  = "modules"
	SitePart     = "site"
)

// Part is a part of the initramfs: one cpio archive in one compressed stream.
type Part struct {
	Name string `json:"name"`
	// Size is in bytes as it is sent, Unpacked as it lies in the node's memory.
	Size     int64  `json:"size"`
	Unpacked int64  `json:"unpacked"`
	SHA256   string `json:"sha256"`
	// Files are the regular files, the largest share first.
	Files []PartFile `json:"files"`

	stream []byte
}

// PartFile is a regular file in a part.
type PartFile struct {
	Path string `json:"path"`
	// Size is in bytes, uncompressed. Share is about how many of the part's bytes it is.
	Size  int64 `json:"size"`
	Share int64 `json:"share"`
}

// newPart compresses records.
func (b *build) newPart(ctx context.Context, name string, compressor archive.Compressor, records []cpio.Record) (*Part, error) {
	content, err := archive.CPIO(records)
	if err != nil {
		return nil, err
	}
	var stream []byte
	if err := b.step("compress the "+name, func() (err error) {
		stream, err = compressor.Compress(ctx, content)
		return err
	}); err != nil {
		return nil, fmt.Errorf("compress the %s: %w", name, err)
	}
	p := &Part{Name: name, Size: int64(len(stream)), Unpacked: int64(len(content)), SHA256: hash(string(stream)), stream: stream}
	err = b.step("weigh the files of the "+name, func() error {
		p.Files, err = weigh(records, p.Size)
		return err
	})
	return p, err
}

// weigh estimates how many of size bytes each file is: in proportion to what a quick compressor makes of it alone.
func weigh(records []cpio.Record, size int64) ([]PartFile, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBetterCompression))
	if err != nil {
		return nil, fmt.Errorf("weigh files: %w", err)
	}
	defer encoder.Close()
	var files []PartFile
	var sum int64
	for _, r := range records {
		if r.Mode&cpio.S_IFMT != cpio.S_IFREG {
			continue
		}
		content, err := io.ReadAll(io.NewSectionReader(r, 0, int64(r.FileSize)))
		if err != nil {
			return nil, fmt.Errorf("weigh %s: %w", r.Name, err)
		}
		f := PartFile{Path: r.Name, Size: int64(len(content)), Share: int64(len(encoder.EncodeAll(content, nil)))}
		sum += f.Share
		files = append(files, f)
	}
	for i := range files {
		files[i].Share = files[i].Share * size / max(sum, 1)
	}
	slices.SortFunc(files, func(a, b PartFile) int {
		return cmp.Or(cmp.Compare(b.Share, a.Share), cmp.Compare(a.Path, b.Path))
	})
	return files, nil
}

// baseRecords are the folders and files that are no one's in particular. The kernel opens dev/console before anything
// is mounted.
func baseRecords() []cpio.Record {
	records := []cpio.Record{
		cpio.CharDev("dev/console", 0o600, 5, 1),
		cpio.CharDev("dev/null", 0o666, 1, 3),
		archive.Directory("tmp", 0o1777),
		archive.Directory("root", 0o700),
		// For ls -l and id.
		archive.File("etc/passwd", []byte("root:x:0:0:root:/root:/bin/sh\n"), 0o644),
		archive.File("etc/group", []byte("root:x:0:\n"), 0o644),
		archive.File("etc/hosts", []byte("127.0.0.1\tlocalhost\n::1\tlocalhost\n"), 0o644),
		// u-root has poweroff, but no reboot.
		archive.File("bin/reboot", []byte("#!/bin/sh\nexec /bbin/shutdown -r\n"), 0o755),
	}
	for _, dir := range []string{"bbin", "lib/modules", "proc", "run", "sys", "var/log"} {
		records = append(records, archive.Directory(dir, 0o755))
	}
	return records
}

// siteRecords are the site's part.
func siteRecords(name string, content []byte) []cpio.Record {
	return []cpio.Record{archive.File(name, content, 0o644)}
}

// hash is the SHA-256 of parts and their lengths, in hexadecimal; of one part it is that part's own.
func hash(parts ...string) string {
	if len(parts) == 1 {
		sum := sha256.Sum256([]byte(parts[0]))
		return hex.EncodeToString(sum[:])
	}
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}
