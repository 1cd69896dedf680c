package daemon

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/roottest"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/status"
)

const rootConfig = "dispname: Desktop\nmethod: root\nroot: root.squashfs\nkernel: vmlinuz\nmodules: modules.img\n"

// rootSystem writes a system of the method root with a boot part, and returns its folder.
func rootSystem(t *testing.T, dir, release string) string {
	t.Helper()
	folder := filepath.Join(dir, site.SystemsDir, "desktop")
	must(t, os.MkdirAll(folder, 0o755))
	must(t, os.WriteFile(filepath.Join(folder, "root.squashfs"), roottest.Squashfs("zstd"), 0o644))
	writeBootPart(t, folder, release)
	must(t, os.WriteFile(filepath.Join(folder, site.SystemFile), []byte(rootConfig), 0o644))
	return folder
}

func writeBootPart(t *testing.T, folder, release string) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(folder, "vmlinuz"), roottest.Kernel(release), 0o644))
	must(t, os.WriteFile(filepath.Join(folder, "modules.img"), roottest.Modules(t, release, "loop", "overlay", "squashfs"), 0o644))
}

// pair is a system and its boot part as a catalog has them; everything that nodes do with the two is checked.
func (c *clocked) pair(cat *catalog.Catalog) (sys, part catalog.System) {
	c.t.Helper()
	sys, ok := cat.System("desktop")
	if !ok {
		c.t.Fatal("there is no system")
	}
	boot := sys.Launch.Root.Boot
	runtime, ok := cat.Runtime(boot.Part)
	if !ok {
		c.t.Fatalf("there is no boot part %s", boot.Part)
	}
	files, err := runtime.OpenFiles(c.get(catalog.FileListPath(runtime.InfoHash)))
	must(c.t, err)
	for _, f := range files {
		sum := sha256.Sum256(c.get(runtime.FilePath(f.Path)))
		if got := hex.EncodeToString(sum[:]); got != f.SHA256 || f.Path == boot.Kernel && got != boot.KernelSHA256 {
			c.t.Errorf("%s has the SHA-256 %s, its list says %s, and the system that of its kernel is %s", f.Path, got, f.SHA256, boot.KernelSHA256)
		}
	}
	if len(files) != 2 || files.Sizes()[boot.Kernel] == 0 || files.Sizes()[boot.Modules] == 0 {
		c.t.Errorf("the boot part has %+v", files)
	}
	if images, err := sys.OpenFiles(c.get(catalog.FileListPath(sys.InfoHash))); err != nil || len(images) != 1 || images[0].Path != "root.squashfs" {
		c.t.Errorf("the system's torrent has %+v: %v", images, err)
	}
	if !c.seeded(sys) || !c.seeded(runtime.System) {
		c.t.Errorf("seeded are the system: %v, its boot part: %v", c.seeded(sys), c.seeded(runtime.System))
	}
	return sys, runtime.System
}

func (c *clocked) get(path string) []byte {
	c.t.Helper()
	w := httptest.NewRecorder()
	if c.web.ServeHTTP(w, httptest.NewRequest("GET", path, nil)); w.Code != 200 {
		c.t.Errorf("GET %s: %d", path, w.Code)
	}
	return w.Body.Bytes()
}

// A system with a kernel of its own is published with its boot part, a torrent of its own. Another kernel makes another version of that
// alone, and another image of the system alone; what was before stays for those who are in the middle of it.
func TestBootPart(t *testing.T) {
	t.Parallel()
	c := newClocked(t)
	folder := rootSystem(t, c.site.Dir, "6.1.0-1")
	first, firstPart := c.pair(c.load())

	writeBootPart(t, folder, "6.1.0-2")
	cat := c.load()
	second, secondPart := c.pair(cat)
	if second.InfoHash != first.InfoHash || secondPart.InfoHash == firstPart.InfoHash || second.Launch.Root.Boot.Release != "6.1.0-2" {
		t.Errorf("another kernel made of %s and %s: %s and %s", first.InfoHash, firstPart.InfoHash, second.InfoHash, secondPart.InfoHash)
	}
	must(t, os.WriteFile(filepath.Join(folder, "root.squashfs"), roottest.Squashfs("xz"), 0o644))
	third, thirdPart := c.pair(c.load())
	if third.InfoHash == second.InfoHash || thirdPart.InfoHash != secondPart.InfoHash {
		t.Errorf("another image made of %s and %s: %s and %s", second.InfoHash, secondPart.InfoHash, third.InfoHash, thirdPart.InfoHash)
	}
	// Modules alone differ in nothing that the system's own entry says.
	must(t, os.WriteFile(filepath.Join(folder, "modules.img"), roottest.Modules(t, "6.1.0-2", "loop", "overlay", "squashfs", "e1000e"), 0o644))
	fourth, fourthPart := c.pair(c.load())
	if fourth.InfoHash != third.InfoHash || fourthPart.InfoHash == thirdPart.InfoHash {
		t.Errorf("other modules made of %s and %s: %s and %s", third.InfoHash, thirdPart.InfoHash, fourth.InfoHash, fourthPart.InfoHash)
	}
	if !c.seeded(first) || !c.seeded(firstPart) || !c.seeded(secondPart) || !c.seeded(thirdPart) {
		t.Error("a version before is gone at once")
	}
	c.passRetirement()
	c.pair(c.published)
	if c.seeded(first) || c.seeded(firstPart) || c.seeded(secondPart) || c.seeded(thirdPart) {
		t.Error("a version before stays for ever")
	}
	for _, s := range c.status().Systems {
		if s.Name == "desktop" && (s.InfoHash == nil || *s.InfoHash != fourth.InfoHash || s.Boot == nil || *s.Boot != fourthPart.InfoHash) || s.Name == fourthPart.Name {
			t.Errorf("status %+v", s)
		}
	}

	must(t, os.WriteFile(filepath.Join(folder, "config.yaml"), []byte("dispname: Desktop\nmethod: root\nroot: root.squashfs\n"), 0o644))
	cat = c.load()
	if sys, _ := cat.System("desktop"); sys.Launch.Root.Boot != nil || len(cat.Runtimes) > 0 || sys.InfoHash != fourth.InfoHash {
		t.Errorf("without a kernel of its own: %+v and %+v", sys, cat.Runtimes)
	}
}

// A pair is kept as it was where its folder is broken, after a restart too, and never without its boot part.
func TestBootPartIsKept(t *testing.T) {
	t.Parallel()
	c := newClocked(t)
	folder := rootSystem(t, c.site.Dir, "6.1.0-1")
	first, firstPart := c.pair(c.load())
	must(t, os.WriteFile(filepath.Join(folder, "vmlinuz"), roottest.Kernel("6.1.0-2"), 0o644)) // its modules are to follow
	again, againPart := c.pair(c.load())
	if state, _ := c.state("desktop"); state != status.Kept || again.InfoHash != first.InfoHash || againPart.InfoHash != firstPart.InfoHash {
		t.Errorf("with a kernel and modules that don't belong together it is %s", state)
	}
	c.listings = newListings(c.log, c.now) // as after a restart
	c.published = nil
	c.recall()
	again, againPart = c.pair(c.load())
	if state, _ := c.state("desktop"); state != status.Kept || again.InfoHash != first.InfoHash || againPart.InfoHash != firstPart.InfoHash {
		t.Errorf("after a restart it is %s", state)
	}

	// Somebody has touched what is stored: then the system can't be given, and not without its boot part either.
	must(t, os.Chtimes(filepath.Join(c.site.Dir, site.StateDir, firstPart.InfoHash.String(), firstPart.Name, "vmlinuz"), c.time, c.time))
	c.listings = newListings(c.log, c.now)
	c.published = nil
	c.recall()
	cat := c.load()
	if _, ok := cat.System("desktop"); ok || len(cat.Runtimes) > 0 {
		t.Errorf("without a boot part there is %+v, %+v", cat.Systems, cat.Runtimes)
	}
	if state, _ := c.state("desktop"); state != status.LeftOut {
		t.Errorf("it is %s", state)
	}
}
