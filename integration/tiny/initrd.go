package tiny

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/u-root/u-root/pkg/cpio"
	"github.com/ulikunitz/xz"

	"github.com/boottorrent/boottorrent/internal/arch"
)

// initPackage is the command that becomes /init.
const initPackage = "github.com/boottorrent/boottorrent/integration/tiny/init"

// maxPadding is what fits into a file of a cpio archive: newc has eight hexadecimal digits for a size.
const maxPadding = 1<<32 - 1

// Initrd writes the initramfs of the tiny system alone, for a kernel that is started without BootTorrent: a cpio
// archive (newc) compressed by gzip. Modules are as for Build.
func Initrd(ctx context.Context, path string, a arch.Arch, modules []string) error {
	program, err := compile(ctx, a)
	if err != nil {
		return err
	}
	records := []cpio.Record{
		cpio.Directory("dev", 0o755),
		// The kernel opens it for /init before devtmpfs is there.
		cpio.CharDev("dev/console", 0o600, 5, 1),
		cpio.Directory("lib", 0o755),
		cpio.Directory("lib/modules-tiny", 0o755),
		cpio.StaticFile("init", string(program), 0o755),
	}
	var order strings.Builder
	for _, m := range modules {
		data, err := readModule(m)
		if err != nil {
			return err
		}
		name := moduleName(m)
		fmt.Fprintln(&order, name)
		records = append(records, cpio.StaticFile("lib/modules-tiny/"+name, string(data), 0o644))
	}
	records = append(records, cpio.StaticFile("lib/modules-tiny/order", order.String(), 0o644))
	return create(path, func(w io.Writer) error {
		z := gzip.NewWriter(w)
		if err := archive(z, records...); err != nil {
			return err
		}
		return z.Close()
	})
}

var compiled = struct {
	sync.Mutex
	programs map[arch.Arch][]byte
}{programs: map[arch.Arch][]byte{}}

// compile builds /init as a static program, once a process for each architecture.
func compile(ctx context.Context, a arch.Arch) ([]byte, error) {
	compiled.Lock()
	defer compiled.Unlock()
	if program := compiled.programs[a]; program != nil {
		return program, nil
	}
	program, err := buildInit(ctx, a)
	compiled.programs[a] = program
	return program, err
}

func buildInit(ctx context.Context, a arch.Arch) ([]byte, error) {
	dir, err := os.MkdirTemp("", "boottorrent-tiny-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "init")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", out, initPackage)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+string(a))
	if said, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("compile %s (within its module?): %w: %s", initPackage, err, said)
	}
	return os.ReadFile(out)
}

// moduleName is the name of a module's file when it is not compressed.
func moduleName(path string) string {
	name := filepath.Base(path)
	return strings.TrimSuffix(strings.TrimSuffix(name, ".xz"), ".zst")
}

// readModule reads a kernel module, and decompresses it: Debian compresses them by xz since version 13.
func readModule(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var r io.Reader
	switch filepath.Ext(path) {
	case ".xz":
		r, err = xz.NewReader(bytes.NewReader(data))
	case ".zst":
		r, err = zstd.NewReader(bytes.NewReader(data))
	default:
		return data, nil
	}
	if err == nil {
		data, err = io.ReadAll(r)
	}
	if err != nil {
		return nil, fmt.Errorf("decompress module %s: %w", path, err)
	}
	return data, nil
}

// writePadding writes an archive with a file of pseudo-random bytes, the same ones for the same size.
func writePadding(path string, size int64) error {
	if size > maxPadding {
		return fmt.Errorf("padding of %d bytes: a cpio archive takes files of up to %d", size, int64(maxPadding))
	}
	content := rand.NewChaCha8([32]byte{})
	return create(path, func(w io.Writer) error {
		return archive(w, cpio.Record{
			Info:     cpio.Info{Name: "padding", Mode: cpio.S_IFREG | 0o644, NLink: 1, FileSize: uint64(size)},
			ReaderAt: &forwardReader{r: io.LimitReader(content, size)},
		})
	})
}

// archive writes a whole cpio archive whose bytes depend on nothing but the records.
func archive(w io.Writer, records ...cpio.Record) error {
	cpio.MakeAllReproducible(records)
	out := cpio.Newc.Writer(w)
	if err := cpio.WriteRecords(out, records); err != nil {
		return err
	}
	return cpio.WriteTrailer(out)
}

// forwardReader is an io.ReaderAt for what can only be read once, from its beginning on.
type forwardReader struct {
	r    io.Reader
	next int64
}

// ReadAt implements io.ReaderAt.
func (f *forwardReader) ReadAt(p []byte, at int64) (int, error) {
	if at != f.next {
		return 0, fmt.Errorf("read at %d, want %d", at, f.next)
	}
	n, err := io.ReadFull(f.r, p)
	f.next += int64(n)
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	return n, err
}
