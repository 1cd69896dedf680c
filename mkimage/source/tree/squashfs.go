package tree

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// squashView is a squashfs image. Unsquashfs reads it: Go's libraries lack the filters for machine code that Fedora's and Arch's
// images have.
type squashView struct{ image, scratch string }

func (v squashView) Close() error { return nil }

// squashRoot is what unsquashfs calls the root folder in a listing.
const squashRoot = "squashfs-root"

func (v squashView) list(ctx context.Context) (*Tree, error) {
	t := newTree(Limits{Bytes: 1 << 62})
	out, err := output(ctx, "unsquashfs", "-lln", v.image)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<16)
	for lines.Scan() {
		name, n := parseListing(lines.Text())
		if n == nil {
			continue
		}
		if err := t.add(name, n, 0); err != nil {
			return nil, err
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("list it: %w", err)
	}
	return t, nil
}

// parseListing reads a line of unsquashfs -lln, such as
//
//	-rw-r--r-- 0/0                       3 2026-11-28 22:50 squashfs-root/x/f
//	lrwxrwxrwx 0/0                       7 2026-11-28 22:50 squashfs-root/bin -> usr/bin
//	crw-rw-rw- 0/0                1,     3 2026-11-28 22:50 squashfs-root/dev/null
//
// Times and owners are not read, and of permissions whether anybody may execute it. The node is nil for another line.
func parseListing(line string) (string, *Node) {
	kinds := map[byte]fs.FileMode{
		'-': 0, 'd': fs.ModeDir, 'l': fs.ModeSymlink, 'b': fs.ModeDevice, 'c': fs.ModeDevice | fs.ModeCharDevice,
		'p': fs.ModeNamedPipe, 's': fs.ModeSocket,
	}
	attributes, name, found := strings.Cut(line, " "+squashRoot)
	fields := strings.Fields(attributes)
	if !found || len(fields) < 5 {
		return "", nil
	}
	kind, known := kinds[fields[0][0]]
	if !known {
		return "", nil
	}
	n := folderNode()
	n.Mode = kind
	if strings.ContainsAny(fields[0], "xst") {
		n.Mode |= 0o111
	}
	switch {
	case n.Mode.IsRegular():
		size, err := strconv.ParseInt(fields[2], 10, 64)
		if err != nil {
			return "", nil
		}
		n.Size = size
	case kind == fs.ModeSymlink:
		name, n.Link, _ = strings.Cut(name, " -> ")
	case kind&fs.ModeDevice != 0 && !strings.HasPrefix(strings.Join(fields[2:4], ""), "0,0"):
		n.Major = 1 // unsquashfs prints wrong numbers for large ones; all that counts is whether it is overlayfs's whiteout, 0:0
	}
	return "." + name, n
}

func (v squashView) fetch(ctx context.Context, names []string, to string) error {
	list, err := os.CreateTemp(v.scratch, "names-")
	if err != nil {
		return err
	}
	defer os.Remove(list.Name())
	_, err = io.WriteString(list, strings.Join(names, "\n")+"\n")
	if err = errors.Join(err, list.Close()); err != nil {
		return err
	}
	out, err := output(ctx, "unsquashfs", "-no-progress", "-quiet", "-no-xattrs", "-no-wildcards", "-dest", to, "-extract-file", list.Name(), v.image)
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := io.Copy(io.Discard, out); err != nil {
		return err
	}
	return makeReadable(to)
}

// makeReadable lets this user read and remove what a program took out with the permissions that it had.
func makeReadable(dir string) error {
	return filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		switch {
		case d != nil && d.IsDir() && err == nil:
			return os.Chmod(file, 0o755)
		case err != nil || !d.Type().IsRegular():
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return os.Chmod(file, info.Mode().Perm()|0o600)
	})
}

// output starts a program that reads images, and returns what it prints.
func output(ctx context.Context, name string, args ...string) (io.ReadCloser, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = []string{"LC_ALL=C.UTF-8", "TZ=UTC", "PATH=" + os.Getenv("PATH")}
	p := &process{cmd: cmd, name: name}
	cmd.Stderr = &p.messages
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.Reader = out
	if err := start(cmd, packages[name]); err != nil {
		return nil, err
	}
	return p, nil
}

// packages have the programs that images are read with.
var packages = map[string]string{"unsquashfs": "squashfs-tools", "fsck.erofs": "erofs-utils", "debugfs": "e2fsprogs"}

// noSource is of trees whose bytes nobody asks for.
type noSource struct{}

func (noSource) each(context.Context, func(*Node, io.Reader) error) error {
	return errors.New("the bytes of this tree are in an image")
}
func (noSource) close() error { return nil }
