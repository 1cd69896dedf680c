package image

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
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
	return &build{Options: Options{Log: slog.New(slog.DiscardHandler)}, site: &site.Site{Systems: systems}, key: key}
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
