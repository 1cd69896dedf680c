package inroot

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// tree makes a root file system with links inside, out, in a circle and to nothing.
func tree(t *testing.T) *FS {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "root")
	for _, d := range []string{"usr/sbin", "usr/lib/systemd", "etc"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for path, content := range map[string]string{"root/usr/lib/systemd/systemd": "init", "root/etc/passwd": "inside", "secret": "outside"} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(dir), path), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{
		"sbin": "usr/sbin", "lib": "/usr/lib", "usr/sbin/init": "/lib/systemd/systemd", "passwd": "../../../../../etc/passwd",
		"out": "../secret", "loop": "loop", "nothing": "/none", "self": "/proc/self/exe",
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	f, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestLinksStayInside(t *testing.T) {
	f := tree(t)
	for name, want := range map[string]string{"sbin/init": "init", "lib/systemd/systemd": "init", "passwd": "inside"} {
		if b, err := fs.ReadFile(f, name); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	for _, name := range []string{"out", "nothing", "self"} {
		if _, err := fs.Stat(f, name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"../secret", "/etc/passwd", "loop"} {
		if _, err := f.Open(name); err == nil {
			t.Errorf("%s can be opened", name)
		}
	}
}

func TestWhere(t *testing.T) {
	f := tree(t)
	for name, want := range map[string]string{".": ".", "lib": "usr/lib", "sbin/init": "usr/lib/systemd/systemd", "etc": "etc"} {
		if got, err := f.Where(name); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
	}
	if _, err := f.Where("nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is not there: %v", err)
	}
}

func TestLinksThemselves(t *testing.T) {
	f := tree(t)
	if info, err := f.Lstat("sbin"); err != nil || info.Mode().Type() != fs.ModeSymlink || info.Name() != "sbin" {
		t.Errorf("a link: %v, %v", info, err)
	}
	if info, err := f.Stat("sbin"); err != nil || !info.IsDir() || info.Name() != "sbin" {
		t.Errorf("what a link leads to: %v, %v", info, err)
	}
	if target, err := f.ReadLink("usr/sbin/init"); err != nil || target != "/lib/systemd/systemd" {
		t.Errorf("a link's text: %q, %v", target, err)
	}
	if _, err := f.ReadLink("etc/passwd"); err == nil {
		t.Error("a file is taken for a link")
	}
}

func TestOverwrite(t *testing.T) {
	f := tree(t)
	if err := f.Overwrite("passwd", []byte("new")); err != nil {
		t.Fatal(err)
	}
	if b, err := fs.ReadFile(f, "etc/passwd"); err != nil || string(b) != "new" {
		t.Errorf("%q, %v", b, err)
	}
	if err := f.Overwrite("etc/none", nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is not there: %v", err)
	}
}
