package launch

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/qemuruntime"
)

// packed makes a runtime's archive of these files.
func packed(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(tarred(t, headers...)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func tarred(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(bytes.Repeat([]byte("x"), int(h.Size))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestUnpack(t *testing.T) {
	long := strings.Repeat("long/", 60) + "name"
	dir := filepath.Join(t.TempDir(), "runtime")
	archive := filepath.Join(t.TempDir(), qemuruntime.Archive)
	content := packed(t, tar.Header{Name: qemuruntime.Binary(arch.AMD64), Mode: 0o755, Size: 1000}, tar.Header{Name: qemuruntime.Loader, Mode: 0o644, Size: 1},
		tar.Header{Name: "share/bios.bin", Mode: 0o4644}, tar.Header{Name: long, Size: 3})
	if err := os.WriteFile(archive, content, 0o644); err != nil {
		t.Fatal(err)
	}
	// Twice, as after a failure further on; the first leaves something that must not stay.
	for range 2 {
		if err := UnpackRuntime(t.Context(), archive, dir, 1004); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, "old")); err == nil {
			t.Error("an earlier file is still there")
		}
		if err := os.WriteFile(filepath.Join(dir, "old"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, mode := range map[string]os.FileMode{qemuruntime.Binary(arch.AMD64): 0o755, qemuruntime.Loader: 0o755, "share/bios.bin": 0o644, long: 0o644} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode() != mode {
			t.Errorf("%.30s: %v, %v", name, info, err)
		}
	}
	if b, err := os.ReadFile(filepath.Join(dir, long)); err != nil || string(b) != "xxx" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestUnpackRefuses(t *testing.T) {
	good := packed(t, tar.Header{Name: "bin/a", Size: 100}, tar.Header{Name: "bin/b", Size: 100})
	for name, tt := range map[string]struct {
		content []byte
		want    string
	}{
		"a path that leaves":     {packed(t, tar.Header{Name: "../evil"}), `"../evil" is not a regular file with a clean path`},
		"an absolute path":       {packed(t, tar.Header{Name: "/etc/evil"}), "clean path"},
		"an unclean path":        {packed(t, tar.Header{Name: "a/../b"}), "clean path"},
		"a link":                 {packed(t, tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "/etc"}), "not a regular file"},
		"a device":               {packed(t, tar.Header{Name: "d", Typeflag: tar.TypeBlock}), "not a regular file"},
		"a file twice":           {packed(t, tar.Header{Name: "a"}, tar.Header{Name: "a"}), "exists"},
		"more than was said":     {packed(t, tar.Header{Name: "a", Size: 150}, tar.Header{Name: "b", Size: 51}), `more in it than the catalog says, from "b" on`},
		"a file below a file":    {packed(t, tar.Header{Name: "a"}, tar.Header{Name: "a/b"}), "exists"},
		"an archive cut off":     {good[:len(good)-10], "EOF"},
		"something else":         {[]byte("not zstd"), "magic"},
		"more files than anyone": {packed(t, slices.Repeat([]tar.Header{{Name: "d/", Typeflag: tar.TypeDir}}, maxRuntimeFiles+1)...), "too many files"},
	} {
		archive, dir := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "runtime")
		if err := os.WriteFile(archive, tt.content, 0o644); err != nil {
			t.Fatal(err)
		}
		err := UnpackRuntime(t.Context(), archive, dir, 200)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: something was left: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := unpack(ctx, bytes.NewReader(good), t.TempDir(), 200); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// countdown is a context that ends after some looks at it.
type countdown struct {
	context.Context
	left int
}

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

func TestUnpackStopsHalfWay(t *testing.T) {
	dir := t.TempDir()
	content := packed(t, tar.Header{Name: "a"}, tar.Header{Name: "b"}, tar.Header{Name: "c"})
	if err := unpack(&countdown{t.Context(), 2}, bytes.NewReader(content), dir, 200); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if got := len(contents(t, dir)); got != 2 {
		t.Errorf("%d files", got)
	}
}

// memory is a folder that only counts what would be on the disk.
type memory map[string]*file

type file struct{ size int }

func (f *file) Write(p []byte) (int, error) { f.size += len(p); return len(p), nil }
func (f *file) Close() error                { return nil }

func (m memory) Create(name string, _ os.FileMode) (io.WriteCloser, error) {
	if m[name] != nil {
		return nil, os.ErrExist
	}
	m[name] = &file{}
	return m[name], nil
}

// No archive makes a file outside of the folder, or more bytes than allowed. Zstandard is left out, and the sums of headers are put
// right: bytes that were changed hardly ever come through these to what is of interest.
func FuzzUnpack(f *testing.F) {
	f.Add(tarred(f, tar.Header{Name: "bin/a", Size: 100, Mode: 0o755}, tar.Header{Name: "b/", Typeflag: tar.TypeDir}))
	f.Add(tarred(f, tar.Header{Name: "../a", Size: 1}))
	f.Add(tarred(f, tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "/"}, tar.Header{Name: "l/x"}))
	f.Add(tarred(f, tar.Header{Name: strings.Repeat("long/", 60) + "name", Size: 3}))
	f.Add(tarred(f, tar.Header{Name: "a", Format: tar.FormatPAX, PAXRecords: map[string]string{"BOOT.x": "y"}}))
	f.Fuzz(func(t *testing.T, archive []byte) {
		got := memory{}
		_ = extract(t.Context(), bytes.NewReader(withSums(archive)), got, 1000)
		sum := 0
		for name, file := range got {
			if !filepath.IsLocal(name) || filepath.Clean(name) != name {
				t.Errorf("%q is outside, or can be written twice", name)
			}
			sum += file.size
		}
		if sum > 1000 {
			t.Errorf("%d bytes", sum)
		}
	})
}

// withSums puts right the sums of whatever may be a header in a tar archive (POSIX.1-2024, pax, "ustar Interchange Format").
func withSums(archive []byte) []byte {
	const block, sumAt, sumEnd, magicAt = 512, 148, 156, 257
	archive = bytes.Clone(archive)
	for at := 0; at+block <= len(archive); at += block {
		header := archive[at : at+block]
		if string(header[magicAt:magicAt+5]) != "ustar" {
			continue
		}
		copy(header[sumAt:sumEnd], "        ")
		sum := 0
		for _, b := range header {
			sum += int(b)
		}
		copy(header[sumAt:sumEnd], fmt.Sprintf("%06o\x00 ", sum))
	}
	return archive
}

func TestLoadRuntimeModules(t *testing.T) {
	runtime := t.TempDir()
	dir := filepath.Join(runtime, qemuruntime.Modules, "6.1.0-9-amd64")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, qemuruntime.Order), []byte("irqbypass.ko\nkvm.ko\nkvm_intel.ko\nkvm_amd.ko\n../evil.ko\nbad.ko\nevdev.ko.xz\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var loaded []string
	load := func(path string) error {
		if filepath.Dir(path) != dir {
			t.Errorf("loads %s", path)
		}
		loaded = append(loaded, filepath.Base(path))
		return map[string]error{"kvm.ko": unix.EEXIST, "kvm_intel.ko": unix.EOPNOTSUPP, "kvm_amd.ko": unix.ENODEV, "bad.ko": unix.ENOEXEC}[filepath.Base(path)]
	}
	err := loadRuntimeModules(runtime, "6.1.0-10-amd64", load)
	if err == nil || !strings.Contains(err.Error(), "no modules for this node's kernel 6.1.0-10-amd64") || len(loaded) > 0 {
		t.Errorf("another kernel: %v, loaded %q", err, loaded)
	}
	err = loadRuntimeModules(runtime, "6.1.0-9-amd64", load)
	if !errors.Is(err, unix.ENOEXEC) || !strings.Contains(err.Error(), "bad.ko") || !strings.Contains(err.Error(), "../evil.ko") ||
		strings.Contains(err.Error(), "kvm") {
		t.Errorf("error %v", err)
	}
	if want := []string{"irqbypass.ko", "kvm.ko", "kvm_intel.ko", "kvm_amd.ko", "bad.ko", "evdev.ko.xz"}; !slices.Equal(loaded, want) {
		t.Errorf("loaded %q", loaded)
	}
	if _, err := os.Stat(filepath.Join(runtime, qemuruntime.Modules)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the modules' files are still there: %v", err)
	}
}

func TestProbeKVM(t *testing.T) {
	dir := t.TempDir()
	notKVM := filepath.Join(dir, "file")
	if err := os.WriteFile(notKVM, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ device, flags, want string }{
		{"absent", "fpu vmx", "the processor can virtualize, but KVM does not work: look in the firmware's setup"},
		{"absent", "svm", "Intel VT-x, AMD SVM"},
		{"absent", "fpu hypervisor", "a virtual machine itself"},
		{"absent", "fpu", "has no virtualization, or it is switched off"},
		{"file", "vmx", "ask " + notKVM},
	} {
		err := probeKVM(filepath.Join(dir, tt.device), fmt.Sprintf("processor\t: 0\nflags\t\t: %s\n\nflags: vmx\n", tt.flags))
		checkWords(t, tt.device+" "+tt.flags, err, tt.want)
	}
	if err := whyNoKVM("", io.EOF); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}
