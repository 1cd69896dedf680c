package site

import (
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write golden results into testdata")

// TestLoad loads the sites in testdata. Each file is a site in txtar form, with what Load must say of it in the sections
// "problems" and "warnings". Lines of the comment that begin with a $ make what text can't hold:
//
//	$ kernel PATH amd64|arm64    a kernel's header, and nothing else
//	$ poke PATH OFFSET HEX       bytes changed in a file
//	$ symlink TARGET PATH
//	$ mkdir PATH
//	$ bytes PATH HEX
//	$ chmod 644 PATH
//	$ rm PATH
func TestLoad(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no test data: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			file, err := filepath.Abs(file)
			if err != nil {
				t.Fatal(err)
			}
			t.Chdir(t.TempDir())
			makeSite(t, "site", archive)
			loaded, problems := Load("site")
			if (loaded == nil) != (len(problems) > 0) {
				t.Errorf("site %v with %d problems", loaded, len(problems))
			}
			var warnings Problems
			if loaded != nil {
				warnings = loaded.Warnings
			}
			golden := map[string]string{"problems": lines(problems), "warnings": lines(warnings)}
			if *update {
				writeGolden(t, file, archive, golden)
				return
			}
			for name, got := range golden {
				if want := section(archive, name); got != want {
					t.Errorf("%s:\n%s\nwant:\n%s", name, got, want)
				}
			}
		})
	}
}

func lines(p Problems) string {
	if len(p) == 0 {
		return ""
	}
	return keyID.ReplaceAllString(p.Error(), "KEYID") + "\n"
}

// keyID is different in each run.
var keyID = regexp.MustCompile(`[0-9A-F]{16}`)

func section(a *txtar.Archive, name string) string {
	for _, f := range a.Files {
		if f.Name == name {
			return string(f.Data)
		}
	}
	return ""
}

func writeGolden(t *testing.T, file string, a *txtar.Archive, golden map[string]string) {
	t.Helper()
	a.Files = slices.DeleteFunc(a.Files, func(f txtar.File) bool { _, ok := golden[f.Name]; return ok })
	for _, name := range []string{"problems", "warnings"} {
		if golden[name] != "" {
			a.Files = append(a.Files, txtar.File{Name: name, Data: []byte(golden[name])})
		}
	}
	if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
		t.Fatal(err)
	}
}

// makeSite writes an archive's files to dir, with a key pair if the archive has none.
func makeSite(t *testing.T, dir string, a *txtar.Archive) {
	t.Helper()
	files, err := newFiles("test")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if strings.HasPrefix(f.path, "boottorrent.") && f.path != ConfigFile {
			write(t, filepath.Join(dir, f.path), f.body)
			if err := os.Chmod(filepath.Join(dir, f.path), f.mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, f := range a.Files {
		if f.Name != "problems" && f.Name != "warnings" {
			write(t, filepath.Join(dir, f.Name), f.Data)
		}
	}
	for line := range strings.Lines(string(a.Comment)) {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			if err := run(t, dir, strings.Fields(command)); err != nil {
				t.Fatalf("%s: %v", command, err)
			}
		}
	}
}

func run(t *testing.T, dir string, args []string) error {
	t.Helper()
	in := func(i int) string { return filepath.Join(dir, args[i]) }
	switch args[0] {
	case "kernel":
		write(t, in(1), kernelHeader(args[2]))
	case "poke":
		var at int
		if _, err := fmt.Sscanf(args[2], "%v", &at); err != nil {
			return err
		}
		body, err := os.ReadFile(in(1))
		if err != nil {
			return err
		}
		change, err := hex.DecodeString(args[3])
		if err != nil {
			return err
		}
		copy(body[at:], change)
		write(t, in(1), body)
	case "bytes":
		body, err := hex.DecodeString(args[2])
		if err != nil {
			return err
		}
		write(t, in(1), body)
	case "symlink":
		return os.Symlink(args[1], in(2))
	case "mkdir":
		return os.MkdirAll(in(1), 0o755)
	case "chmod":
		return os.Chmod(in(2), 0o644)
	case "rm":
		return os.RemoveAll(in(1))
	default:
		return fmt.Errorf("unknown command")
	}
	return nil
}

func write(t *testing.T, path string, body []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, body, 0o644); err != nil {
		t.Fatal(err)
	}
}

// kernelHeader is the beginning of a kernel, as little as makes it one.
func kernelHeader(arch string) []byte {
	b := make([]byte, 4096)
	if arch == "arm64" {
		copy(b, "MZ")
		copy(b[arm64MagicAt:], "ARM\x64")
		return b
	}
	copy(b[bootFlagAt:], "\x55\xaa")
	copy(b[bootMagicAt:], "HdrS")
	copy(b[bootVersionAt:], "\x0f\x02")
	b[loadFlagsAt] = 1
	b[xloadFlagsAt] = 3
	copy(b[cmdlineSizeAt:], "\xff\x07\x00\x00")
	return b
}
