package qemu

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/qemuruntime"
)

// armKernel is one that says its release where arm64's do.
func armKernel(release string) string {
	return strings.Repeat("\x00", 0x38) + "ARM\x64" + strings.Repeat("\x00", 3<<20) + "Linux version " + release + " (someone@example.org)" + strings.Repeat("\x00", 300)
}

func TestCheckModules(t *testing.T) {
	const release = "6.1.0-9-amd64" // what modules has
	kernel := func(release string) string {
		return strings.Repeat("\x00", 0x3000) + release + " (someone@example.org) #1 SMP\x00"
	}
	for _, c := range []struct{ name, kernel, modules, want string }{
		{"both fit", kernel(release), "there", ""},
		{"no image at all", "", "there", ""},
		{"another kernel", kernel("6.1.0-99-amd64"), "there", "for the kernel 6.1.0-9-amd64"},
		{"a name that is part of another", kernel("6.1.0-9-amd64-rt"), "there", "for the kernel 6.1.0-9-amd64"},
		{"for arm64", armKernel(release), "there", ""},
		{"another for arm64", armKernel("6.1.0-9-arm64"), "there", "for the kernel 6.1.0-9-amd64"},
		{"no modules", kernel(release), "", qemuruntime.ImageModules + " is missing"},
		{"no archive", kernel(release), "text", "can't be read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, qemuruntime.ImageModules)
			var err error
			switch c.modules {
			case "there":
				err = os.Rename(modules(t), file)
			case "text":
				err = os.WriteFile(file, []byte(c.modules), 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
			if c.kernel != "" {
				if err := os.WriteFile(filepath.Join(dir, "vmlinuz"), []byte(c.kernel), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			err = CheckModules(dir, "vmlinuz")
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}
