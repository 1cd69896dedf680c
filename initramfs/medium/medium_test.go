package medium

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/fat"
	"github.com/boottorrent/boottorrent/internal/gpt"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/uki"
)

const id = 0xb0071234

// volume is a FAT file system with files.
func volume(t *testing.T, id uint32, files ...fat.File) []byte {
	t.Helper()
	b, err := fat.Make(files, fat.Options{Label: "BOOTTORRENT", ID: id})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// partitioned is a disk with a GUID partition table and two partitions: one that is none's, and the file system.
func partitioned(t *testing.T, fileSystem []byte) []byte {
	t.Helper()
	const first = 2048
	last := uint64(first + len(fileSystem)/gpt.Sector - 1)
	disk := make([]byte, (int(last)+1+gpt.Behind)*gpt.Sector)
	copy(disk[first*gpt.Sector:], fileSystem)
	err := gpt.Write(disk, gpt.GUID{1}, []gpt.Partition{
		{Type: gpt.BIOSBoot, ID: gpt.GUID{2}, First: gpt.FirstUsable, Last: first - 1},
		{Type: gpt.ESP, ID: gpt.GUID{3}, First: first, Last: last},
	})
	if err != nil {
		t.Fatal(err)
	}
	return disk
}

// disks is a machine without disks, to which insert adds some.
type disks struct {
	machine
	t *testing.T
}

func newDisks(t *testing.T) disks {
	dir := t.TempDir()
	m := machine{sys: filepath.Join(dir, "sys"), dev: filepath.Join(dir, "dev")}
	if err := errors.Join(os.Mkdir(m.sys, 0o755), os.Mkdir(m.dev, 0o755)); err != nil {
		t.Fatal(err)
	}
	return disks{m, t}
}

// insert makes the device node before the kernel tells of the disk, as devtmpfs does.
func (d disks) insert(name string, content []byte) {
	d.t.Helper()
	path := filepath.Join(d.sys, name)
	err := errors.Join(os.WriteFile(filepath.Join(d.dev, name), content, 0o644), os.MkdirAll(path, 0o755),
		os.WriteFile(filepath.Join(path, "size"), fmt.Appendln(nil, len(content)/512), 0o644))
	if err != nil {
		d.t.Fatal(err)
	}
}

// find looks for the medium for a long time, and a short one where it is not there.
func (d disks) find(within time.Duration, log func(string, ...any)) (*Medium, error) {
	ctx, cancel := context.WithTimeout(d.t.Context(), within)
	defer cancel()
	m, err := d.machine.find(ctx, id, log)
	if m != nil {
		d.t.Cleanup(func() { m.Close() })
	}
	return m, err
}

const (
	long  = 20 * time.Second
	short = 300 * time.Millisecond
)

func TestFind(t *testing.T) {
	conf := fat.File{Path: "boottorrent.conf", Data: []byte("timeout: 5\r\n")}
	ours, others := volume(t, id, conf), volume(t, 7, conf)
	for name, disk := range map[string][]byte{
		"a file system over the whole disk": ours,
		"a partition":                       partitioned(t, ours),
	} {
		t.Run(name, func(t *testing.T) {
			d := newDisks(t)
			d.insert("loop0", ours)
			d.insert("sda", bytes.Repeat([]byte("disk"), 1<<20))
			d.insert("sdb", partitioned(t, others))
			d.insert("sdc", nil) // a card reader without a card
			d.insert("sdd", []byte("short"))
			d.insert("vda", disk)
			m, err := d.find(long, t.Logf)
			if err != nil {
				t.Fatal(err)
			}
			text, err := m.Conf()
			if m.Device != "vda" || err != nil || string(text) != "timeout: 5\r\n" {
				t.Errorf("on %s there is %q, %v", m.Device, text, err)
			}
		})
	}
}

// A stick appears when its driver has looked at it, and a drive is ready when it is.
func TestFindLate(t *testing.T) {
	ours := partitioned(t, volume(t, id))
	d := newDisks(t)
	d.insert("sda", make([]byte, 1<<20))
	d.insert("sr0", nil)
	if err := os.Remove(filepath.Join(d.dev, "sr0")); err != nil {
		t.Fatal(err)
	}
	waited, inserted := make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(inserted)
		select {
		case <-waited:
		case <-t.Context().Done():
		}
		if err := os.WriteFile(filepath.Join(d.sys, "sr0", "size"), []byte("1\n"), 0o644); err != nil {
			t.Error(err)
		}
		d.insert("sr0", ours)
	}()
	m, err := d.find(long, func(format string, args ...any) {
		if text := fmt.Sprintf(format, args...); !strings.Contains(text, "waiting for the stick or disc") || !strings.Contains(text, "B007-1234") {
			t.Errorf("said: %s", text)
		}
		waited <- struct{}{}
	})
	<-inserted
	if err != nil || m.Device != "sr0" {
		t.Fatalf("%+v, %v", m, err)
	}
	if _, err := m.Conf(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without the file: %v", err)
	}
}

func TestPulledOut(t *testing.T) {
	d := newDisks(t)
	if _, err := d.find(short, t.Logf); err == nil || !strings.Contains(err.Error(), "no driver of this image has found a disk; was it pulled out?") {
		t.Errorf("without disks: %v", err)
	}
	d.insert("sda", volume(t, 7))
	d.insert("sdb", volume(t, 7))
	if err := os.Remove(filepath.Join(d.dev, "sdb")); err != nil {
		t.Fatal(err)
	}
	_, err := d.find(short, t.Logf)
	if err == nil || !strings.Contains(err.Error(), "none of sda, sdb (open ") {
		t.Errorf("with other disks: %v", err)
	}
}

// What is started again is what is in the unified kernel image.
func TestRestart(t *testing.T) {
	need.File(t, uki.StubFile, "systemd-boot-efi")
	stub, err := uki.ReadStub("/", arch.AMD64)
	if err != nil {
		t.Fatal(err)
	}
	kernel, initrd := bytes.Repeat([]byte("kernel"), 1001), bytes.Repeat([]byte("initrd"), 999)
	efi, _, err := uki.Build(uki.Image{Stub: stub, OSRelease: "ID=x", Cmdline: "quiet", Release: "6.1", Kernel: kernel, Initrd: initrd})
	if err != nil {
		t.Fatal(err)
	}
	d := newDisks(t)
	d.insert("sda", partitioned(t, volume(t, id, fat.File{Path: bootFile, Data: efi})))
	m, err := d.find(long, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	loaded := false
	load := func(k, i *os.File, cmdline string) error {
		for f, want := range map[*os.File][]byte{k: kernel, i: initrd} {
			info, err := f.Stat()
			if err != nil {
				return err
			}
			if got, err := io.ReadAll(io.NewSectionReader(f, 0, info.Size())); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: %d bytes, want %d: %v", f.Name(), len(got), len(want), err)
			}
		}
		loaded = cmdline == "quiet nomodeset"
		return nil
	}
	if err := m.restart("quiet nomodeset", load, func() error { return nil }); !loaded || err == nil || !strings.Contains(err.Error(), "did not hand over") {
		t.Errorf("loaded %v, %v", loaded, err)
	}
	refused := errors.New("refused")
	unsigned := func(_, _ *os.File, _ string) error { return syscall.ENOKEY }
	if err := m.restart("", unsigned, nil); !errors.Is(err, syscall.ENOKEY) || !strings.Contains(err.Error(), "not signed by a key that this machine trusts") {
		t.Errorf("a kernel that is locked down: %v", err)
	}
	if err := m.restart("", func(_, _ *os.File, _ string) error { return refused }, nil); !errors.Is(err, refused) {
		t.Errorf("a kernel that is refused: %v", err)
	}
}

func TestRestartWithoutKernel(t *testing.T) {
	d := newDisks(t)
	d.insert("sda", volume(t, id, fat.File{Path: bootFile, Data: []byte("MZ")}))
	m, err := d.find(long, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Restart("quiet"); err == nil || !strings.Contains(err.Error(), bootFile) {
		t.Errorf("a file that is no kernel: %v", err)
	}
}

// A disk may hold anything.
func FuzzVolumeOf(f *testing.F) {
	fileSystem, err := fat.Make([]fat.File{{Path: "boottorrent.conf", Data: []byte("timeout: 5\n")}}, fat.Options{ID: id})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(fileSystem[:8<<10]) // the beginning of the tables
	disk := make([]byte, 3<<20)
	if err := gpt.Write(disk, gpt.GUID{1}, []gpt.Partition{{Type: gpt.ESP, First: 40, Last: 6000}}); err != nil {
		f.Fatal(err)
	}
	copy(disk[40*gpt.Sector:], fileSystem)
	f.Add(disk[:24<<10])
	f.Fuzz(func(t *testing.T, disk []byte) {
		v, _, err := volumeOf(bytes.NewReader(disk), id)
		if v == nil {
			return
		}
		if err != nil || v.ID != id {
			t.Errorf("found %08x, %v", v.ID, err)
		}
		if text, err := v.ReadFile("boottorrent.conf", 1<<10); err == nil && len(text) > 1<<10 {
			t.Errorf("%d bytes were read", len(text))
		}
	})
}
