package tftp

import (
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is made for each request knows the address that was asked, and files whose names aren't known beforehand are opened by
// cleaned names.
func TestLookup(t *testing.T) {
	dir := t.TempDir()
	write := func(name string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("file "+name), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("kernel")
	s := New(Config{
		Files: files(map[string]string{"snponly.efi": write("snponly"), "gone.efi": filepath.Join(dir, "gone")}),
		Open: func(name string) (*os.File, error) {
			switch name {
			case "boot/12ab/vmlinuz":
				return os.Open(filepath.Join(dir, "kernel"))
			case "boot/folder":
				return os.Open(dir)
			case "boot/locked":
				return nil, fs.ErrPermission
			}
			return nil, fs.ErrNotExist
		},
		Document: func(name string, local netip.Addr) ([]byte, bool) {
			return []byte("seeder " + local.String()), name == "grub/grub.cfg"
		},
	})
	local := netip.MustParseAddr("10.77.0.1")
	for asked, want := range map[string]string{
		"/grub/grub.cfg": "seeder 10.77.0.1", `\grub\\grub.cfg`: "seeder 10.77.0.1",
		"/boot//12ab/vmlinuz": "file kernel", "SNPONLY.efi": "file snponly", "/x/snponly.efi": "file snponly",
		"/grub/grub.cfg-01-52-54-00-00-00-01": "1: no such file is served", "boot/34cd/vmlinuz": "1: no such file is served",
		"boot/folder": "0: " + dir + " is not a regular file", "boot/locked": "0: permission denied",
		"gone.efi": "1: open " + filepath.Join(dir, "gone") + ": no such file or directory",
	} {
		f, refused, err := s.lookup(asked, netip.MustParseAddr("10.77.0.9"), local)
		var got string
		if err != nil {
			got = string('0'+rune(refused.code)) + ": " + err.Error()
		} else {
			b := make([]byte, f.size)
			if _, err := f.content.ReadAt(b, 0); err != nil && err != io.EOF {
				t.Error(err)
			}
			got = string(b)
			f.close()
		}
		if strings.TrimSpace(got) != want {
			t.Errorf("%q: %q, want %q", asked, got, want)
		}
	}
}
