package kernel

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/mkimage/debian"
)

// fakeApt puts programs by the names of apt's and dpkg's first in PATH. The distribution's kernel is of the release that
// is in the file release of the folder it returns; each download adds a line to the file downloads.
func fakeApt(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, script := range map[string]string{
		"dpkg":      `echo amd64`,
		"apt-cache": `[ -e $FAKE/release ] || { echo "E: No packages found" >&2; exit 100; }; echo "Depends: linux-image-$(cat $FAKE/release) (= 1-1)"`,
		"apt-get":   `[ ! -e $FAKE/offline ] || { echo "W: noise" >&2; echo "E: Failed to fetch" >&2; exit 100; }; echo "$*" >> $FAKE/downloads; : > kernel.deb`,
		"dpkg-deb":  `release=$(cat $FAKE/release); mkdir -p $3/boot $3/lib/modules/$release/kernel; cp $FAKE/vmlinuz $3/boot/vmlinuz-$release`,
	} {
		path := write(t, filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"))
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("FAKE", dir)
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return dir
}

func setRelease(t *testing.T, apt, release string) {
	t.Helper()
	write(t, filepath.Join(apt, "release"), []byte(release))
	write(t, filepath.Join(apt, "vmlinuz"), bzImage(release))
}

func downloads(t *testing.T, apt string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(apt, "downloads"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Count(string(b), "\n")
}

// TestDistribution goes through a kernel's life in the cache.
func TestDistribution(t *testing.T) {
	apt, cache := fakeApt(t), filepath.Join(t.TempDir(), "cache")
	ctx, log := context.Background(), slog.New(slog.DiscardHandler)
	steps := []struct {
		name      string
		before    func()
		get       func(context.Context, string, arch.Arch, *slog.Logger) (Files, error)
		version   string
		downloads int
		wrong     string
	}{
		{"apt has no lists", func() {}, Distribution, "", 0, "apt-get update"},
		{"no network", func() {
			setRelease(t, apt, "6.1.0-1-amd64")
			write(t, filepath.Join(apt, "offline"), nil)
		}, Distribution, "", 0, "E: Failed to fetch"},
		{"downloaded", func() { os.Remove(filepath.Join(apt, "offline")) }, Distribution, "6.1.0-1-amd64", 1, ""},
		{"from the cache, though there is a newer one", func() { setRelease(t, apt, "6.1.0-2-amd64") }, Distribution, "6.1.0-1-amd64", 1, ""},
		{"updated", func() {}, Update, "6.1.0-2-amd64", 2, ""},
		{"nothing new", func() {}, Update, "6.1.0-2-amd64", 2, ""},
		{"from the cache, without network", func() { write(t, filepath.Join(apt, "offline"), nil) }, Distribution, "6.1.0-2-amd64", 2, ""},
	}
	for _, s := range steps {
		t.Run(s.name, func(t *testing.T) {
			s.before()
			f, err := s.get(ctx, cache, arch.AMD64, log)
			checkError(t, err, s.wrong)
			if f.Version != s.version {
				t.Errorf("kernel %q, want %q", f.Version, s.version)
			}
			if n := downloads(t, apt); n != s.downloads {
				t.Errorf("%d downloads, want %d", n, s.downloads)
			}
			if want := "linux-image-" + s.version + " 1-1"; err == nil && f.Package != want {
				t.Errorf("package %q, want %q", f.Package, want)
			}
		})
	}
	leftovers, err := filepath.Glob(filepath.Join(cache, debian.Folder, "amd64", ".*"))
	if err != nil || len(leftovers) > 0 {
		t.Errorf("left in the cache: %v %v", leftovers, err)
	}
}

func TestDistributionWithoutApt(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Distribution(context.Background(), t.TempDir(), arch.AMD64, slog.New(slog.DiscardHandler))
	checkError(t, err, "--kernel FILE --modules DIR")
}

// TestDistributionTwice: of two that want a kernel at once, one downloads and the other waits for it.
func TestDistributionTwice(t *testing.T) {
	apt, cache := fakeApt(t), t.TempDir()
	setRelease(t, apt, "6.1.0-1-amd64")
	errs := make(chan error)
	for range 2 {
		go func() {
			_, err := Distribution(context.Background(), cache, arch.AMD64, slog.New(slog.DiscardHandler))
			errs <- err
		}()
	}
	for range 2 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if n := downloads(t, apt); n != 1 {
		t.Errorf("%d downloads, want 1", n)
	}
}
