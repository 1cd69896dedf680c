package command

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/qemuruntime"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/daemon"
)

// makeDiscSite makes a site that needs QEMU on its nodes.
func makeDiscSite(t *testing.T) (dir string) {
	t.Helper()
	dir, _ = makeSite(t)
	folder := filepath.Join(dir, site.SystemsDir, "disc")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"disc.iso": "disc", site.SystemFile: "dispname: Disc\nmethod: qemu\nargs: -cdrom disc.iso\n",
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Where QEMU is missing, check says what to install and which systems need it; a site without need asks for nothing.
func TestQEMUIsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	dir := makeDiscSite(t)
	said := fails(t, "check", dir)
	if !strings.Contains(said, "qemu-system-x86_64 is not installed on this machine, from which nodes get it for disc; apt-get install qemu-system-x86") {
		t.Errorf("check said %q", said)
	}
	if err := os.RemoveAll(filepath.Join(dir, site.SystemsDir, "disc")); err != nil {
		t.Fatal(err)
	}
	var out, err bytes.Buffer
	if Program().Run(t.Context(), []string{"check", dir}, terminal{Out: &out, Err: &err}); strings.Contains(err.String(), "qemu-system") {
		t.Errorf("check of a site without QEMU: %q, %q", &out, &err)
	}
}

// Serve lists the runtime with its size below the systems.
func TestSummaryOfRuntime(t *testing.T) {
	var said bytes.Buffer
	summary(&said, &site.Site{Name: "room", Dir: t.TempDir()}, daemon.Summary{Catalog: &catalog.Catalog{
		Counter:  7,
		Systems:  []catalog.System{{Name: "disc", Title: "Disc", Size: 1 << 20, Launch: catalog.Launch{Method: catalog.MethodQEMU}}},
		Runtimes: []catalog.Runtime{{System: catalog.System{Name: qemuruntime.Name, Title: "QEMU 7.2", Size: 15 << 20}}},
	}})
	want := `and offers 1 system
  disc   Disc      1.0 MiB   qemu     
  .qemu  QEMU 7.2  15.0 MiB  runtime  
The catalog's counter is 7.
`
	if !strings.Contains(said.String(), want) {
		t.Errorf("it said:\n%s", &said)
	}
}
