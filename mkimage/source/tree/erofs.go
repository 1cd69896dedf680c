package tree

import (
	"context"
	"io"
	"os"
	"path/filepath"
)

// unpackErofs looks into an erofs image without root: all of it is unpacked, as Debian's erofs-utils take out nothing less.
func unpackErofs(ctx context.Context, image, scratch string) (view, error) {
	to, err := os.MkdirTemp(scratch, "erofs-")
	if err != nil {
		return nil, err
	}
	to = filepath.Join(to, "root")
	out, err := output(ctx, "fsck.erofs", "--no-preserve", "--extract="+to, image)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	if _, err := io.Copy(io.Discard, out); err != nil {
		return nil, err
	}
	if err := makeReadable(to); err != nil {
		return nil, err
	}
	return newFolderView(to, nil)
}
