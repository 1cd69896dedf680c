package flash

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// devices are those of a machine with a system disk, a data disk, three sticks and an empty card reader.
func devices(t *testing.T) []Device {
	t.Helper()
	out, err := os.ReadFile("testdata/lsblk.json")
	if err != nil {
		t.Fatal(err)
	}
	list, err := parse(out)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func device(t *testing.T, name string) Device {
	t.Helper()
	d, err := find(devices(t), name)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestRefuse(t *testing.T) {
	for _, tt := range []struct {
		name, device string
		image        int64
		force        bool
		want         string // in the error; empty: none
	}{
		{"a stick", "sdd", 40 << 20, false, ""},
		{"as large as the image", "/dev/sdd", 30943995904, false, ""},
		{"too small", "sdd", 30943995905, true, "1 bytes more"},
		{"mounted", "sdb", 1, true, "umount /media/ann/PHOTOS"},
		{"the running system, through encryption", "nvme0n1", 1, true, "the running system is on it"},
		{"not removable", "sda", 1, false, "--force"},
		{"not removable, forced", "sda", 1, true, ""},
		{"no card", "sdc", 1, true, "no medium"},
		{"write-protected", "sde", 1, true, "write-protected"},
	} {
		err := device(t, tt.device).Refuse(&Image{Size: tt.image}, tt.force)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// What counts in sectors of one size is not found on a disk with sectors of another.
func TestRefuseOtherSectors(t *testing.T) {
	for _, tt := range []struct {
		disk, image int64
		refused     bool
	}{{512, 512, false}, {4096, 512, true}, {512, 4096, true}, {4096, 4096, false}, {4096, 0, false}} {
		d := Device{Path: "/dev/sdx", Size: 1 << 30, Sector: tt.disk, Removable: true}
		err := d.Refuse(&Image{Size: 1 << 20, Sector: tt.image}, true)
		if (err != nil) != tt.refused || err != nil && !strings.Contains(err.Error(), "no firmware would find") {
			t.Errorf("%+v: %v", tt, err)
		}
	}
	list, err := parse([]byte(`{"blockdevices": [{"name": "sdx", "path": "/dev/sdx", "type": "disk", "size": 1073741824, "log-sec": 4096, "tran": "usb"},
		{"name": "sdy", "path": "/dev/sdy", "type": "disk", "size": 1073741824, "tran": "usb"}]}`))
	if err != nil || len(list) != 2 || list[0].Sector != 4096 || list[1].Sector != 512 {
		t.Errorf("lsblk tells %+v, %v", list, err)
	}
	for _, sector := range []int{512, 4096} {
		path := filepath.Join(t.TempDir(), "disk.img")
		disk := make([]byte, 64<<10)
		copy(disk[sector:], "EFI PART")
		disk[510], disk[511] = 0x55, 0xaa
		if err := os.WriteFile(path, disk, 0o644); err != nil {
			t.Fatal(err)
		}
		im, err := OpenImage(path)
		if err != nil || im.Sector != int64(sector) {
			t.Fatalf("an image with sectors of %d bytes: %+v, %v", sector, im, err)
		}
		im.Close()
	}
}

func TestFind(t *testing.T) {
	for name, want := range map[string]string{
		"sdz": "there is no disk sdz; there are /dev/zram0, ", "/dev/sdb1": "did you mean /dev/sdb?", "sr0": "no disk sr0",
	} {
		if _, err := find(devices(t), name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}

// image makes a file with a boot sector and size bytes in all.
func image(t *testing.T, size int) *Image {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk.img")
	body := make([]byte, size)
	for i := range body {
		body[i] = byte(i * 7 / 512)
	}
	body[510], body[511] = 0x55, 0xaa
	if err := os.WriteFile(path, body, 0o644); err != nil {
		t.Fatal(err)
	}
	im, err := OpenImage(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { im.Close() })
	return im
}

func TestOpenImage(t *testing.T) {
	dir := t.TempDir()
	for name, tt := range map[string]struct{ content, want string }{
		"text":       {strings.Repeat("hello ", 100), "55 AA"},
		"short":      {"x", "shorter than a disk's first sector"},
		"compressed": {"\xfd7zXZ" + strings.Repeat("x", 600), "xz -d"},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(tt.content), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenImage(path); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	if _, err := OpenImage("missing.img"); err == nil || !strings.Contains(err.Error(), "build one first: mkimage usb DIR") {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := OpenImage("/dev/null"); err == nil || !strings.Contains(err.Error(), "name the image first") {
		t.Errorf("a device: %v", err)
	}
	if _, err := OpenImage(dir); err == nil || !strings.Contains(err.Error(), "is not a file") {
		t.Errorf("a folder: %v", err)
	}
}

// What a person sees and types, up to the moment at which it would be written.
func TestDialogue(t *testing.T) {
	im := image(t, 1<<20)
	for _, tt := range []struct {
		name, device, typed string
		shows, want         string
	}{
		{"none", "", "\n", "SanDisk Ultra", "nothing was written"},
		{"nobody", "", "", "DataTraveler", "nobody answers"},
		{"only removable ones, with what is on them", "", "\n", "15 GB   4C53 0001  on it: vfat PHOTOS     can't be used: it is mounted on /media/ann/PHOTOS", "nothing was written"},
		{"a mounted one", "", "1\n", "", "umount"},
		{"not sure", "", "9\nx\n2\nno\n", "on it: iso9660 d-live.", "that is not sdd: nothing was written"},
		{"named, not sure", "sdd", "sda\n", "All that is on /dev/sdd will be lost: Kingston DataTraveler 3.0, 31 GB, serial E0D5", "nothing was written"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			_, err := Run(t.Context(), Options{
				Image: im, Device: tt.device, Dialogue: Dialogue{bufio.NewReader(strings.NewReader(tt.typed)), &out},
				list: func(context.Context) ([]Device, error) { return devices(t), nil },
			})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if !strings.Contains(out.String(), tt.shows) {
				t.Errorf("shows:\n%s\nwithout %q", &out, tt.shows)
			}
			if strings.Contains(out.String(), "ST4000DM004") {
				t.Errorf("offers a disk that is not removable:\n%s", &out)
			}
		})
	}
	pipe, typing := io.Pipe() // nobody types
	defer typing.Close()
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	_, err := Run(ctx, Options{Image: im, Device: "sdd", Dialogue: Dialogue{bufio.NewReader(pipe), io.Discard},
		list: func(context.Context) ([]Device, error) { return devices(t), nil }})
	if !errors.Is(err, ErrDeclined) || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("interrupted while asked: %v", err)
	}
	var out bytes.Buffer
	d := Dialogue{bufio.NewReader(strings.NewReader("")), &out}
	if _, err := d.choose(t.Context(), nil, &Image{Size: 1}); err == nil || errors.Is(err, ErrDeclined) || !strings.Contains(err.Error(), "plug in a stick") {
		t.Errorf("without any: %v", err)
	}
}
