package iso

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/boottorrent/boottorrent/mkimage/source/tree"
)

// layerConf is the file in an initrd of Ubuntu's that says which layer is the live system.
const layerConf = "conf/conf.d/default-layer.conf"

// defaultLayer is what the initrds say of the uppermost layer; empty: nothing. An initrd that can't be read says nothing: there are
// other ways to know.
func (i *image) defaultLayer(ctx context.Context, initrds []string) (string, error) {
	for _, name := range initrds {
		r, size, err := i.opened(name)
		if err != nil {
			continue
		}
		b, err := fileOfInitrd(ctx, io.LimitReader(r, size), layerConf)
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			line = strings.TrimPrefix(strings.TrimSpace(line), "export ")
			if top, ok := strings.CutPrefix(line, "LAYERFS_PATH="); ok {
				return strings.Trim(top, `"'`), nil
			}
		}
	}
	return "", nil
}

// maxInitrd is how many bytes are read of an unpacked initrd.
const maxInitrd = 2 << 30

var errNotThere = errors.New("the file is not in the initrd")

// fileOfInitrd finds a file in an initrd: cpio archives (newc) with zeros between them, of which the last may be compressed (Linux,
// Documentation/driver-api/early-userspace/buffer-format.rst).
func fileOfInitrd(ctx context.Context, r io.Reader, name string) ([]byte, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	for {
		head, err := in.Peek(6)
		switch {
		case errors.Is(err, io.EOF):
			return nil, errNotThere
		case err != nil:
			return nil, err
		case head[0] == 0:
			if _, err := in.Discard(1); err != nil {
				return nil, err
			}
		case string(head) == "070701" || string(head) == "070702":
			b, err := fileOfCPIO(ctx, in, name)
			if b != nil || err != nil {
				return b, err
			}
		default:
			out, err := tree.Decompressed(ctx, in)
			if err != nil {
				return nil, err
			}
			defer out.Close()
			if b, err := fileOfCPIO(ctx, bufio.NewReaderSize(io.LimitReader(out, maxInitrd), 64<<10), name); b != nil || err != nil {
				return b, err
			}
			return nil, errNotThere
		}
	}
}

// fileOfCPIO reads one archive up to its end, or up to a file of that name, whose content it returns.
func fileOfCPIO(ctx context.Context, r *bufio.Reader, name string) ([]byte, error) {
	const headerSize, limit = 110, 64 << 10
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		head := make([]byte, headerSize)
		if _, err := io.ReadFull(r, head); err != nil {
			return nil, err
		}
		size, err := strconv.ParseUint(string(head[54:62]), 16, 32)
		if err != nil {
			return nil, fmt.Errorf("the initrd is damaged: %w", err)
		}
		n, err := strconv.ParseUint(string(head[94:102]), 16, 32)
		if err != nil || n == 0 || n > 4096 {
			return nil, errors.New("the initrd is damaged: a name has no length")
		}
		path := make([]byte, (headerSize+n+3)/4*4-headerSize)
		if _, err := io.ReadFull(r, path); err != nil {
			return nil, err
		}
		switch own := strings.TrimPrefix(string(path[:n-1]), "./"); {
		case own == "TRAILER!!!":
			return nil, nil
		case own == name && size <= limit:
			b := make([]byte, size)
			_, err := io.ReadFull(r, b)
			return b, err
		}
		if _, err := io.CopyN(io.Discard, r, int64((size+3)/4*4)); err != nil {
			return nil, err
		}
	}
}
