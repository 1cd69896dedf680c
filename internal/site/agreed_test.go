package site

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// What nodes would not take of a system is that system's problem, named before anything is published; the others are served.
func TestLimitsOfNodes(t *testing.T) {
	write := func(t *testing.T, path string, b []byte) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	script := []byte("#!/bin/sh\n")
	bin := func(more string) []byte { return []byte("dispname: One\nmethod: bin\nbin: run\n" + more) }
	kexec := func(more string) []byte { return []byte("dispname: One\nmethod: kexec\nkernel: vmlinuz\n" + more) }
	for name, c := range map[string]struct {
		make func(t *testing.T, dir string)
		want string // in the problem; empty: there is none
	}{
		"names that are not UTF-8": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "config.yaml"), bin(""))
			write(t, filepath.Join(dir, "a\xff"), nil)
			write(t, filepath.Join(dir, "a\xfe"), nil)
		}, `the path "a\xfe" is not UTF-8; write it in UTF-8`},
		"a name with an escape sequence": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "config.yaml"), bin(""))
			write(t, filepath.Join(dir, "\x1b[2J"), nil)
		}, `"\x1b[2J" has a control character in it`},
		"a path too long": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "config.yaml"), bin(""))
			write(t, filepath.Join(dir, strings.Repeat(strings.Repeat("d", 200)+"/", 11), "f"), nil)
		}, "nodes take 2048; shorten it"},
		"names that mean something in a URL, or differ little": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "config.yaml"), bin(""))
			for _, name := range []string{"50%", "a?b", "c#d", "é", "e\u0301", "X", "x", strings.Repeat("n", 255)} {
				write(t, filepath.Join(dir, name), nil)
			}
		}, ""},
		"12,000 files": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "config.yaml"), bin(""))
			for i := range 12_000 {
				write(t, filepath.Join(dir, fmt.Sprint(i)), nil)
			}
		}, ""},
		"arguments too long": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "config.yaml"), bin("binargs: "+strings.Repeat("a", catalog.MaxEntry)+"\n"))
		}, "bytes of the catalog, and nodes read 8192"},
		"initrds too large": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "config.yaml"), kexec("initrd: [a, b]\n"))
			for _, name := range []string{"a", "b"} {
				write(t, filepath.Join(dir, name), []byte("070701"))
				if err := os.Truncate(filepath.Join(dir, name), 3<<30); err != nil {
					t.Fatal(err)
				}
			}
		}, "initrds a, b have 6442450950 bytes together, and kexec takes 4294967296"},
		"the longest command line": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "config.yaml"), kexec("cmdline: "+strings.Repeat("c", 2016)+"\n"))
		}, ""},
		"a command line too long": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "config.yaml"), kexec("cmdline: "+strings.Repeat("c", 2017)+"\n"))
		}, "2016"},
		"a command line that becomes too long": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "config.yaml"), kexec("cmdline: "+strings.Repeat("c", 2000)+" {{.Hostname}}\n"))
		}, "cmdline may have 2065 bytes when its placeholders are filled in, and the kernel takes 2016"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "site")
			if err := Init(dir, "Test"); err != nil {
				t.Fatal(err)
			}
			one := filepath.Join(dir, SystemsDir, "one")
			write(t, filepath.Join(one, "run"), script)
			write(t, filepath.Join(one, "vmlinuz"), kernelHeader("amd64", ""))
			c.make(t, one)
			write(t, filepath.Join(dir, SystemsDir, "two", "run"), script)
			write(t, filepath.Join(dir, SystemsDir, "two", "config.yaml"), bytes.Replace(bin(""), []byte("One"), []byte("Two"), 1))
			s, problems := Load(dir)
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			all := s.AllProblems()
			if c.want == "" && len(all) > 0 || c.want != "" && (len(all) == 0 || !strings.Contains(all.Error(), c.want)) {
				t.Errorf("got %v, want %q", all, c.want)
			}
			if want := map[bool]int{true: 2, false: 1}[c.want == ""]; len(s.Systems) != want {
				t.Errorf("%d systems are whole, want %d", len(s.Systems), want)
			}
		})
	}
}

// More systems than a catalog has room for are a problem of those that the seeder leaves out, and the default is not among them.
func TestCheckRoom(t *testing.T) {
	s := &Site{Name: "full"}
	for i := range 300 {
		s.Systems = append(s.Systems, System{Name: fmt.Sprintf("s%03d", i), Title: fmt.Sprint(i), Files: []string{"run"}, Launch: catalog.Launch{
			Method: catalog.MethodBin, Bin: &catalog.Bin{Program: "run", Args: []string{strings.Repeat("a", catalog.MaxEntry-1000)}}}})
	}
	s.Defaults.System = "s299"
	problems := s.CheckRoom("mysite")
	if len(problems) < 20 || len(problems) > 100 {
		t.Fatalf("%d problems: %v", len(problems), problems)
	}
	last := problems[len(problems)-1].Error()
	if !strings.Contains(last, filepath.Join("mysite", SystemsDir, "s298", SystemFile)+":") || !strings.Contains(last, "no room for it in the catalog") {
		t.Error(last)
	}
	s.Systems = s.Systems[:2]
	if problems := s.CheckRoom("mysite"); len(problems) > 0 {
		t.Error(problems)
	}
}
