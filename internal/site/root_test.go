package site

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/secureboot"
)

// What the keys of the method root become.
func TestLoadRoot(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/root.txtar")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "site")
	makeSite(t, dir, archive)
	s, problems := Load(dir)
	if len(problems) > 0 || len(s.AllProblems()) > 0 {
		t.Fatal(problems, s.AllProblems())
	}
	want := map[string]catalog.Root{
		"full": {
			Images: []catalog.RootImage{{Path: "base.squashfs", FS: "squashfs"}, {Path: "top.squashfs", FS: "squashfs"}, {Path: "data.ext4", FS: "ext4"}},
			Boot:   &catalog.RootBoot{Part: "full@boot", Kernel: "vmlinuz", Modules: "modules.img", Release: "6.1.0-13-amd64", Signed: &secureboot.File{}},
			Init:   "/usr/lib/systemd/systemd", Writable: "ram", WritableLimit: catalog.Share{Percent: 50}, Cmdline: "quiet hostname={{.Hostname}}",
		},
		"small": {Images: []catalog.RootImage{{Path: "root.squashfs", FS: "squashfs"}}, Init: "/sbin/init", Writable: "ram"},
		"unknown": {
			Images: []catalog.RootImage{{Path: "root.squashfs", FS: "squashfs"}}, Init: "/sbin/init", Writable: "none",
			Boot: &catalog.RootBoot{Part: "unknown@boot", Kernel: "Image", Modules: "modules.img", Release: "6.1.0-13-arm64", Signed: &secureboot.File{}},
		},
	}
	for _, sys := range s.Systems {
		root := want[sys.Name]
		if sys.Launch.Method != catalog.MethodRoot || !reflect.DeepEqual(*sys.Launch.Root, root) {
			t.Errorf("%s: %+v, want %+v", sys.Name, *sys.Launch.Root, root)
		}
		if len(sys.Files) != len(root.Images) || sys.Files[0] != root.Images[0].Path {
			t.Errorf("%s: its torrent has %q, and not the images alone", sys.Name, sys.Files)
		}
		part, ok := sys.BootPart()
		if ok != (root.Boot != nil) {
			t.Errorf("%s has a boot part: %v", sys.Name, ok)
		}
		if ok && (part.Name != sys.Name+"@boot" || part.Dir != sys.Dir || part.Arch != sys.Arch || !slices.Equal(part.Files, []string{root.Boot.Kernel, root.Boot.Modules})) {
			t.Errorf("the boot part of %s is %+v", sys.Name, part)
		}
	}
	if len(s.Systems) != len(want) {
		t.Errorf("%d systems", len(s.Systems))
	}
}

// The command line leaves room for what nodes add to it, by the kernel's own limit and by that of all.
func TestRootCmdline(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/root.txtar")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "site")
	makeSite(t, dir, archive)
	problem := func(cmdline string) string {
		file := filepath.Join(dir, "oss/full/config.yaml")
		text := strings.Replace(section(archive, "oss/full/config.yaml"), "quiet hostname={{.Hostname}}", cmdline, 1)
		write(t, file, []byte(text))
		s, problems := Load(dir)
		return strings.TrimSpace(lines(append(problems, s.AllProblems()...)))
	}
	if got := problem(strings.Repeat("a", catalog.MaxRootCmdline)); got != "" {
		t.Errorf("as long as may be: %s", got)
	}
	if got := problem(strings.Repeat("a", catalog.MaxRootCmdline+1)); !strings.Contains(got, "shorten it to at most 1504") {
		t.Errorf("one byte more: %s", got)
	}
	if got := problem(strings.Repeat("a", catalog.MaxRootCmdline-20) + " {{.Hostname}}"); !strings.Contains(got, "when its placeholders are filled in") {
		t.Errorf("with a placeholder: %s", got)
	}
	kernel, err := os.ReadFile(filepath.Join(dir, "oss/full/vmlinuz"))
	if err != nil {
		t.Fatal(err)
	}
	copy(kernel[0x238:], "\xff\x03") // 1023 bytes
	write(t, filepath.Join(dir, "oss/full/vmlinuz"), bytes.Clone(kernel))
	if got := problem(strings.Repeat("a", 481)); !strings.Contains(got, "shorten it to at most 480") {
		t.Errorf("a kernel that takes less: %s", got)
	}
}
