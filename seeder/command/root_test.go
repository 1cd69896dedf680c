package command

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/roottest"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/daemon"
)

// Check says what memory a root file system needs, and names both kernels where modules belong to another one than the system's.
func TestCheckRoot(t *testing.T) {
	dir, _ := makeSite(t)
	folder := filepath.Join(dir, site.SystemsDir, "desktop")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string][]byte{
		"root.squashfs": roottest.Squashfs("zstd"), "vmlinuz": roottest.Kernel("6.1.0-1"),
		"modules.img":   roottest.Modules(t, "6.1.0-1", "loop", "overlay", "squashfs"),
		site.SystemFile: []byte("dispname: Desktop\nmethod: root\nroot: root.squashfs\nkernel: vmlinuz\nmodules: modules.img\nwritable_limit: 1 GiB\n"),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), body, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var out, said bytes.Buffer
	code := Program().Run(t.Context(), []string{"check", "--site-only", dir}, terminal{Out: &out, Err: &said})
	if want := "desktop: nodes need 1.2 GiB of memory for it beside what they use themselves; 64 KiB of that for its images\n"; code != 0 || !strings.Contains(out.String(), want) {
		t.Errorf("exit code %d, %q, %q; want %q", code, &out, &said, want)
	}
	if err := os.WriteFile(filepath.Join(folder, "vmlinuz"), roottest.Kernel("6.1.0-2"), 0o644); err != nil {
		t.Fatal(err)
	}
	if said := fails(t, "check", "--site-only", dir); !strings.Contains(said, "config.yaml:5:10: modules modules.img are those of Linux 6.1.0-1, and the kernel is Linux 6.1.0-2") {
		t.Errorf("check said %q", said)
	}
}

// Serve lists boot parts as that.
func TestSummaryOfBootPart(t *testing.T) {
	var said bytes.Buffer
	summary(&said, &site.Site{Name: "room", Dir: t.TempDir()}, daemon.Summary{Catalog: &catalog.Catalog{
		Systems:  []catalog.System{{Name: "desktop", Title: "Desktop", Size: 200 << 20, Launch: catalog.Launch{Method: catalog.MethodRoot}}},
		Runtimes: []catalog.Runtime{{System: catalog.System{Name: catalog.BootPartName("desktop"), Title: "desktop: kernel and modules", Size: 15 << 20}}},
	}})
	want := `
  desktop       Desktop                      200.0 MiB  root       
  desktop@boot  desktop: kernel and modules  15.0 MiB   boot part  
`
	if !strings.Contains(said.String(), want) {
		t.Errorf("it said:\n%s", &said)
	}
}
