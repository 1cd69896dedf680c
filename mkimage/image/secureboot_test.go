package image

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/authenticode"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/internal/uki"
	"github.com/boottorrent/boottorrent/mkimage/keys"
)

// kernelsOf makes a build of a site with two systems that have a kernel of their own, of each method, and one that has none.
func kernelsOf(t *testing.T, kernel []byte) *build {
	t.Helper()
	dir := t.TempDir()
	systems := []site.System{
		{Name: "kexec", Launch: catalog.Launch{Method: catalog.MethodKexec, Kexec: &catalog.Kexec{Kernel: "vmlinuz"}}},
		{Name: "root", Launch: catalog.Launch{Method: catalog.MethodRoot, Root: &catalog.Root{Boot: &catalog.RootBoot{Kernel: "vmlinuz"}}}},
		{Name: "plain", Launch: catalog.Launch{Method: catalog.MethodRoot, Root: &catalog.Root{}}},
	}
	for i := range systems {
		systems[i].Dir = filepath.Join(dir, systems[i].Name)
		if err := os.Mkdir(systems[i].Dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(systems[i].Dir, "vmlinuz"), kernel, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	key, err := keys.New("room", "db", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return &build{Options: Options{Log: slog.New(slog.DiscardHandler)}, site: &site.Site{Systems: systems}, kernelKey: key}
}

// What is asked for is signed where it is, by the site's key alone, and only that.
func TestSignKernels(t *testing.T) {
	stub, err := os.ReadFile(need.File(t, uki.StubFile, "systemd-boot-efi")) // a PE file, as a kernel is
	if err != nil {
		t.Fatal(err)
	}
	b := kernelsOf(t, stub)
	b.SignKernels = []string{"kexec", "root"}
	for range 2 { // what is signed stays as it is
		if err := b.signKernels(); err != nil {
			t.Fatal(err)
		}
	}
	for name, signed := range map[string]bool{"kexec": true, "root": true, "plain": false} {
		kernel, err := os.ReadFile(filepath.Join(b.site.Systems[0].Dir, "..", name, "vmlinuz"))
		if err != nil {
			t.Fatal(err)
		}
		by, err := authenticode.Read(bytes.NewReader(kernel), int64(len(kernel)))
		if err != nil || (len(by.By) == 1) != signed || len(by.By) > 1 {
			t.Errorf("%s is signed by %v, %v", name, by, err)
		}
	}
	info, err := os.Stat(filepath.Join(b.site.Systems[0].Dir, "vmlinuz"))
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the file's mode is %v, %v", info.Mode(), err)
	}
}

// Where one can't be signed, none is.
func TestSignKernelsRefuses(t *testing.T) {
	for names, want := range map[string]string{
		"gone": "the site has no such system", "plain": "has no kernel of its own", "kexec": "vmlinuz: ",
	} {
		b := kernelsOf(t, []byte("no kernel"))
		b.SignKernels = []string{names}
		if err := b.signKernels(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", names, err, want)
		}
	}
}

// Signed is the file that config.yaml leads to, not a link to it; another name of the file outside of the system stays as it is. Who owns the
// file, and who may read it, does not change.
func TestSignKernelsLinks(t *testing.T) {
	need.Root(t)
	stub, err := os.ReadFile(need.File(t, uki.StubFile, "systemd-boot-efi"))
	if err != nil {
		t.Fatal(err)
	}
	b := kernelsOf(t, stub)
	dir := b.site.Systems[0].Dir
	link, file, outside := filepath.Join(dir, "vmlinuz"), filepath.Join(dir, "vmlinuz-6.1"), filepath.Join(t.TempDir(), "vmlinuz")
	if err := errors.Join(os.Rename(link, file), os.Symlink("vmlinuz-6.1", link), os.Link(file, outside), os.Chown(file, 1234, 5678)); err != nil {
		t.Fatal(err)
	}
	b.SignKernels = []string{"kexec"}
	if err := b.signKernels(); err != nil {
		t.Fatal(err)
	}
	if target, err := os.Readlink(link); err != nil || target != "vmlinuz-6.1" {
		t.Errorf("the link leads to %q, %v", target, err)
	}
	for path, signed := range map[string]bool{file: true, outside: false} {
		kernel, err := os.ReadFile(path)
		if err != nil || b.kernelKey.Signed(kernel) != signed {
			t.Errorf("%s is signed: %v, %v", path, !signed, err)
		}
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if owner := info.Sys().(*syscall.Stat_t); owner.Uid != 1234 || owner.Gid != 5678 || info.Mode().Perm() != 0o640 {
		t.Errorf("it belongs to %d:%d now, and has mode %v", owner.Uid, owner.Gid, info.Mode())
	}
	if left := entries(t, dir); left != "vmlinuz vmlinuz-6.1" {
		t.Errorf("there are %s now", left)
	}
}

// Of several that are named none is signed where one can't be.
func TestSignKernelsAllOrNone(t *testing.T) {
	stub, err := os.ReadFile(need.File(t, uki.StubFile, "systemd-boot-efi"))
	if err != nil {
		t.Fatal(err)
	}
	b := kernelsOf(t, stub)
	broken := filepath.Join(b.site.Systems[1].Dir, "vmlinuz")
	b.SignKernels = []string{"kexec", "root"}
	for what, spoil := range map[string]func() error{
		"cut off":   func() error { return os.WriteFile(broken, stub[:len(stub)/2], 0o644) },
		"a script":  func() error { return os.WriteFile(broken, []byte("#!/bin/sh\n"), 0o644) },
		"empty":     func() error { return os.WriteFile(broken, nil, 0o644) },
		"not there": func() error { return os.Remove(broken) },
		"no end":    func() error { return os.WriteFile(broken, stub[:0x40], 0o644) },
		"a folder":  func() error { return errors.Join(os.RemoveAll(broken), os.Mkdir(broken, 0o755)) },
	} {
		if err := errors.Join(os.RemoveAll(broken), os.WriteFile(broken, nil, 0o644), spoil()); err != nil {
			t.Fatal(err)
		}
		if err := b.signKernels(); err == nil || !strings.Contains(err.Error(), "vmlinuz") {
			t.Errorf("%s: %v", what, err)
		}
		if kernel, err := os.ReadFile(filepath.Join(b.site.Systems[0].Dir, "vmlinuz")); err != nil || !bytes.Equal(kernel, stub) {
			t.Errorf("%s: the other kernel was changed (%v)", what, err)
		}
	}
}

// What is signed is what was asked for: a kernel for machines that start by shim leaves the image as they need it.
func TestFindKey(t *testing.T) {
	dir := t.TempDir()
	if _, err := keys.Make(dir, "Room 12", false, time.Now()); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		options        Options
		site           bool
		image, kernels bool
	}{
		"nothing":        {},
		"--sign":         {options: Options{Sign: true}, image: true, kernels: true},
		"sign_image":     {site: true, image: true, kernels: true},
		"--sign-loaders": {options: Options{SignLoaders: true}, image: true, kernels: true},
		"--sign-kernels": {options: Options{SignKernels: []string{"debian"}}, kernels: true},
		"kernels, image": {options: Options{SignKernels: []string{"debian"}}, site: true, image: true, kernels: true},
	} {
		var said strings.Builder
		c.options.Site, c.options.Log = dir, slog.New(slog.NewTextHandler(&said, nil))
		b := &build{Options: c.options, site: &site.Site{SignImage: c.site}}
		if err := b.findKey(); err != nil || (b.key != nil) != c.image || (b.kernelKey != nil) != c.kernels {
			t.Errorf("%s: the image is signed %v, kernels %v: %v", name, b.key != nil, b.kernelKey != nil, err)
		}
		if strings.Contains(said.String(), "but the image is not signed") == c.image {
			t.Errorf("%s: it said %q", name, &said)
		}
	}

	// What keeps it from signing ends the build, whichever asked for it, and a key that others can read is told of.
	key := filepath.Join(dir, site.KeysDir, site.DBKey)
	var said strings.Builder
	b := &build{Options: Options{Site: dir, Sign: true, Log: slog.New(slog.NewTextHandler(&said, nil))}, site: &site.Site{}}
	if err := errors.Join(os.Chmod(key, 0o644), b.findKey()); err != nil || !strings.Contains(said.String(), "chmod 600 "+key) {
		t.Errorf("%v, and it said %q", err, &said)
	}
	if err := os.WriteFile(key, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, o := range []Options{{Sign: true}, {SignLoaders: true}, {SignKernels: []string{"debian"}}} {
		o.Site, o.Log = dir, slog.New(slog.DiscardHandler)
		if err := (&build{Options: o, site: &site.Site{}}).findKey(); err == nil || !strings.Contains(err.Error(), "restore it") {
			t.Errorf("with a damaged key: %v", err)
		}
	}
	if err := (&build{Options: Options{Site: t.TempDir(), Log: slog.New(slog.DiscardHandler)}, site: &site.Site{SignImage: true}}).findKey(); err == nil ||
		!strings.Contains(err.Error(), "mkimage keys") {
		t.Errorf("without keys: %v", err)
	}
}

// Of what an earlier build has signed nothing stays, and would be served, when another one does not sign.
func TestRemoveOld(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"vmlinuz", "boottorrent.efi", "httpboot.img", "loaders/shimx64.efi", "loaders/grubx64.efi"} {
		writeTestFile(t, filepath.Join(dir, "image", name), name)
	}
	b := &build{Options: Options{Site: dir}}
	for _, c := range []struct {
		m    Manifest
		want string
	}{
		{Manifest{UKI: &File{}, HTTPDisk: &File{}, Loaders: []File{{Name: "loaders/grubx64.efi"}, {Name: "loaders/shimx64.efi"}}}, "boottorrent.efi httpboot.img loaders vmlinuz: grubx64.efi shimx64.efi"},
		{Manifest{UKI: &File{}, Loaders: []File{{Name: "loaders/grubx64.efi"}}}, "boottorrent.efi loaders vmlinuz: grubx64.efi"},
		{Manifest{}, "loaders vmlinuz: "},
	} {
		err := b.removeOld(&c.m)
		if got := entries(t, filepath.Join(dir, "image")) + ": " + entries(t, filepath.Join(dir, "image", "loaders")); err != nil || got != c.want {
			t.Errorf("there are %q, %v; want %q", got, err, c.want)
		}
	}
}
