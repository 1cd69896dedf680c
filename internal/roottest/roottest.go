// Package roottest makes the files of a system of the method root for tests: each as small as what reads its header, superblock or
// index takes it for one. None can be started or mounted.
package roottest

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/u-root/mkuimage/cpio"

	"github.com/boottorrent/boottorrent/internal/modarchive"
)

// ImageSize is how many bytes the images have.
const ImageSize = 64 << 10

// Squashfs is the superblock of an image whose data is compressed by an algorithm, as mksquashfs names it, and zeros.
func Squashfs(compression string) []byte {
	b := make([]byte, ImageSize)
	copy(b, "hsqs")
	binary.LittleEndian.PutUint32(b[12:], 128<<10)
	number := slices.Index([]string{"", "gzip", "lzma", "lzo", "xz", "lz4", "zstd"}, compression)
	binary.LittleEndian.PutUint16(b[20:], uint16(number))
	binary.LittleEndian.PutUint16(b[22:], 17)
	binary.LittleEndian.PutUint16(b[28:], 4)
	binary.LittleEndian.PutUint64(b[40:], ImageSize)
	return b
}

// Ext4 is the superblock of an ext4 file system, and zeros.
func Ext4() []byte {
	b := make([]byte, ImageSize)
	binary.LittleEndian.PutUint32(b[1024+4:], ImageSize>>10)
	binary.LittleEndian.PutUint16(b[1024+0x38:], 0xef53)
	return b
}

// Kernel is the header of a kernel for amd64 that says its release; empty: it says none.
func Kernel(release string) []byte {
	b := make([]byte, 4096)
	copy(b[0x1fe:], "\x55\xaa")
	copy(b[0x202:], "HdrS\x0f\x02")
	b[0x211] = 1                                    // loadflags: loaded high
	b[0x236] = 3                                    // xloadflags: 64 bits, loadable above 4 GiB
	copy(b[0x238:], "\xff\x07\x00\x00")             // cmdline_size
	binary.LittleEndian.PutUint32(b[0x260:], 1<<20) // init_size
	if release != "" {
		binary.LittleEndian.PutUint16(b[0x20e:], 0x400)
		copy(b[0x600:], release+" (somebody@somewhere)")
	}
	return b
}

// KernelARM64 is a bare kernel for arm64 that says its release.
func KernelARM64(release string) []byte {
	b := make([]byte, 4096)
	binary.LittleEndian.PutUint64(b[16:], 1<<20) // image_size
	copy(b[56:], "ARM\x64")
	copy(b[0x600:], "Linux version "+release+" (somebody@somewhere) #1 SMP\n")
	return b
}

// Program is an ELF program for a machine, as far as anybody looks into it.
func Program(machine elf.Machine) []byte {
	var b bytes.Buffer
	h := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: 1, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1, Shentsize: 64}
	copy(h.Ident[:], elf.ELFMAG+"\x02\x01\x01")
	segment := elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Filesz: 120, Memsz: 120}
	_ = binary.Write(&b, binary.LittleEndian, h) // a buffer takes everything
	_ = binary.Write(&b, binary.LittleEndian, segment)
	return b.Bytes()
}

// Modules is an archive of the modules with these names, for a kernel of a release.
func Modules(t testing.TB, release string, names ...string) []byte {
	t.Helper()
	dir, dep := modarchive.Folder+"/"+release+"/", strings.Builder{}
	records := []cpio.Record{cpio.Directory("lib", 0o755), cpio.Directory(modarchive.Folder, 0o755), cpio.Directory(dir[:len(dir)-1], 0o755)}
	var files []cpio.Record
	for _, name := range names {
		dep.WriteString("kernel/" + name + ".ko:\n")
		files = append(files, cpio.StaticFile(dir+"kernel/"+name+".ko", "module "+name, 0o644))
	}
	for name, text := range map[string]string{modarchive.Dep: dep.String(), modarchive.Alias: "", modarchive.Softdep: "", modarchive.Builtin: ""} {
		records = append(records, cpio.StaticFile(dir+name, text, 0o644))
	}
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(archive(t, files), archive(t, records))
}

// archive is a cpio archive in the newc format.
func archive(t testing.TB, records []cpio.Record) []byte {
	t.Helper()
	var b bytes.Buffer
	w := cpio.Newc.Writer(&b)
	slices.SortFunc(records, func(a, b cpio.Record) int { return strings.Compare(a.Name, b.Name) })
	cpio.MakeAllReproducible(records)
	if err := cpio.WriteRecords(w, records); err != nil {
		t.Fatal(err)
	}
	if err := cpio.WriteTrailer(w); err != nil {
		t.Fatal(err)
	}
	return append(b.Bytes(), make([]byte, -b.Len()&3)...)
}
