package modarchive

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/u-root/mkuimage/cpio"
	"github.com/ulikunitz/xz"
)

const dir = "lib/modules/6.1.0-9-cloud-amd64/"

// index is a small index; tests change it.
func index() map[string]string {
	return map[string]string{
		dir + Dep:     "kernel/drivers/net/virtio_net.ko: kernel/net/core/failover.ko\nkernel/net/core/failover.ko:\nkernel/fs/squashfs/squashfs.ko:\n",
		dir + Alias:   "alias virtio:d00000001v* virtio_net\nalias fs-squashfs squashfs\nalias pci:v00001AF4d*sv*sd*bc*sc*i* virtio_pci\n",
		dir + Softdep: "",
		dir + Builtin: "kernel/fs/ext4/ext4.ko\nkernel/drivers/virtio/virtio-pci.ko\n",
	}
}

// first is an uncompressed cpio archive of these files and their folders.
func first(t testing.TB, files map[string]string) []byte {
	t.Helper()
	records := []cpio.Record{cpio.Directory("lib", 0o755), cpio.Directory(Folder, 0o755)}
	for name, content := range files {
		records = append(records, cpio.StaticFile(name, content, 0o644))
	}
	return archive(t, records)
}

func archive(t testing.TB, records []cpio.Record) []byte {
	t.Helper()
	var b bytes.Buffer
	w := cpio.Newc.Writer(&b)
	cpio.MakeAllReproducible(records)
	if err := cpio.WriteRecords(w, records); err != nil {
		t.Fatal(err)
	}
	if err := cpio.WriteTrailer(w); err != nil {
		t.Fatal(err)
	}
	for b.Len()%4 != 0 {
		b.WriteByte(0)
	}
	return b.Bytes()
}

func xzOf(t testing.TB, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := xz.WriterConfig{CheckSum: xz.CRC32}.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zstdOf(t testing.TB, content []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithZeroFrames(true))
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(content, nil)
}

// modules is what the second archive has; incompressible, so that it has several blocks.
func modules() []byte {
	b := make([]byte, 300_000)
	for i, x := 0, uint32(1); i < len(b); i++ {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

func read(b []byte) (*Index, error) { return Read(bytes.NewReader(b), int64(len(b))) }

func TestRead(t *testing.T) {
	for name, second := range map[string][]byte{
		"xz": xzOf(t, modules()), "zstd": zstdOf(t, modules()), "zstd of zeros": zstdOf(t, make([]byte, 500_000)),
		"zeros before and behind": slices.Concat(make([]byte, 512), xzOf(t, modules()), make([]byte, 3)),
	} {
		t.Run(name, func(t *testing.T) {
			x, err := read(slices.Concat(first(t, index()), second))
			if err != nil {
				t.Fatal(err)
			}
			if x.Release != "6.1.0-9-cloud-amd64" {
				t.Errorf("release %q", x.Release)
			}
			if want := []string{"failover", "squashfs", "virtio_net"}; !slices.Equal(x.Modules(), want) {
				t.Errorf("modules %q, want %q", x.Modules(), want)
			}
		})
	}
}

func TestIndex(t *testing.T) {
	x, err := read(slices.Concat(first(t, index()), xzOf(t, modules())))
	if err != nil {
		t.Fatal(err)
	}
	for modalias, want := range map[string][]string{
		"virtio:d00000001v00001AF4":                             {"virtio_net"},
		"pci:v00001AF4d00001000sv00001AF4sd00000001bc02sc00i00": {"virtio_pci"}, // built in
		"pci:v00008086d000015B7sv00001028sd00000738bc02sc00i00": nil,
	} {
		if got := x.Drivers(modalias); !slices.Equal(got, want) {
			t.Errorf("drivers of %s: %q, want %q", modalias, got, want)
		}
	}
	for name, want := range map[string][2]bool{ // there at all, built in
		"virtio_net": {true, false}, "virtio-net": {true, false}, "ext4": {true, true}, "virtio_pci": {true, true}, "erofs": {false, false},
	} {
		if got := [2]bool{x.Has(name), x.IsBuiltin(name)}; got != want {
			t.Errorf("%s: there and built in %v, want %v", name, got, want)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	with := func(name, content string) []byte {
		files := index()
		files[name] = content
		return slices.Concat(first(t, files), xzOf(t, modules()))
	}
	without := index()
	delete(without, dir+Softdep)
	whole := slices.Concat(first(t, index()), xzOf(t, modules()))
	wholeZstd := slices.Concat(first(t, index()), zstdOf(t, modules()))
	longName := bytes.Clone(whole)
	copy(longName[nameSizeAt:], "FFFFFFFF")
	var many []cpio.Record
	for i := range 100 {
		many = append(many, cpio.Directory(fmt.Sprintf("lib/modules/%d", i), 0o755))
	}
	for _, c := range []struct {
		name    string
		content []byte
		wrong   string
	}{
		{"empty", nil, "it is empty"},
		{"a text", []byte(strings.Repeat("text\n", 100)), "does not begin with a cpio archive"},
		{"an initrd of a distribution", xzOf(t, modules()), "compressed as a whole"},
		{"one with microcode before it", slices.Concat(archive(t, []cpio.Record{
			cpio.Directory("kernel", 0o755), cpio.StaticFile("kernel/x86/microcode/AuthenticAMD.bin", "x", 0o644),
		}), zstdOf(t, modules())), "ordinary initrd"},
		{"an uncompressed initrd", archive(t, []cpio.Record{cpio.StaticFile("init", "x", 0o755)}), `has "init"`},
		{"a link", archive(t, []cpio.Record{cpio.Symlink(dir+Dep, "/etc/passwd")}), "ordinary initrd"},
		{"an index elsewhere", with("lib/modules/a/b/modules.dep", ""), "ordinary initrd"},
		{"two kernels", with("lib/modules/5.10.0/modules.dep", ""), "two kernels, 5.10.0 and 6.1.0-9-cloud-amd64"},
		{"no index", slices.Concat(first(t, nil), xzOf(t, modules())), "no index of modules"},
		{"an index that is not whole", slices.Concat(first(t, without), xzOf(t, modules())), "it lacks lib/modules/6.1.0-9-cloud-amd64/modules.softdep"},
		{"a dependency that is not there", with(dir+Dep, "kernel/a.ko: kernel/b.ko\n"), "its module a needs b"},
		{"not modules.dep", with(dir+Dep, "kernel/a.ko\n"), "has no colon"},
		{"nothing behind it", first(t, index()), "there are no modules"},
		{"only zeros behind it", append(first(t, index()), make([]byte, 100)...), "there are no modules"},
		{"something else behind it", append(first(t, index()), "\x1f\x8b gzip"...), "neither with xz nor with zstd"},
		{"an empty xz", slices.Concat(first(t, index()), xzOf(t, nil)), "there is nothing in its part"},
		{"an empty zstd", slices.Concat(first(t, index()), zstdOf(t, nil)), "there is nothing in its part"},
		{"a cut-off xz", whole[:len(whole)-5], "it ends in the middle"},
		{"a cut-off zstd", wholeZstd[:len(wholeZstd)-5000], "it ends in the middle"},
		{"a name of 4 GiB", longName, "damaged at byte 0"},
		{"endless", archive(t, many), "more than 64 files"},
		{"another cpio", []byte("070707" + strings.Repeat("0", 200)), "another kind than newc"},
	} {
		t.Run(c.name, func(t *testing.T) {
			x, err := read(c.content)
			if err == nil || !strings.Contains(err.Error(), c.wrong) || !strings.Contains(err.Error(), "mkimage modules") {
				t.Errorf("%v, error %v; want one with %q and what to do", x, err, c.wrong)
			}
		})
	}
}

// TestReadCutOff cuts an archive off everywhere in its index: that is never an archive, and never a panic.
func TestReadCutOff(t *testing.T) {
	b := first(t, index())
	for n := range len(b) {
		if _, err := read(b[:n]); err == nil {
			t.Fatalf("the first %d bytes of %d are taken for an archive", n, len(b))
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(slices.Concat(first(f, index()), xzOf(f, []byte("modules"))))
	f.Add(slices.Concat(first(f, index()), zstdOf(f, []byte("modules"))))
	f.Add(zstdOf(f, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := read(b)
		if err != nil {
			return
		}
		if x.Release == "" || strings.Contains(x.Release, "/") {
			t.Errorf("release %q", x.Release)
		}
		x.Drivers("pci:v00008086d000015B7")
		for _, name := range x.Modules() {
			if !x.Has(name) {
				t.Errorf("module %s is listed and not there", name)
			}
		}
	})
}
