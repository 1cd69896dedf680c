package tiny

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
)

// ingredients makes a kernel and three modules, each packed differently.
func ingredients(t *testing.T) (kernel string, modules []string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var x bytes.Buffer
	w, err := xz.NewWriter(&x)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("module by xz")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return write("vmlinuz-6", []byte("a kernel")), []string{
		write("virtio.ko", []byte("module")),
		write("crc.ko.xz", x.Bytes()),
		write("e1000.ko.zst", z.EncodeAll([]byte("module by zstd"), nil)),
	}
}

func TestBuild(t *testing.T) {
	kernel, modules := ingredients(t)
	const padding = 1<<20 + 1
	var dirs []string
	for range 2 {
		dir := filepath.Join(t.TempDir(), "small")
		if err := Build(t.Context(), dir, arch.AMD64, kernel, modules, padding); err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, dir)
	}
	for _, name := range []string{"config.yaml", "vmlinuz", "initrd.gz", "padding.cpio"} {
		if a, b := read(t, dirs[0], name), read(t, dirs[1], name); !bytes.Equal(a, b) {
			t.Errorf("%s differs between two builds", name)
		}
	}
	if got := string(read(t, dirs[0], "vmlinuz")); got != "a kernel" {
		t.Errorf("vmlinuz is %q", got)
	}
	checkConfig(t, read(t, dirs[0], "config.yaml"))
	checkPadding(t, filepath.Join(dirs[0], "padding.cpio"), padding)
	checkInitrd(t, filepath.Join(dirs[0], "initrd.gz"))
}

func read(t *testing.T, path ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func checkConfig(t *testing.T, data []byte) {
	t.Helper()
	var c struct {
		Dispname, Description, Arch, Method, Kernel, Cmdline string
		Initrd                                               []string
	}
	if err := yaml.UnmarshalWithOptions(data, &c, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if c.Arch != "amd64" || c.Dispname != "Tiny system (small)" || c.Method != catalog.MethodKexec || c.Kernel != "vmlinuz" ||
		strings.Join(c.Initrd, " ") != "padding.cpio initrd.gz" || c.Cmdline != Cmdline {
		t.Errorf("config.yaml says %+v", c)
	}
	if _, err := catalog.Expand(c.Cmdline, nil); err != nil {
		t.Error(err)
	}
}

// unpack runs cpio, the tool, on an archive and returns the folder it made.
func unpack(t *testing.T, archive []byte) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), need.Command(t, "cpio", "cpio"), "-id", "--quiet", "--no-absolute-filenames",
		"init", "padding", "lib/*")
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(archive)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("cpio: %v: %s", err, out)
	}
	return dir
}

func checkPadding(t *testing.T, path string, size int) {
	t.Helper()
	content := read(t, unpack(t, read(t, path)), "padding")
	if len(content) != size {
		t.Errorf("padding has %d bytes, want %d", len(content), size)
	}
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	if packed := len(z.EncodeAll(content, nil)); packed < size {
		t.Errorf("padding compresses to %d bytes", packed)
	}
}

func checkInitrd(t *testing.T, path string) {
	t.Helper()
	archive, err := exec.CommandContext(t.Context(), "gzip", "-dc", path).Output()
	if err != nil {
		t.Fatalf("gzip -dc: %v", err)
	}
	dir := unpack(t, archive)
	if program := read(t, dir, "init"); !bytes.HasPrefix(program, []byte("\x7fELF")) {
		t.Error("init is not a program")
	}
	if got, want := string(read(t, dir, "lib/modules-tiny/order")), "virtio.ko\ncrc.ko\ne1000.ko\n"; got != want {
		t.Errorf("modules in the order %q, want %q", got, want)
	}
	for name, want := range map[string]string{"virtio.ko": "module", "crc.ko": "module by xz", "e1000.ko": "module by zstd"} {
		if got := string(read(t, dir, "lib/modules-tiny", name)); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestBuildWithoutPadding(t *testing.T) {
	kernel, _ := ingredients(t)
	dir := filepath.Join(t.TempDir(), "plain")
	if err := Build(t.Context(), dir, arch.AMD64, kernel, nil, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "padding.cpio")); !os.IsNotExist(err) {
		t.Errorf("padding.cpio: %v", err)
	}
	if config := string(read(t, dir, "config.yaml")); !strings.Contains(config, "\ninitrd: initrd.gz\n") {
		t.Errorf("config.yaml is\n%s", config)
	}
}

func TestBuildFails(t *testing.T) {
	kernel, _ := ingredients(t)
	for name, c := range map[string]struct {
		kernel  string
		modules []string
		padding int64
		want    string
	}{
		"no kernel":        {"nowhere", nil, 0, "nowhere"},
		"no module":        {kernel, []string{"gone.ko"}, 0, "gone.ko"},
		"a broken module":  {kernel, []string{kernel + ".xz"}, 0, ".xz"},
		"too much padding": {kernel, nil, 1 << 32, "4294967295"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(kernel+".xz", []byte("not xz"), 0o644); err != nil {
				t.Fatal(err)
			}
			err := Build(t.Context(), filepath.Join(t.TempDir(), "x"), arch.AMD64, c.kernel, c.modules, c.padding)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}
