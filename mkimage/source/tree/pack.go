package tree

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// source has the bytes of a tree's files.
type source interface {
	// each calls f for every file that has bytes, once, with a reader of exactly Node.Size bytes or more.
	each(ctx context.Context, f func(*Node, io.Reader) error) error
	close() error
}

// layerSource reads layers a second time.
type layerSource struct {
	layers []Layer
	// nodes are those of the entries of each layer, nil for entries that have no bytes.
	nodes [][]*Node
}

func (s *layerSource) each(ctx context.Context, f func(*Node, io.Reader) error) error {
	for i, l := range s.layers {
		at := 0
		err := eachHeader(ctx, l, DefaultBytes, func(int) {}, func(h *tar.Header, r io.Reader) error {
			if at >= len(s.nodes[i]) || s.nodes[i][at] != nil && s.nodes[i][at].Size != h.Size {
				return errors.New("it was changed while it was read; try again")
			}
			n := s.nodes[i][at]
			at++
			if n == nil {
				return nil
			}
			return f(n, r)
		})
		if err != nil {
			return fmt.Errorf("%s: %w", l.Name, err)
		}
	}
	return nil
}

func (s *layerSource) close() error { return nil }

// Close gives back what the tree holds open.
func (t *Tree) Close() error { return t.bytes.close() }

// Size is the sum of the sizes of all files in bytes, hard links counted once.
func (t *Tree) Size() int64 {
	var sum int64
	seen := map[*Node]bool{}
	_ = t.each(func(_ string, n *Node) error { // the function never fails
		if !seen[n] {
			sum += n.Size
		}
		seen[n] = true
		return nil
	})
	return sum
}

// The settings of mksquashfs. zstd of level 15 is what it takes by itself. Blocks of 256 KiB make images of distributions 4 % smaller than
// those of 128 KiB, and larger ones none any more.
const (
	compression = "zstd"
	level       = 15
	blockSize   = 256 << 10
)

// Pack writes the tree as a squashfs image to a new file. The same tree gives the same bytes. done, which may be nil, hears how many of
// [Tree.Size] bytes were read. On failure there is no file.
func (t *Tree) Pack(ctx context.Context, image string, done func(int64)) (err error) {
	if _, err := os.Lstat(image); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is there already: %w", image, err)
	}
	defer func() {
		if err != nil {
			if e := os.Remove(image); e != nil && !errors.Is(e, fs.ErrNotExist) {
				err = errors.Join(err, e)
			}
		}
	}()
	var messages bytes.Buffer
	latest := t.latest()
	if err := pass(ctx, latest); err != nil {
		return err
	}
	cmd := t.mksquashfs(ctx, image, latest)
	cmd.Stdout, cmd.Stderr = &messages, &messages
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := start(cmd, "squashfs-tools"); err != nil {
		if cmd.SysProcAttr != nil && !errors.Is(err, exec.ErrNotFound) {
			err = fmt.Errorf("mksquashfs is started as the owner of the root folder (user %d, group %d) in a user namespace, and this machine refuses that to you: %w; run this as that user",
				t.root.node.UID, t.root.node.GID, err)
		}
		return err
	}
	written := t.write(ctx, in, counter(done))
	if written != nil && !errors.Is(written, unix.EPIPE) {
		// What came so far must not become an image.
		_ = cmd.Process.Kill() // it may have ended by itself
	}
	closed := in.Close()
	ended := cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case written != nil && !errors.Is(written, unix.EPIPE):
		return written
	case ended != nil || written != nil:
		return packError(image, errors.Join(ended, written), messages.String())
	case closed != nil && !errors.Is(closed, os.ErrClosed):
		return closed
	}
	return verify(image)
}

// mksquashfs is the command, which reads a tar. Of that mksquashfs 4.5 takes nothing for the root folder: it gives it to the user who runs
// it, and the time of day, whatever -root-uid and -root-time say. So it runs as the owner, in a user namespace where this user is another,
// and SOURCE_DATE_EPOCH, the latest time that any file may have and the image's own, is that of the tree.
func (t *Tree) mksquashfs(ctx context.Context, image string, latest int64) *exec.Cmd {
	root := t.root.node
	cmd := exec.CommandContext(ctx, "mksquashfs", "-", image,
		"-tar", "-quiet", "-no-progress", "-exit-on-error", "-noappend", "-no-recovery",
		"-comp", compression, "-Xcompression-level", strconv.Itoa(level), "-b", strconv.Itoa(blockSize),
		"-root-mode", strconv.FormatUint(uint64(linuxMode(root.Mode)), 8))
	// mksquashfs keeps no file elsewhere.
	cmd.Env = []string{"LC_ALL=C", "TZ=UTC", "PATH=" + os.Getenv("PATH"), "SOURCE_DATE_EPOCH=" + strconv.FormatInt(latest, 10)}
	if root.UID != os.Getuid() || root.GID != os.Getgid() {
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  unix.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: root.UID, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: root.GID, HostID: os.Getgid(), Size: 1}},
		}
	}
	return cmd
}

// justNow is by how much files may be of the future by rounding.
const justNow = 2 * time.Second

// latest is when the last change of any file was, in seconds since 1970. What claims to be of the future doesn't count, or the image would be
// another one when that has come.
func (t *Tree) latest() (seconds int64) {
	now := time.Now().Add(justNow).Unix()
	_ = t.each(func(_ string, n *Node) error { // which has no errors of its own
		if at := n.Modified.Unix(); at <= now {
			seconds = max(seconds, at)
		}
		return nil
	})
	return seconds
}

// pass waits until a second has begun, for time(2) too, which is behind by up to a tick of 10 ms: mksquashfs gives the root folder the time of
// day if that is before the latest time.
func pass(ctx context.Context, second int64) error {
	timer := time.NewTimer(time.Until(time.Unix(second, 0).Add(20 * time.Millisecond)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// packError is a failure of mksquashfs. A full disk is found by errors.Is.
func packError(image string, err error, messages string) error {
	err = said("mksquashfs", err, messages)
	if bytes.Contains([]byte(messages), []byte(unix.ENOSPC.Error())) || bytes.Contains([]byte(messages), []byte("No space left on device")) {
		return fmt.Errorf("%s: %w: %w", filepath.Base(image), unix.ENOSPC, err)
	}
	return err
}

// verify makes sure that there is an image: mksquashfs doesn't call every failed write one.
func verify(image string) error {
	f, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// write sends the tree as a tar stream: first everything that has no bytes, then the files in the order that suits their source, then
// hard links.
func (t *Tree) write(ctx context.Context, out io.Writer, done func(int)) error {
	buffered := bufio.NewWriterSize(out, 1<<18)
	w := tar.NewWriter(buffered)
	names := map[*Node]string{}
	err := t.each(func(name string, n *Node) error {
		if name == "." || names[n] != "" {
			return nil
		}
		names[n] = name
		if n.Mode.IsRegular() {
			return nil
		}
		return w.WriteHeader(header(name, n))
	})
	if err != nil {
		return err
	}
	err = t.bytes.each(ctx, func(n *Node, r io.Reader) error {
		name := names[n]
		if name == "" {
			return nil // something else has taken its name
		}
		if err := w.WriteHeader(header(name, n)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return copyExactly(w, r, name, n.Size, done)
	})
	if err != nil {
		return err
	}
	err = t.each(func(name string, n *Node) error {
		if name == "." || names[n] == name {
			return nil
		}
		return w.WriteHeader(&tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: names[n], Format: tar.FormatPAX})
	})
	return errors.Join(err, w.Close(), buffered.Flush())
}

// copyExactly copies a file.
func copyExactly(w io.Writer, r io.Reader, name string, size int64, done func(int)) error {
	_, err := io.CopyN(w, io.TeeReader(r, &counting{read: done}), size)
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%s got shorter while it was read; try again when nothing writes into it", name)
	}
	if err != nil && !errors.Is(err, unix.EPIPE) {
		return fmt.Errorf("%s: %w", name, broken(err))
	}
	return err
}

// header is the entry of a node.
func header(name string, n *Node) *tar.Header {
	h := &tar.Header{
		Name: name, Mode: int64(linuxMode(n.Mode)), Uid: n.UID, Gid: n.GID, ModTime: n.Modified,
		Size: n.Size, Linkname: n.Link, Devmajor: n.Major, Devminor: n.Minor, Format: tar.FormatPAX,
	}
	switch n.Mode.Type() {
	case 0:
		h.Typeflag = tar.TypeReg
	case fs.ModeDir:
		h.Typeflag, h.Name = tar.TypeDir, name+"/"
	case fs.ModeSymlink:
		h.Typeflag = tar.TypeSymlink
	case fs.ModeNamedPipe:
		h.Typeflag = tar.TypeFifo
	case fs.ModeDevice:
		h.Typeflag = tar.TypeBlock
	default:
		h.Typeflag = tar.TypeChar
	}
	for key, value := range n.Xattrs {
		if h.PAXRecords == nil {
			h.PAXRecords = map[string]string{}
		}
		h.PAXRecords[xattrRecord+key] = value
	}
	return h
}

// linuxMode are permissions with setuid, setgid and sticky bits in Linux's numbers.
func linuxMode(m fs.FileMode) uint32 {
	mode := uint32(m.Perm())
	for is, bit := range map[fs.FileMode]uint32{fs.ModeSetuid: unix.S_ISUID, fs.ModeSetgid: unix.S_ISGID, fs.ModeSticky: unix.S_ISVTX} {
		if m&is != 0 {
			mode |= bit
		}
	}
	return mode
}
