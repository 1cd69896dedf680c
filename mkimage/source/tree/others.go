package tree

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/ext4"
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

// ext4View is an ext4 image that nobody may mount. Go's library lists it, and debugfs reads files: the library reads other bytes where
// files have holes.
type ext4View struct {
	image  string
	file   *os.File
	fs     *ext4.FileSystem
	inodes map[string]uint32
}

func openExt4(image, _ string) (view, error) {
	f, err := os.Open(image)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	v := &ext4View{image: image, file: f, inodes: map[string]uint32{}}
	err = noPanic(func() error {
		v.fs, err = ext4.Read(file.New(f, true), info.Size(), 0, 0)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return v, nil
}

// noPanic makes an error of a library's panic over a damaged image.
func noPanic(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the image is damaged (%v); check it with e2fsck, or make it again", p)
		}
	}()
	return f()
}

func (v *ext4View) list(ctx context.Context) (*Tree, error) {
	t := newTree(Limits{Bytes: 1 << 62})
	err := noPanic(func() error { return v.folder(ctx, t, ".", map[uint32]bool{}) })
	return t, err
}

// folder lists a folder and those in it. above has the folders that it is in, which a damaged image may lead back to.
func (v *ext4View) folder(ctx context.Context, t *Tree, name string, above map[uint32]bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	entries, err := v.fs.ReadDir(name)
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return err
		}
		stat, is := info.Sys().(*ext4.StatT)
		if !is {
			return fmt.Errorf("%s: nothing is known of its inode", e.Name())
		}
		child := path.Join(name, e.Name())
		n := folderNode()
		n.Mode, n.Link, n.Major, n.Minor = info.Mode().Type(), stat.LinkTarget, int64(stat.Major), int64(stat.Minor)
		if n.Mode.IsRegular() {
			n.Size = info.Size()
		}
		if strings.Contains(e.Name(), "/") || above[stat.Ino] {
			return fmt.Errorf("the image is damaged at %q; check it with e2fsck", child)
		}
		v.inodes[child] = stat.Ino
		if err := t.add(child, n, 0); err != nil {
			return err
		}
		if !n.Mode.IsDir() {
			continue
		}
		above[stat.Ino] = true
		if err := v.folder(ctx, t, child, above); err != nil {
			return err
		}
		delete(above, stat.Ino)
	}
	return nil
}

// fetch has debugfs copy inodes: names within the image are not told to it.
func (v *ext4View) fetch(ctx context.Context, names []string, to string) error {
	var commands strings.Builder
	for _, name := range names {
		target := filepath.Join(to, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		if strings.ContainsAny(target, "\"\n") {
			return fmt.Errorf("the file %q has a name that debugfs can't be told; import the image as root", name)
		}
		fmt.Fprintf(&commands, "dump <%d> \"%s\"\n", v.inodes[name], target)
	}
	script := filepath.Join(to, ".commands")
	if err := os.WriteFile(script, []byte(commands.String()), 0o600); err != nil {
		return err
	}
	out, err := output(ctx, "debugfs", "-f", script, v.image)
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := io.Copy(io.Discard, out); err != nil {
		return err
	}
	return errors.Join(os.Remove(script), makeReadable(to))
}

func (v *ext4View) Close() error { return v.file.Close() }
