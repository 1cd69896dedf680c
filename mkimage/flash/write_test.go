package flash

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/need"
)

// loop makes a loop device of size bytes with a file in dir behind it.
func loop(t *testing.T, dir string, size int64) (device, behind string) {
	t.Helper()
	need.LoopDevices(t)
	losetup := need.Command(t, "losetup", "mount")
	behind = filepath.Join(dir, "behind")
	f, err := os.Create(behind)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(losetup, "--find", "--show", behind).Output()
	if err != nil {
		t.Fatalf("losetup: %v", err)
	}
	device = strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.Command(losetup, "--detach", device).CombinedOutput(); err != nil {
			t.Errorf("losetup --detach %s: %v %s", device, err, out)
		}
	})
	return device, behind
}

// The whole way, from the list by lsblk to the comparison.
func TestRun(t *testing.T) {
	dev, behind := loop(t, t.TempDir(), 24<<20)
	im := image(t, 20<<20+512)
	typed := filepath.Base(dev) + "\n"
	options := Options{Image: im, Device: dev, Dialogue: Dialogue{bufio.NewReader(strings.NewReader(typed)), io.Discard}}
	if _, err := Run(t.Context(), options); err == nil || !strings.Contains(err.Error(), "not removable") {
		t.Errorf("a loop device without --force: %v", err)
	}
	options.Force = true
	done := map[Phase]int64{}
	options.Progress = func(p Phase, at, total int64) {
		if at < done[p] || total != im.Size {
			t.Errorf("%s: %d of %d after %d", p, at, total, done[p])
		}
		done[p] = at
	}
	if _, err := Run(t.Context(), options); err != nil {
		t.Fatal(err)
	}
	if done[Writing] != im.Size || done[Checking] != im.Size {
		t.Errorf("progress ended at %v of %d", done, im.Size)
	}
	got, err := os.ReadFile(behind)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(im.Name())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got[:len(want)], want) {
		t.Error("the device has something else on it than the image")
	}
}

// A disk whose sectors have 4096 bytes, as the kernel tells of it, is refused before anything is written.
func TestRunRefusesOtherSectors(t *testing.T) {
	dev, behind := loop(t, t.TempDir(), 24<<20)
	f, err := os.OpenFile(dev, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(unix.IoctlSetInt(int(f.Fd()), unix.LOOP_SET_BLOCK_SIZE, 4096), f.Close()); err != nil {
		t.Fatal(err)
	}
	im := image(t, 2<<20)
	im.Sector = 512
	options := Options{Image: im, Device: dev, Force: true, Dialogue: Dialogue{bufio.NewReader(strings.NewReader("")), io.Discard}}
	if _, err := Run(t.Context(), options); err == nil || !strings.Contains(err.Error(), "its sectors have 4096 bytes") {
		t.Errorf("%v", err)
	}
	if got, err := os.ReadFile(behind); err != nil || !bytes.Equal(got, make([]byte, len(got))) {
		t.Errorf("something was written, %v", err)
	}
}

// A medium that takes no more in the middle: the error says how far it got, and that the stick can't be used.
func TestFaultWhileWriting(t *testing.T) {
	need.Namespaces(t)
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=10m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	dev, _ := loop(t, dir, 32<<20)
	err := Write(t.Context(), dev, image(t, 24<<20), nil)
	var spoiled *SpoiledError
	if !errors.As(err, &spoiled) || !errors.Is(err, unix.EIO) || !strings.Contains(err.Error(), "is unusable now, write it again") {
		t.Fatalf("%v", err)
	}
	if spoiled.At < 8<<20 || spoiled.At > 24<<20 {
		t.Errorf("it failed after %d bytes, the medium has 10 MiB", spoiled.At)
	}
}

// A medium that forgets a bit.
func TestFlippedBit(t *testing.T) {
	dev, behind := loop(t, t.TempDir(), 16<<20)
	const at = 9<<20 + 123
	flip := func() {
		f, err := os.OpenFile(behind, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		b := make([]byte, 1)
		if _, err := f.ReadAt(b, at); err != nil {
			t.Fatal(err)
		}
		b[0] ^= 4
		if _, err := f.WriteAt(b, at); err != nil {
			t.Fatal(err)
		}
	}
	err := write(t.Context(), dev, image(t, 12<<20), nil, flip)
	var spoiled *SpoiledError
	if !errors.Is(err, ErrDiffers) || !errors.As(err, &spoiled) || spoiled.At != 9<<20 {
		t.Errorf("%v", err)
	}
}

func TestInterrupted(t *testing.T) {
	dev, _ := loop(t, t.TempDir(), 32<<20)
	ctx, cancel := context.WithCancel(t.Context())
	err := Write(ctx, dev, image(t, 24<<20), func(Phase, int64, int64) { cancel() })
	var spoiled *SpoiledError
	if !errors.As(err, &spoiled) || !strings.Contains(err.Error(), "interrupted") || spoiled.At != syncEvery {
		t.Errorf("%v", err)
	}
}

// A device in use is not touched.
func TestMountedDevice(t *testing.T) {
	mkfs := need.Command(t, "mkfs.ext4", "e2fsprogs")
	need.FileSystem(t, "ext4")
	dev, _ := loop(t, t.TempDir(), 16<<20)
	if out, err := exec.Command(mkfs, "-q", "-L", "PRECIOUS", dev).CombinedOutput(); err != nil {
		t.Fatalf("mkfs: %v %s", err, out)
	}
	at := t.TempDir()
	if err := unix.Mount(dev, at, "ext4", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(at, 0); err != nil {
			t.Error(err)
		}
	})
	if err := Write(t.Context(), dev, image(t, 1<<20), nil); err == nil || !strings.Contains(err.Error(), "is in use") {
		t.Errorf("written while mounted: %v", err)
	}
	list, err := List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d, err := find(list, dev)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Refuse(&Image{Size: 1 << 20}, true); err == nil || !strings.Contains(err.Error(), "umount "+at) {
		t.Errorf("%+v: %v", d, err)
	}
}
