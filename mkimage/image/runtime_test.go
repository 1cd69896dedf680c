package image

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ulikunitz/xz"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/qemuruntime"
	"github.com/boottorrent/boottorrent/mkimage/drivers"
	"github.com/boottorrent/boottorrent/mkimage/kernel"
)

// object is an ELF object file with a section .modinfo, which is what makes a kernel module.
func object(t *testing.T, modinfo string) []byte {
	t.Helper()
	const names = "\x00.modinfo\x00.shstrtab\x00"
	modinfo += "\x00"
	header := elf.Header64{
		Type: uint16(elf.ET_REL), Machine: uint16(elf.EM_X86_64), Version: 1, Ehsize: 64,
		Shoff: uint64(64 + len(modinfo) + len(names)), Shentsize: 64, Shnum: 3, Shstrndx: 2,
	}
	copy(header.Ident[:], elf.ELFMAG+"\x02\x01\x01")
	var b bytes.Buffer
	for _, part := range []any{
		header, []byte(modinfo), []byte(names), elf.Section64{},
		elf.Section64{Name: 1, Type: uint32(elf.SHT_PROGBITS), Off: 64, Size: uint64(len(modinfo)), Addralign: 1},
		elf.Section64{Name: 10, Type: uint32(elf.SHT_STRTAB), Off: uint64(64 + len(modinfo)), Size: uint64(len(names)), Addralign: 1},
	} {
		if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func compressed(t *testing.T, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := xz.NewWriter(&b)
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

// The archive has each module behind what it needs, uncompressed, also one that the initramfs has (rng_core), where it may not be
// loaded; not what is built in (serio) or not in the kernel at all (kvm_intel).
func TestRuntimeModules(t *testing.T) {
	const release = "6.1.0-9-amd64"
	dir := filepath.Join(t.TempDir(), "lib/modules", release)
	writeTestFile(t, filepath.Join(dir, "modules.builtin"), "kernel/drivers/input/serio/serio.ko\n")
	want := map[string][]byte{}
	for name, depends := range map[string]string{
		"arch/x86/kvm/kvm.ko": "irqbypass", "arch/x86/kvm/kvm-amd.ko": "kvm,ccp", "virt/lib/irqbypass.ko": "", "crypto/ccp.ko": "rng-core",
		"drivers/rng-core.ko": "", "input/evdev.ko": "", "input/psmouse.ko": "serio",
	} {
		content := object(t, "depends="+depends)
		want[release+"/"+filepath.Base(name)] = content
		file := filepath.Join(dir, "kernel", name)
		writeTestFile(t, file+".xz", string(compressed(t, content)))
	}
	const order = "irqbypass.ko\nkvm.ko\nrng-core.ko\nccp.ko\nkvm-amd.ko\nevdev.ko\npsmouse.ko\n"
	want[release+"/"+qemuruntime.Order] = []byte(order)

	b := &build{kernel: kernel.Files{Modules: dir, Version: release}, set: &drivers.Set{Modules: []*drivers.Module{{Name: "rng_core"}}}}
	archive, names, err := b.runtimeModules()
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"irqbypass", "kvm", "rng_core", "ccp", "kvm_amd", "evdev", "psmouse"}; !slices.Equal(names, want) {
		t.Errorf("modules %q, want %q", names, want)
	}
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if expected, ok := want[h.Name]; err != nil || !ok || !bytes.Equal(content, expected) || h.Typeflag != tar.TypeReg {
			t.Errorf("%s has %d bytes, want %d (%v)", h.Name, len(content), len(expected), err)
		}
		delete(want, h.Name)
	}
	if len(want) > 0 {
		t.Errorf("not in the archive: %v", want)
	}
	again, _, err := b.runtimeModules()
	if err != nil || !bytes.Equal(again, archive) {
		t.Errorf("made again the archive is another: %v", err)
	}
}

// A kernel without any of the modules has an archive nevertheless, which says so to the node.
func TestRuntimeModulesOfNone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "lib/modules/1")
	writeTestFile(t, filepath.Join(dir, "kernel/a.ko"), "")
	archive, names, err := (&build{kernel: kernel.Files{Modules: dir, Version: "1"}}).runtimeModules()
	if err != nil || len(names) > 0 {
		t.Fatalf("%q, %v", names, err)
	}
	h, err := tar.NewReader(bytes.NewReader(archive)).Next()
	if err != nil || h.Name != "1/"+qemuruntime.Order || h.Size != 0 {
		t.Errorf("%+v, %v", h, err)
	}
}

// Other kernels' drivers of disks are compressed, those of one kernel only once: it takes longer than all else that an image is written with.
func TestDiskModulesAreCompressedOnce(t *testing.T) {
	folder, compressed := t.TempDir(), 0
	cached := cache{dir: t.TempDir()}
	archive := func(content string) []byte {
		t.Helper()
		dir := filepath.Join(folder, "lib/modules/1")
		writeTestFile(t, filepath.Join(dir, "kernel/fs/ext4.ko"), string(object(t, content)))
		b := &build{kernel: kernel.Files{Modules: dir, Version: "1", Arch: arch.AMD64}, cache: cached}
		b.Arch, b.Level, b.Watch.Began = arch.AMD64, 1, func(string) { compressed++ }
		packed, names, err := b.diskModules(t.Context())
		if err != nil || !slices.Equal(names, []string{"ext4"}) {
			t.Fatalf("%q, %v", names, err)
		}
		return packed
	}
	first := archive("license=GPL")
	if again := archive("license=GPL"); !bytes.Equal(again, first) || compressed != 1 {
		t.Errorf("the same archive again: %v; compressed %d times, want once", bytes.Equal(again, first), compressed)
	}
	if other := archive("license=MIT"); bytes.Equal(other, first) || compressed != 2 {
		t.Errorf("another module, and the archive is the same: %v; compressed %d times, want twice", bytes.Equal(other, first), compressed)
	}
}
