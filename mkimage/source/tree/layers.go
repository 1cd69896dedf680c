package tree

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"
)

// Layer is a tar stream, compressed or not, that can be read more than once.
type Layer struct {
	// Name is for messages. Size is in bytes, as the stream is; 0: not known.
	Name string
	Size int64
	Open func() (io.ReadCloser, error)
	// SHA256 is of the stream when it is not compressed, in hexadecimal digits; empty: not known.
	SHA256 string
}

// Whiteouts says whether layers take away what those below them have.
type Whiteouts bool

// OCI layers have files named .wh.NAME for that (OCI image specification, layer.md, "Whiteouts").
const (
	OCI   Whiteouts = true
	Plain Whiteouts = false
)

const (
	whiteoutPrefix = ".wh."
	opaqueName     = ".wh..wh..opq"
	metaPrefix     = ".wh..wh." // of aufs: says nothing about the files
)

// ReadLayers reads the names and attributes of layers, lowest first. Later entries replace earlier ones of the same name, as they
// would if the layers were unpacked one after the other. read, which may be nil, hears how many bytes of the streams were read.
func ReadLayers(ctx context.Context, layers []Layer, w Whiteouts, l Limits, read func(int64)) (*Tree, error) {
	t := newTree(l)
	s := &layerSource{layers: layers, nodes: make([][]*Node, len(layers))}
	t.bytes = s
	progress := counter(read)
	for i, layer := range layers {
		err := eachHeader(ctx, layer, t.limits.Bytes-t.files, progress, func(h *tar.Header, _ io.Reader) error {
			n, err := t.entry(h, i, w)
			if n != nil {
				n.layer, n.at = i, len(s.nodes[i])
			}
			s.nodes[i] = append(s.nodes[i], n)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", layer.Name, err)
		}
	}
	if len(t.root.children) == 0 {
		return nil, errors.New("there are no files in it")
	}
	return t, nil
}

// counter adds up for what hears a sum.
func counter(sum func(int64)) func(int) {
	var all int64
	return func(n int) {
		if all += int64(n); sum != nil {
			sum(all)
		}
	}
}

// eachHeader calls f for each entry of a layer, with a reader of its bytes.
func eachHeader(ctx context.Context, l Layer, most int64, read func(int), f func(*tar.Header, io.Reader) error) (err error) {
	raw, err := l.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, raw.Close()) }()
	stream, err := decompress(ctx, raw, most, read)
	if err != nil {
		return err
	}
	defer stream.Close()
	sum := sha256.New()
	whole := io.TeeReader(stream, sum)
	r := tar.NewReader(whole)
	for {
		h, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			_, err := io.Copy(io.Discard, whole) // what follows the end counts for the sum
			if got := hex.EncodeToString(sum.Sum(nil)); err == nil && l.SHA256 != "" && got != l.SHA256 {
				err = fmt.Errorf("its SHA-256 is %s and should be %s: it is damaged, or was changed; get it again", got, l.SHA256)
			}
			return errors.Join(err, stream.Close())
		case err != nil:
			return broken(err)
		case ctx.Err() != nil:
			return ctx.Err()
		}
		if err := f(h, r); err != nil {
			return err
		}
	}
}

// broken says of an error of package tar what a person can do.
func broken(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, tar.ErrHeader) {
		return fmt.Errorf("the archive is cut off or damaged: %w; copy or make it again", err)
	}
	return err
}

// entry carries out one entry of a layer. The node is returned if the layer has bytes for it.
func (t *Tree) entry(h *tar.Header, layer int, w Whiteouts) (*Node, error) {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil, nil
	}
	name := path.Base(h.Name)
	if w == OCI && strings.HasPrefix(name, whiteoutPrefix) {
		return nil, t.whiteout(path.Dir(path.Clean(h.Name)), name, layer)
	}
	if h.Typeflag == tar.TypeLink {
		return nil, t.link(h.Name, h.Linkname, layer)
	}
	n, err := t.nodeOf(h)
	if err != nil {
		return nil, err
	}
	if err := t.add(h.Name, n, layer); err != nil {
		return nil, err
	}
	if n.Mode.IsRegular() {
		return n, nil
	}
	return nil, nil
}

// whiteout carries out a name that takes away others.
func (t *Tree) whiteout(dir, name string, layer int) error {
	parts, err := clean(dir)
	if err != nil {
		return err
	}
	in, err := t.walk(parts, nil)
	switch {
	case errors.Is(err, errNotThere):
		return nil
	case err != nil:
		return err
	case name == opaqueName:
		t.hide(in, layer)
	case !strings.HasPrefix(name, metaPrefix):
		t.remove(in, strings.TrimPrefix(name, whiteoutPrefix), layer)
	}
	return nil
}

// types are those of entries, by what tar calls them. GNU's sparse files and what POSIX calls contiguous ones are files.
var types = map[byte]fs.FileMode{
	tar.TypeReg: 0, tar.TypeGNUSparse: 0, tar.TypeCont: 0, tar.TypeDir: fs.ModeDir, tar.TypeSymlink: fs.ModeSymlink,
	tar.TypeChar: fs.ModeDevice | fs.ModeCharDevice, tar.TypeBlock: fs.ModeDevice, tar.TypeFifo: fs.ModeNamedPipe,
}

// nodeOf is what a header describes.
func (t *Tree) nodeOf(h *tar.Header) (*Node, error) {
	kind, known := types[h.Typeflag]
	if !known {
		return nil, fmt.Errorf("%s is an entry of type %q, which no root file system has", h.Name, h.Typeflag)
	}
	n := &Node{Mode: kind | modeBits(h.Mode), UID: h.Uid, GID: h.Gid, Modified: seconds(h.ModTime)}
	switch {
	case n.Mode.IsRegular():
		n.Size = h.Size
	case kind == fs.ModeSymlink:
		n.Link = h.Linkname
	case kind&fs.ModeDevice != 0:
		n.Major, n.Minor = h.Devmajor, h.Devminor
	}
	for key, value := range h.PAXRecords {
		if name, is := strings.CutPrefix(key, xattrRecord); is {
			t.setXattr(n, h.Name, name, value)
		}
	}
	return n, nil
}

// xattrRecord begins the names of PAX records that have extended attributes (star(1)).
const xattrRecord = "SCHILY.xattr."

// setXattr gives a node an extended attribute, if squashfs has such.
func (t *Tree) setXattr(n *Node, file, name, value string) {
	for _, space := range []string{"user.", "security.", "trusted."} {
		if strings.HasPrefix(name, space) && len(name) > len(space) {
			if n.Xattrs == nil {
				n.Xattrs = map[string]string{}
			}
			n.Xattrs[name] = value
			return
		}
	}
	t.note("%s: its attribute %s was left out, as squashfs has none of that kind", file, name)
}

// modeBits are permissions with setuid, setgid and sticky bits, of Linux's numbers.
func modeBits(mode int64) fs.FileMode {
	m := fs.FileMode(mode & 0o777)
	for bit, is := range map[int64]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if mode&bit != 0 {
			m |= is
		}
	}
	return m
}

// seconds is a time as squashfs has it: whole seconds from 1970 on in 32 bits.
func seconds(t time.Time) time.Time { return time.Unix(min(max(t.Unix(), 0), 1<<32-1), 0) }
