package daemon

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/status"
)

// mirrorProcess names, in the environment, the folder of the mirror that a process of this test program is to serve.
const mirrorProcess = "BOOTTORRENT_TEST_MIRROR"

// TestMirrorProcess serves a mirror, in a process that another test has started.
func TestMirrorProcess(t *testing.T) {
	dir := os.Getenv(mirrorProcess)
	if dir == "" {
		t.SkipNow() // it is no test by itself
	}
	m, problems := site.LoadMirror(dir)
	if m == nil {
		t.Fatal(problems)
	}
	key, err := m.PublicKey()
	must(t, err)
	must(t, Run(context.Background(), Options{
		Site: m.Site, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Mirror: &Mirror{Upstream: m.Upstream, Key: key, Carry: m.Carries, Disk: m.Disk, Poll: 100 * time.Millisecond},
	}))
}

// process is a mirror in a process of its own.
type process struct {
	*exec.Cmd
	log strings.Builder
}

func startProcess(t *testing.T, dir string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(os.Args[0], "-test.run=^TestMirrorProcess$")}
	p.Env = append(os.Environ(), mirrorProcess+"="+dir)
	p.Stderr = &p.log
	must(t, p.Start())
	t.Cleanup(p.kill)
	return p
}

// kill ends the process at once, as a power failure would but for what the kernel has not written yet.
func (p *process) kill() {
	if p.ProcessState == nil {
		_ = p.Process.Kill()
		_ = p.Wait()
	}
}

// A mirror that is killed again and again, while it fetches for the first time and while everything changes, comes up each time, and is right in
// the end. What it serves in between, with the seeder away, is what was signed.
func TestMirrorKilledAtAnyPoint(t *testing.T) {
	s := siteWithImage(t)
	must(t, os.WriteFile(filepath.Join(s.Dir, site.SystemsDir, "one", "vmlinuz"), kernel(6<<20, 'a'), 0o644))
	first := start(t, load(t, s))
	dir := newMirror(t, s, first.base, "127.0.0.1", "")
	mirrored, problems := site.LoadMirror(dir)
	if mirrored == nil {
		t.Fatal(problems)
	}
	base := fmt.Sprintf("http://%s:%d", mirrored.Serve.Address, mirrored.Ports.HTTP)
	key, err := s.PublicKey()
	must(t, err)
	early, late := 0, 0
	for round := range 30 {
		if round == 12 {
			startProcess(t, dir) // it gets to the end once
			awaitSame(t, first.base, base)
		}
		if round%6 == 5 {
			fill := byte('0' + round)
			must(t, os.WriteFile(filepath.Join(s.Dir, site.SystemsDir, "one", "vmlinuz"), kernel(6<<20, fill), 0o644))
			writeImage(t, s.Dir, fill)
			first.await("another image and system", func(c *catalog.Catalog) bool {
				got := read(first.base, catalog.WebSeedPath(c.Systems[0].InfoHash)+"one/vmlinuz")
				return len(got) > 1<<20 && got[1<<20] == fill
			})
		}
		p := startProcess(t, dir)
		time.Sleep(time.Duration(rand.IntN(400)) * time.Millisecond)
		if document := read(base, catalog.PathCatalog); document != nil {
			late++
			_, err := catalog.Open(key, document, read(base, catalog.PathSignature))
			if again := read(base, catalog.PathCatalog); err != nil && bytes.Equal(again, document) { // else it took another one over in between
				t.Errorf("round %d: %v", round, err)
			}
		} else {
			early++
		}
		p.kill()
		if _, err := os.Stat(filepath.Join(dir, site.StateDir, MirrorDir, "documents.json")); round < 11 && err == nil { // once more from the beginning
			must(t, os.RemoveAll(filepath.Join(dir, site.StateDir)))
			must(t, os.RemoveAll(filepath.Join(dir, site.ImageDir)))
		}
	}
	t.Logf("killed %d times before there was a catalog, %d times after", early, late)
	p := startProcess(t, dir)
	defer func() {
		if t.Failed() {
			t.Log(p.log.String())
		}
	}()
	awaitSame(t, first.base, base)
	awaitSystem(t, base, "one", status.Published)
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".next") {
			t.Errorf("%s is left over", e.Name())
		}
	}
}
