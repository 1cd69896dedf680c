package qemu

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/boottorrent/boottorrent/internal/atomicfile"
	"github.com/boottorrent/boottorrent/internal/qemuruntime"
	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/internal/site"
)

// Packed is a runtime, ready for the store.
type Packed struct {
	System site.System
	// Unpacked is the size in bytes of what is in it.
	Unpacked int64
	// Version is QEMU's.
	Version string
}

const (
	// window is how far back the compression looks, in bytes; a node needs as much memory to undo it.
	window = 8 << 20
	// factsFile is beside the archive.
	factsFile = "facts.json"
	temporary = "tmp-"
)

// facts are what a packed runtime needs not be read for.
type facts struct {
	// Packed and Unpacked are sizes in bytes: the archive's, and that of what is in it.
	Packed   int64  `json:"packed"`
	Unpacked int64  `json:"unpacked"`
	Version  string `json:"version"`
}

// Pack makes the runtime below dir, unless it is there already, and removes what was made of earlier files. modules is the file
// of the kernel's modules (qemuruntime.ImageModules); where it doesn't exist, there are none in the runtime. begin is called
// before anything that takes time.
func (i *Installation) Pack(ctx context.Context, dir, modules string, begin func()) (Packed, error) {
	key, err := i.key(modules)
	if err != nil {
		return Packed{}, missing(err)
	}
	at := filepath.Join(dir, key)
	p := Packed{System: site.System{Name: qemuruntime.For(i.Guest), Dir: at, Arch: runtime.GOARCH, Files: []string{qemuruntime.Archive}}}
	f, err := readFacts(at)
	if err != nil {
		if begin != nil {
			begin()
		}
		f, err = i.make(ctx, dir, at, modules)
	}
	if err != nil {
		return Packed{}, fmt.Errorf("pack QEMU for the nodes: %w", missing(err))
	}
	p.Unpacked, p.Version = f.Unpacked, f.Version
	return p, removeOthers(dir, key)
}

// readFacts fails unless there is a whole runtime in the folder.
func readFacts(at string) (f facts, err error) {
	body, err := os.ReadFile(filepath.Join(at, factsFile))
	if err != nil {
		return f, err
	}
	if err := json.Unmarshal(body, &f); err != nil {
		return f, fmt.Errorf("%s: %w", filepath.Join(at, factsFile), err)
	}
	archive, err := os.Stat(filepath.Join(at, qemuruntime.Archive))
	if err == nil && archive.Size() != f.Packed {
		err = fmt.Errorf("%s has %d bytes, and had %d", qemuruntime.Archive, archive.Size(), f.Packed)
	}
	return f, err
}

// make packs into a temporary folder that then gets its name, so that what has the name is whole.
func (i *Installation) make(ctx context.Context, dir, at, modules string) (facts, error) {
	f := facts{Version: i.version()}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return f, err
	}
	temp, err := os.MkdirTemp(dir, temporary)
	if err != nil {
		return f, err
	}
	defer os.RemoveAll(temp)
	archive := filepath.Join(temp, qemuruntime.Archive)
	if f.Unpacked, err = i.archive(ctx, archive, modules); err != nil {
		return f, err
	}
	info, err := os.Stat(archive)
	if err != nil {
		return f, err
	}
	f.Packed = info.Size()
	body, err := json.Marshal(f)
	if err != nil {
		return f, err
	}
	if err := atomicfile.Write(filepath.Join(temp, factsFile), body, 0o644); err != nil {
		return f, err
	}
	if err := os.Chmod(temp, 0o755); err != nil {
		return f, err
	}
	// What is there is not whole, or it would have been taken.
	return f, errors.Join(os.RemoveAll(at), os.Rename(temp, at), atomicfile.SyncFolder(dir))
}

// removeOthers removes earlier runtimes, and what an interrupted packing left.
func removeOthers(dir, key string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if e.Name() != key {
			errs = append(errs, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

// key is a hash of all that goes into the archive: of files their sizes and times, as reading them all takes a second.
func (i *Installation) key(modules string) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, "runtime, format 1")
	stamp := func(name, file string) error {
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(h, name, file, info.Size(), info.ModTime().UnixNano())
		return err
	}
	for _, name := range i.names() {
		if err := stamp(name, i.files[name]); err != nil {
			return "", err
		}
	}
	// The modules are compared by content, as mkimage writes them anew each time.
	body, err := os.ReadFile(modules)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	fmt.Fprintf(h, "modules %x\n", sha256.Sum256(body))
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}

// archive writes the archive and returns the size of what is in it.
func (i *Installation) archive(ctx context.Context, file, modules string) (unpacked int64, err error) {
	f, err := os.Create(file)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	out := bufio.NewWriterSize(f, 1<<20)
	z, err := zstd.NewWriter(out, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithWindowSize(window),
		zstd.WithEncoderConcurrency(1))
	if err != nil {
		return 0, err
	}
	w := &writer{ctx: ctx, tar: tar.NewWriter(z)}
	for _, name := range i.names() {
		w.file(name, i.files[name], name == qemuruntime.Binary(i.Guest) || name == qemuruntime.Loader)
	}
	w.modules(modules)
	return w.size, errors.Join(w.err, w.tar.Close(), z.Close(), out.Flush(), f.Sync())
}

// writer adds files until there is an error.
type writer struct {
	ctx  context.Context
	tar  *tar.Writer
	size int64
	err  error
}

// file adds a file of this machine.
func (w *writer) file(name, from string, program bool) {
	if w.err != nil {
		return
	}
	f, err := os.Open(from)
	if err != nil {
		w.err = err
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		w.err = err
		return
	}
	mode := int64(0o644)
	if program {
		mode = 0o755
	}
	w.add(name, mode, info.Size(), f)
}

// add adds an entry. Nobody's user, no time: the same files give the same bytes.
func (w *writer) add(name string, mode, size int64, content io.Reader) {
	if w.err = w.ctx.Err(); w.err != nil {
		return
	}
	w.err = w.tar.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: size, ModTime: time.Unix(0, 0), Format: tar.FormatPAX})
	if w.err == nil {
		_, w.err = io.Copy(w.tar, io.LimitReader(content, size))
	}
	w.size += size
}

// modules copies the archive that mkimage made, whose paths are those below qemuruntime.Modules.
func (w *writer) modules(file string) {
	f, err := os.Open(file)
	if errors.Is(err, os.ErrNotExist) || w.err != nil {
		return
	}
	if err != nil {
		w.err = err
		return
	}
	defer f.Close()
	for r := tar.NewReader(f); w.err == nil; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			w.err = fmt.Errorf("%s: %w; make the image again with "+self.Mkimage(), file, err)
			return
		}
		if h.Typeflag == tar.TypeReg && filepath.IsLocal(h.Name) {
			w.add(path.Join(qemuruntime.Modules, path.Clean(h.Name)), 0o644, h.Size, r)
		}
	}
}
