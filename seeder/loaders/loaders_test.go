package loaders

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/boottorrent/boottorrent/internal/arch"
)

func write(t *testing.T, path string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(path), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// The operator's file goes before mkimage's, and that before the package's. Each counts from the moment that it is there.
func TestOrder(t *testing.T) {
	l := &Loaders{dir: t.TempDir(), root: t.TempDir()}
	expect := func(what, want string) {
		t.Helper()
		got, _ := l.Find("shimx64.efi")
		if all := l.Files()["shimx64.efi"]; got != want || all != want {
			t.Errorf("%s: shimx64.efi is %q, in the list %q, want %q", what, got, all, want)
		}
	}
	expect("nothing", "")
	expect("the package", write(t, filepath.Join(l.root, "usr/lib/shim/shimx64.efi.signed")))
	expect("mkimage's", write(t, filepath.Join(l.dir, "image/loaders/shimx64.efi")))
	expect("the operator's", write(t, filepath.Join(l.dir, "loaders/shimx64.efi")))
	write(t, filepath.Join(l.dir, "image/arm64/loaders/shimaa64.efi"))
	if l.HasShim(arch.AMD64) || l.HasShim(arch.ARM64) {
		t.Error("shim without GRUB is no chain")
	}
	write(t, filepath.Join(l.root, "usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed"))
	write(t, filepath.Join(l.dir, "image/arm64/loaders/grubaa64.efi"))
	if !l.HasShim(arch.AMD64) || !l.HasShim(arch.ARM64) {
		t.Errorf("both chains are there: %v", l.Files())
	}
}

// Only files of these folders are served, and none that is being copied.
func TestNothingElse(t *testing.T) {
	l := &Loaders{dir: t.TempDir(), root: t.TempDir()}
	write(t, filepath.Join(l.dir, "boottorrent.key"))
	write(t, filepath.Join(l.dir, "loaders/.half.efi"))
	write(t, filepath.Join(l.dir, "loaders/.hidden/x.efi"))
	write(t, filepath.Join(l.dir, "loaders/a/b/c/d.efi"))
	write(t, filepath.Join(l.dir, "keys/db.key"))
	write(t, filepath.Join(l.dir, "keys.old/db.key"))
	for link, target := range map[string]string{"loop": ".", "secret.efi": "../boottorrent.key", "db.efi": "../keys/db.key", "old": "../keys.old"} {
		if err := os.Symlink(target, filepath.Join(l.dir, "loaders", link)); err != nil {
			t.Fatal(err)
		}
	}
	if all := l.Files(); len(all) != 0 {
		t.Errorf("served: %v", all)
	}
	for _, name := range []string{"", ".", "../boottorrent.key", "/boottorrent.key", "x/../../boottorrent.key", ".half.efi", ".hidden/x.efi", "a/b/c/d.efi", "a", "loop",
		"secret.efi", "db.efi", "old/db.key"} {
		if file, ok := l.Find(name); ok {
			t.Errorf("%q is %s", name, file)
		}
	}
}

func TestSignedIPXE(t *testing.T) {
	l := &Loaders{dir: t.TempDir(), root: t.TempDir()}
	expect := func(what string, a arch.Arch, want string) {
		t.Helper()
		if got, ok := l.SignedIPXE(a); got != want || ok != (want != "") {
			t.Errorf("%s: %q, %v, want %q", what, got, ok, want)
		}
	}
	release := filepath.Join(l.dir, "loaders/x86_64-sb")
	write(t, filepath.Join(release, "shimx64.efi"))
	for _, name := range []string{"ipxe-shim.efi", "snponly-shim.efi"} {
		if err := os.Symlink("shimx64.efi", filepath.Join(release, name)); err != nil {
			t.Fatal(err)
		}
	}
	expect("without iPXE", arch.AMD64, "")
	write(t, filepath.Join(release, "ipxe.efi"))
	expect("with ipxe.efi", arch.AMD64, "x86_64-sb/ipxe-shim.efi")
	write(t, filepath.Join(release, "snponly.efi"))
	expect("with both", arch.AMD64, "x86_64-sb/snponly-shim.efi")
	expect("of the other architecture", arch.ARM64, "")
	if l.HasShim(arch.AMD64) {
		t.Error("iPXE's shim is not Debian's")
	}
	if got := l.Files()["x86_64-sb/snponly-shim.efi"]; got != filepath.Join(release, "snponly-shim.efi") {
		t.Errorf("the list has %q", got)
	}
}
