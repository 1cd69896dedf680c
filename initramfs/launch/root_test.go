package launch

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/initramfs/root"
	"github.com/boottorrent/boottorrent/internal/catalog"
)

const (
	testMiB = 1 << 20
	testGiB = 1 << 30
)

// rootSystem is a system with an image of so many bytes.
func rootSystem(size int64, limit catalog.Share) (catalog.System, catalog.FileList) {
	sys := catalog.System{Name: "debian", Size: size, Launch: catalog.Launch{Method: catalog.MethodRoot, Root: &catalog.Root{
		Images: []catalog.RootImage{{Path: "root.squashfs", FS: "squashfs"}}, Init: "/sbin/init", Writable: catalog.WritableRAM,
		WritableLimit: limit, Cmdline: "quiet host={{.Hostname}}",
	}}}
	return sys, catalog.FileList{{Path: "root.squashfs", Size: size}}
}

// rootOn is the method on a machine with so much memory.
func rootOn(total, free int64) *rootMethod {
	m := newRoot()
	m.memory = func() (int64, int64, error) { return total, free, nil }
	return m
}

// The images are in memory once: no limit of kexec's, and none of half of the memory.
func TestRootPreflight(t *testing.T) {
	for _, tt := range []struct {
		name        string
		size        int64
		limit       catalog.Share
		none        bool
		total, free int64
		want        string // part of the error; empty: it fits
	}{
		// A machine of 4 GiB shows some 3900 MiB as its memory, of which phase 1 leaves some 3750.
		{name: "3 GiB on 4 GiB", size: 3 * testGiB, total: 3900 * testMiB, free: 3750 * testMiB},
		{name: "3.5 GiB on 4 GiB", size: 3584 * testMiB, total: 3900 * testMiB, free: 3750 * testMiB,
			want: "download 3584 MiB + storage of its 3 files and folders 1 MiB + what it writes 64 MiB + the running system 160 MiB + giving it away 40 MiB + 96 MiB that stay free = 3945 MiB, this machine has 3750 MiB"},
		{name: "a limit counts whole", size: 3 * testGiB, limit: catalog.Share{Bytes: testGiB}, total: 3900 * testMiB, free: 3750 * testMiB, want: "what it writes 1024 MiB"},
		{name: "a share is one of all of the memory", size: 3 * testGiB, limit: catalog.Share{Percent: 50}, total: 3900 * testMiB, free: 3750 * testMiB, want: "what it writes 1950 MiB"},
		{name: "read-only", size: 3400 * testMiB, none: true, total: 3900 * testMiB, free: 3700 * testMiB},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sys, files := rootSystem(tt.size, tt.limit)
			if tt.none {
				sys.Launch.Root.Writable = catalog.WritableNone
			}
			err := Preflight(sys, files, rootOn(tt.total, tt.free), Room{tt.free, -1})
			var memory *MemoryError
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (!errors.As(err, &memory) || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

func TestWritable(t *testing.T) {
	for _, tt := range []struct {
		name              string
		limit             catalog.Share
		total, free, want int64
	}{
		{"half of the memory at most", catalog.Share{}, 4 * testGiB, 3800 * testMiB, 2 * testGiB},
		{"what is left", catalog.Share{}, 4 * testGiB, 700 * testMiB, 700*testMiB - catalog.RootSystem - catalog.RootStay},
		{"never less than was counted on", catalog.Share{}, 4 * testGiB, 100 * testMiB, catalog.RootWritable},
		{"as the site says", catalog.Share{Percent: 75}, 4 * testGiB, 700 * testMiB, 4 * testGiB / 100 * 75},
		{"in bytes", catalog.Share{Bytes: 5 * testMiB}, 4 * testGiB, 700 * testMiB, 5 * testMiB},
	} {
		sys, _ := rootSystem(1, tt.limit)
		if got := writable(*sys.Launch.Root, tt.total, tt.free); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

// What can't be mounted is not started; what is mounted gets the command line with its placeholders filled in.
func TestRootLoad(t *testing.T) {
	sys, files := rootSystem(1, catalog.Share{})
	m := rootOn(4*testGiB, 3*testGiB)
	var asked root.Config
	broken := errors.New("it is broken")
	m.prepare = func(_ context.Context, c root.Config) (*root.Prepared, error) {
		asked = c
		return nil, broken
	}
	job := Job{System: sys, Files: files, Dir: "/systems/x/debian", Vars: map[string]string{"Hostname": "node7"}}
	if err := m.Load(t.Context(), job); !errors.Is(err, broken) {
		t.Errorf("loading a broken one: %v", err)
	}
	if asked.Cmdline != "quiet host=node7" || asked.Hostname != "node7" || asked.Dir != job.Dir || asked.Writable != 2*testGiB || asked.Name != "debian" {
		t.Errorf("asked for %+v", asked)
	}
	if _, err := m.Start(t.Context(), job); err == nil || errors.Is(err, ErrSwitch) {
		t.Errorf("starting it: %v", err)
	}
}
