package debian

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/arch"
)

// fakeApt puts programs by the names of apt's and dpkg's first in PATH, on a machine of amd64. What they are called with is in the file calls
// of the folder that is returned, a line each. Lists have what was in the file archive when they were fetched: NAME VERSION, a line each.
func fakeApt(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	const lists = `lists=$FAKE/own; for a; do case $a in Dir::State::Lists=*) lists=${a#*=}/list;; esac; done; `
	for name, script := range map[string]string{
		"dpkg": `echo amd64`,
		"apt-cache": lists + `for name; do :; done; version=$(sed -n "s/^$name //p" $lists 2>/dev/null); ` +
			`[ "$version" ] || { echo "E: No packages found" >&2; exit 100; }; echo "Package: $name"; echo "Version: $version"`,
		"apt-get": lists + `case " $* " in
			*" update "*) [ ! -e $FAKE/offline ] || { echo "E: Temporary failure" >&2; exit 100; }; cp $FAKE/archive $lists;;
			*) for wanted; do :; done; grep -qx "${wanted%=*} ${wanted#*=}" $FAKE/archive && [ ! -e $FAKE/offline ] || { echo "E: 404" >&2; exit 100; }; : > p.deb;;
			esac`,
		"dpkg-deb": `mkdir -p $3/usr; echo content > $3/usr/file`,
	} {
		write(t, filepath.Join(dir, name), "#!/bin/sh\necho "+name+" $* >> $FAKE/calls\n"+script+"\n")
	}
	t.Setenv("FAKE", dir)
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return dir
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
}

// calls are how often apt-get was called for something since the last time.
func calls(t *testing.T, fake, what string) (n int) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(fake, "calls"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "apt-get ") && strings.Contains(line, " "+what) {
			n++
		}
	}
	return n
}

// TestForeign goes through the life of a package for another architecture than the machine's.
func TestForeign(t *testing.T) {
	fake, cache := fakeApt(t), t.TempDir()
	a := Archive{Cache: cache, Arch: arch.ARM64, Log: slog.New(slog.DiscardHandler)}
	stamp := filepath.Join(cache, Folder, "arm64", "apt", "updated")
	offline := filepath.Join(fake, "offline")
	steps := []struct {
		name    string
		before  func()
		get     func(context.Context, Wanted) (Package, error)
		pkg     string
		version string
		wrong   string
		// updates and downloads are how many there were up to then.
		updates, downloads int
	}{
		{"no network", func() { write(t, offline, ""); write(t, filepath.Join(fake, "archive"), "shim 1\n") }, a.Get, "shim", "",
			"not all of its lists could be fetched (apt-get: exit status 100: E: Temporary failure)", 1, 0},
		{"downloaded", func() { os.Remove(offline); os.Remove(stamp) }, a.Get, "shim", "1", "", 2, 1},
		{"from the cache, without network", func() { write(t, offline, "") }, a.Get, "shim", "1", "", 2, 1},
		{"a package that there is not", func() { os.Remove(offline) }, a.Get, "grub", "", "add a source that has packages for arm64", 3, 1},
		{"one that is new since", func() { write(t, filepath.Join(fake, "archive"), "shim 2\ngrub 1\n") }, a.Get, "grub", "1", "", 4, 2},
		{"from the cache, though there is a newer one", func() {}, a.Get, "shim", "1", "", 4, 2},
		{"updated, with lists of today", func() {}, a.Update, "shim", "2", "", 4, 3},
		{"lists of yesterday", func() {
			yesterday := time.Now().Add(-25 * time.Hour)
			if err := os.Chtimes(stamp, yesterday, yesterday); err != nil {
				t.Fatal(err)
			}
		}, a.Update, "shim", "2", "", 5, 3},
		{"gone from the archive", func() {
			write(t, filepath.Join(fake, "archive"), "shim 4\n")
			write(t, filepath.Join(cache, Folder, "arm64/apt/lists/list"), "shim 3\n")
		}, a.Update, "shim", "4", "", 6, 5},
	}
	for _, s := range steps {
		s.before()
		p, err := s.get(t.Context(), Wanted{Name: s.pkg, Instead: "do without"})
		checkError(t, err, s.wrong)
		if err == nil && (p.Name != s.pkg || p.Version != s.version || !isFile(filepath.Join(p.Dir, "usr/file"))) {
			t.Errorf("%s: %+v, want version %s", s.name, p, s.version)
		}
		if u, d := calls(t, fake, "update"), calls(t, fake, "download"); u != s.updates || d != s.downloads {
			t.Errorf("%s: %d updates and %d downloads, want %d and %d", s.name, u, d, s.updates, s.downloads)
		}
	}
	b, err := os.ReadFile(filepath.Join(fake, "calls"))
	if err != nil || !strings.Contains(string(b), "-o APT::Architecture=arm64 -o APT::Architectures=arm64") || !strings.Contains(string(b), "Dir::State::status="+cache) {
		t.Errorf("%v, apt is called as\n%s", err, b)
	}
}

// Of the machine's own architecture apt's lists stay as they are, and nothing is set but who downloads.
func TestOwn(t *testing.T) {
	fake, cache := fakeApt(t), t.TempDir()
	a := Archive{Cache: cache, Arch: arch.AMD64, Log: slog.New(slog.DiscardHandler)}
	_, err := a.Get(t.Context(), Wanted{Name: "shim", Instead: "do without"})
	checkError(t, err, "run apt-get update as root, or do without")
	write(t, filepath.Join(fake, "archive"), "shim 1\n")
	write(t, filepath.Join(fake, "own"), "shim 1\n")
	if p, err := a.Get(t.Context(), Wanted{Name: "shim"}); err != nil || p.String() != "shim 1" {
		t.Errorf("%s, %v", p, err)
	}
	b, err := os.ReadFile(filepath.Join(fake, "calls"))
	if err != nil || strings.Contains(string(b), "Architecture") || calls(t, fake, "update") != 0 {
		t.Errorf("%v, apt is called as\n%s", err, b)
	}
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
