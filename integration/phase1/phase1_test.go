// Package phase1 builds phase 1 as mkimage does and looks at it from outside: how large it is, whether it comes out the
// same a second time, and what cpio, xz, depmod and a machine make of it. The parts stay in mkimage's cache, where the
// tests of rooms find them.
package phase1

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/mkimage/debian"
	"github.com/boottorrent/boottorrent/mkimage/image"
)

// shared is the image that all tests look at.
var shared struct {
	once     sync.Once
	dir      string
	manifest *image.Manifest
	err      error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.dir != "" {
		os.RemoveAll(shared.dir)
	}
	os.Exit(code)
}

// build returns the image of a new site, built the first time, and the site's folder.
func build(t *testing.T) (*image.Manifest, string) {
	t.Helper()
	need.Command(t, "apt-get", "apt")
	need.Command(t, "xz", "xz-utils")
	shared.once.Do(func() {
		if shared.dir, shared.err = os.MkdirTemp("", "boottorrent-phase1-"); shared.err != nil {
			return
		}
		dir := filepath.Join(shared.dir, "site")
		if shared.err = site.Init(dir, "room"); shared.err == nil {
			shared.manifest, shared.err = image.Build(context.Background(), image.Options{Site: dir})
		}
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.manifest, filepath.Join(shared.dir, "site")
}

// TestSize holds the line that README and manifest promise.
func TestSize(t *testing.T) {
	m, dir := build(t)
	if m.Size() > image.MaxSize(m.Arch) {
		t.Errorf("kernel and initramfs have %d bytes, more than %d", m.Size(), image.MaxSize(m.Arch))
	}
	var table strings.Builder
	if err := m.WriteTable(&table, false); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", &table)
	if got := m.SitePart.KernelSHA256; got != m.Files[0].SHA256 || m.Files[0].Name != image.KernelFile {
		t.Errorf("the site part names the kernel %q, the image has %+v", got, m.Files[0])
	}
	for _, f := range m.Files {
		info, err := os.Stat(filepath.Join(dir, site.ImageDir, f.Name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() != f.Size {
			t.Errorf("%s has %d bytes, its manifest says %d", f.Name, info.Size(), f.Size)
		}
	}
}

// unpack unpacks each part of an initramfs with xz; the whole must be a valid xz file, too.
func unpack(t *testing.T, m *image.Manifest, dir string) map[string][]byte {
	t.Helper()
	file := filepath.Join(dir, site.ImageDir, image.InitramfsFile)
	if out, err := exec.Command("xz", "--test", file).CombinedOutput(); err != nil {
		t.Fatalf("xz --test: %v: %s", err, out)
	}
	rest, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	unpacked := map[string][]byte{}
	for _, p := range m.Parts {
		cmd := exec.Command("xz", "--decompress", "--stdout")
		cmd.Stdin = bytes.NewReader(rest[:p.Size])
		content, err := cmd.Output()
		if err != nil {
			t.Fatalf("unpack the %s: %v", p.Name, err)
		}
		if int64(len(content)) != p.Unpacked {
			t.Errorf("the %s have %d bytes, the manifest says %d", p.Name, len(content), p.Unpacked)
		}
		unpacked[p.Name], rest = content, rest[p.Size:]
	}
	if len(rest) > 0 {
		t.Errorf("%d bytes of the initramfs belong to no part", len(rest))
	}
	return unpacked
}

// TestContents lists the parts with cpio.
func TestContents(t *testing.T) {
	tool := need.Command(t, "cpio", "cpio")
	m, dir := build(t)
	parts := unpack(t, m, dir)
	for part, names := range map[string][]string{
		image.CommandsPart: {"init", "bbin/bb", "bbin/boot", "bbin/gosh", "bin/sh", "bin/reboot", "dev/console", "proc", "tmp"},
		image.ModulesPart:  {"lib/modules"},
		image.SitePart:     {"etc/boottorrent/site.json"},
	} {
		cmd := exec.Command(tool, "-it", "--quiet")
		cmd.Stdin = bytes.NewReader(parts[part])
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("cpio: %v", err)
		}
		list := strings.Split(string(out), "\n")
		for _, name := range names {
			if !slices.Contains(list, name) {
				t.Errorf("%s is not in the part %s", name, part)
			}
		}
	}
}

// A change of the seeder's address makes the site's part anew, and nothing else: no other part comes into the cache.
func TestSiteChange(t *testing.T) {
	build(t)
	dir, cache := filepath.Join(t.TempDir(), "site"), copyCache(t)
	if err := site.Init(dir, "another"); err != nil {
		t.Fatal(err)
	}
	before := names(t, filepath.Join(cache, "parts"))
	for _, seeder := range []string{"http://10.0.0.1", "http://10.0.0.2"} {
		m, err := image.Build(t.Context(), image.Options{Site: dir, Seeder: seeder, Cache: cache})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(unpack(t, m, dir)[image.SitePart], []byte(seeder)) {
			t.Errorf("the seeder %s is not in the image", seeder)
		}
		if after := names(t, filepath.Join(cache, "parts")); !slices.Equal(after, before) {
			t.Errorf("the cache has %v, and had %v", after, before)
		}
	}
}

// BenchmarkSiteChange measures that.
func BenchmarkSiteChange(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "site")
	if err := site.Init(dir, "another"); err != nil {
		b.Fatal(err)
	}
	for n := 0; b.Loop(); n++ {
		if _, err := image.Build(b.Context(), image.Options{Site: dir, Seeder: fmt.Sprintf("http://10.0.0.%d", 1+n%250)}); err != nil {
			b.Fatal(err)
		}
	}
}

// copyCache is a cache with what mkimage's has.
func copyCache(t *testing.T) string {
	t.Helper()
	first, err := image.DefaultCache()
	if err != nil {
		t.Fatal(err)
	}
	cache := t.TempDir()
	if err := os.CopyFS(filepath.Join(cache, "parts"), os.DirFS(filepath.Join(first, "parts"))); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(first, debian.Folder), filepath.Join(cache, debian.Folder)); err != nil {
		t.Fatal(err)
	}
	return cache
}

// names lists a folder.
func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// TestReproducible builds a second time, compiling anew: in another folder, with another cache, for a copy of the site.
func TestReproducible(t *testing.T) {
	_, dir := build(t)
	temp, cache := t.TempDir(), t.TempDir()
	again := filepath.Join(temp, "another", "place")
	if err := os.CopyFS(again, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(again, site.ImageDir)); err != nil {
		t.Fatal(err)
	}
	first, err := image.DefaultCache()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(first, debian.Folder), filepath.Join(cache, debian.Folder)); err != nil {
		t.Fatal(err)
	}
	source, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(temp)
	t.Setenv("TMPDIR", temp)
	if _, err := image.Build(context.Background(), image.Options{Site: again, Cache: cache, Source: source}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{image.KernelFile, image.InitramfsFile, image.ManifestFile} {
		a, errA := os.ReadFile(filepath.Join(dir, site.ImageDir, name))
		b, errB := os.ReadFile(filepath.Join(again, site.ImageDir, name))
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		if !bytes.Equal(a, b) {
			t.Errorf("%s differs: %d and %d bytes", name, len(a), len(b))
		}
	}
}
