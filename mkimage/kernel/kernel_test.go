package kernel

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// bzImage returns the start of a kernel image of a release.
func bzImage(release string) []byte {
	b := make([]byte, 0x1000)
	copy(b[0x1fe:], "\x55\xaa\x00\x00HdrS")
	binary.LittleEndian.PutUint16(b[0x20e:], 0x800-0x200)
	copy(b[0x800:], release+" (somebody@somewhere) #1 SMP")
	return b
}

// write makes a file and its folders.
func write(t *testing.T, path string, content []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRelease(t *testing.T) {
	noVersion := bzImage("x")
	binary.LittleEndian.PutUint16(noVersion[0x20e:], 0)
	outside := bzImage("x")
	binary.LittleEndian.PutUint16(outside[0x20e:], 0xffff)
	for _, c := range []struct {
		name    string
		content []byte
		want    string
		wrong   string
	}{
		{"bzImage", bzImage("6.1.0-37-amd64"), "6.1.0-37-amd64", ""},
		{"empty", nil, "", "is no Linux kernel image"},
		{"a text", []byte(strings.Repeat("text\n", 1000)), "", "is no Linux kernel image"},
		{"no version", noVersion, "", "does not say which kernel release"},
		{"version behind the end", outside, "", "does not say which kernel release"},
		{"a release with a slash", bzImage("../etc"), "", "does not say which kernel release"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Release(write(t, filepath.Join(t.TempDir(), "vmlinuz"), c.content))
			if got != c.want {
				t.Errorf("release %q, want %q", got, c.want)
			}
			checkError(t, err, c.wrong)
		})
	}
}

// checkError checks that an error has want in it, or that there is none.
func checkError(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" && err != nil {
		t.Error(err)
	}
	if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("error %v, want one with %q", err, want)
	}
}

func TestLocal(t *testing.T) {
	dir := t.TempDir()
	vmlinuz := write(t, filepath.Join(dir, "vmlinuz"), bzImage("6.1.0"))
	modules := filepath.Join(dir, "lib/modules/6.1.0")
	write(t, filepath.Join(modules, "kernel/a.ko"), nil)
	write(t, filepath.Join(dir, "lib/modules/6.2.0/kernel/a.ko"), nil)
	link := filepath.Join(t.TempDir(), "root")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ vmlinuz, modules string }{
		"the folder":                 {vmlinuz, modules},
		"the folder above it":        {vmlinuz, filepath.Dir(modules)},
		"the root file system":       {vmlinuz, dir},
		"in the root file system":    {vmlinuz, ""},
		"in its folder boot":         {write(t, filepath.Join(dir, "boot/vmlinuz-6.1.0"), bzImage("6.1.0")), ""},
		"in the folder of modules":   {write(t, filepath.Join(modules, "vmlinuz"), bzImage("6.1.0")), ""},
		"with a link to it":          {vmlinuz, link},
		"a folder with its own name": {vmlinuz, modules + "/"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Local(c.vmlinuz, c.modules)
			if err != nil || got.Version != "6.1.0" || filepath.Base(got.Modules) != "6.1.0" || !isDir(filepath.Join(got.Modules, "kernel")) {
				t.Errorf("%+v, %v; want those of 6.1.0", got, err)
			}
		})
	}
	elsewhere := write(t, filepath.Join(t.TempDir(), "boot/vmlinuz"), bzImage("6.1.0-nowhere"))
	for _, c := range []struct{ name, vmlinuz, modules, wrong string }{
		{"another kernel's", vmlinuz, filepath.Join(dir, "lib/modules/6.2.0"), "is kernel 6.1.0, but " + dir + "/lib/modules/6.2.0 has the modules of 6.2.0"},
		{"a root with other kernels", elsewhere, dir, "is kernel 6.1.0-nowhere, but " + dir + " has the modules of 6.1.0, 6.2.0"},
		{"not such a folder", vmlinuz, t.TempDir(), "has no folder kernel in it"},
		{"not given", elsewhere, "", "--modules DIR"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Local(c.vmlinuz, c.modules)
			checkError(t, err, c.wrong)
		})
	}
}
