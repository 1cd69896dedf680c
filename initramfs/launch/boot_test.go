package launch

import (
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

func TestOtherKernel(t *testing.T) {
	own, other := strings.Repeat("a", 64), strings.Repeat("b", 64)
	squash, ext4 := []catalog.RootImage{{FS: "squashfs"}}, []catalog.RootImage{{FS: "squashfs"}, {FS: "ext4"}}
	for name, c := range map[string]struct {
		images  []catalog.RootImage
		boot    *catalog.RootBoot
		started string
		want    bool
		err     string
	}{
		"no kernel of its own":                 {images: squash},
		"this kernel":                          {images: squash, boot: &catalog.RootBoot{KernelSHA256: own}},
		"another kernel":                       {images: squash, boot: &catalog.RootBoot{KernelSHA256: other}, want: true},
		"another kernel, for another system":   {images: squash, boot: &catalog.RootBoot{KernelSHA256: other}, started: "fedora", want: true},
		"this kernel, which lacks ext4":        {images: ext4, boot: &catalog.RootBoot{KernelSHA256: own}, want: true},
		"its modules lack ext4":                {images: ext4, boot: &catalog.RootBoot{KernelSHA256: own, Release: "6.1.0-1"}, started: "debian", err: "its kernel 6.1.0-1 can't mount ext4"},
		"another system's modules lack ext4":   {images: ext4, boot: &catalog.RootBoot{KernelSHA256: own}, started: "fedora", want: true},
		"ext4, and no kernel of its own":       {images: ext4, err: "phase 1's kernel can't mount ext4"},
		"another kernel, which may mount ext4": {images: ext4, boot: &catalog.RootBoot{KernelSHA256: other}, want: true},
	} {
		sys := catalog.System{Name: "debian", Launch: catalog.Launch{Method: catalog.MethodRoot, Root: &catalog.Root{Images: c.images, Boot: c.boot}}}
		host := Host{KernelSHA256: own, Started: c.started, Mounts: func(fs string) bool { return fs == "squashfs" }}
		got, err := OtherKernel(sys, host)
		if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if got, err := OtherKernel(catalog.System{Launch: catalog.Launch{Method: catalog.MethodKexec}}, Host{}); got || err != nil {
		t.Errorf("of another method: %v, %v", got, err)
	}
}

// What a boot part takes is said before it is downloaded: the initramfs that is made, the modules appended to it, and kexec's copies.
func TestBootKernelNeed(t *testing.T) {
	sys := catalog.System{Name: "debian", Launch: catalog.Launch{Method: catalog.MethodRoot, Root: &catalog.Root{
		Boot: &catalog.RootBoot{Kernel: "vmlinuz", Modules: "modules.img"}}}}
	part := catalog.Runtime{System: catalog.System{Name: "debian@boot", Size: 12 << 20, InfoHash: catalog.InfoHash{1}}}
	files := catalog.FileList{{Path: "vmlinuz", Size: 8 << 20}, {Path: "modules.img", Size: 4 << 20}}
	b := NewBootKernel(20 << 20)
	job := b.Job(sys, part, files, "/systems", "quiet")
	if initramfs := ComposedInitramfs("/systems"); initramfs != "/systems/composed/initramfs" || job.System.Launch.Kexec.Kernel != part.InfoHash.String()+"/debian@boot/vmlinuz" {
		t.Errorf("%+v", job.System.Launch.Kexec)
	}
	need := b.Need(job.System, job.Files)
	if files, copies := need.Files>>20, need.Copies>>20; files != 24 || copies != 8+72+2*24 {
		t.Errorf("files %d MiB, copies %d MiB", files, copies)
	}
	err := Preflight(job.System, job.Files, b, Room{Memory: 100 << 20, Inodes: -1})
	if err == nil || !strings.Contains(err.Error(), "the kernel of debian does not fit into memory: download 12 MiB + ") || !strings.Contains(err.Error(), "its initramfs 25 MiB") {
		t.Errorf("%v", err)
	}
}
