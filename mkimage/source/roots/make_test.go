package roots

import (
	"archive/tar"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/roottest"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/mkimage/source"
)

// root is a folder with a root file system: an init for a machine, and a file of a user.
func root(t *testing.T, machine elf.Machine) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "root")
	for name, content := range map[string]string{
		"sbin/init": string(roottest.Program(machine)), "etc/os-release": "PRETTY_NAME=\"Test Linux 1\"\n", "home/user/file": strings.Repeat("content ", 1000), "usr/bin/gone": "1",
	} {
		write(t, filepath.Join(dir, name), content)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(content), 0o755)); err != nil {
		t.Fatal(err)
	}
}

// run runs a program of a package, in a folder of its own.
func run(t *testing.T, pkg, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), need.Command(t, name, pkg), args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(cmd.Args, " "), err, out)
	}
	return out
}

// tarOf is a tar of a folder, made by tar.
func tarOf(t *testing.T, dir string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "root.tar")
	run(t, "tar", "tar", "-C", dir, "-cf", file, ".")
	return file
}

// result is what an import made: the folder, what its log said, and its table.
type result struct{ dir, log, table string }

// imported imports a source as root/NAME of a new site.
func imported(t *testing.T, text string, change ...func(*source.Options)) (result, error) {
	t.Helper()
	need.Command(t, "mksquashfs", "squashfs-tools")
	dir := filepath.Join(t.TempDir(), "site")
	if err := site.Init(dir, "test"); err != nil {
		t.Fatal(err)
	}
	return importedTo(t, dir, text, change...)
}

func importedTo(t *testing.T, dir, text string, change ...func(*source.Options)) (result, error) {
	t.Helper()
	var log, table strings.Builder
	o := source.Options{Source: text, Target: filepath.Join(dir, "oss", "x"), Log: slog.New(slog.NewTextHandler(&log, nil))}
	for _, c := range change {
		c(&o)
	}
	r, err := source.Import(t.Context(), o, Kinds())
	left, e := os.ReadDir(filepath.Join(dir, "oss"))
	if e != nil {
		t.Fatal(e)
	}
	left = slices.DeleteFunc(left, func(d os.DirEntry) bool { return d.Name() == "README" || err == nil && d.Name() == "x" })
	if len(left) != 0 {
		t.Errorf("%s: left behind: %v", text, left)
	}
	if err != nil {
		return result{log: log.String()}, err
	}
	if err := r.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	return result{filepath.Join(dir, "oss", "x"), log.String(), table.String()}, nil
}

// config is config.yaml without what every one has.
func (r result) config(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(r.dir, site.SystemFile))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// files lists the image that was made, as unsquashfs does, without the root folder: owners, sizes and names.
func (r result) files(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(string(run(t, "squashfs-tools", "unsquashfs", "-lln", filepath.Join(r.dir, packedImage)))) {
		_, name, found := strings.Cut(line, " squashfs-root/")
		if fields := strings.Fields(line); found && fields[0][0] != 'd' && !strings.HasPrefix(name, "lost+found") {
			fmt.Fprintf(&b, "%s %s %s\n", fields[1], fields[2], strings.TrimSpace(name))
		}
	}
	return b.String()
}

// wantFiles is what files says of root's files, owned as they are on disk, less some.
func wantFiles(without ...string) string {
	owner := fmt.Sprintf("%d/%d", os.Getuid(), os.Getgid())
	var b strings.Builder
	for _, f := range []struct {
		name string
		size int
	}{{"etc/os-release", 27}, {"home/user/file", 8000}, {"sbin/init", 120}, {"usr/bin/gone", 1}} {
		if !slices.Contains(without, f.name) {
			fmt.Fprintf(&b, "%s %d %s\n", owner, f.size, f.name)
		}
	}
	return b.String()
}

// archive is a tar with an entry, and an init.
func archive(t *testing.T, headers ...tar.Header) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "root.tar")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(f)
	init := string(roottest.Program(elf.EM_X86_64))
	headers = append([]tar.Header{{Name: "sbin/init", Mode: 0o755, Size: int64(len(init))}}, headers...)
	for i := range headers {
		if err := w.WriteHeader(&headers[i]); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if _, err := io.WriteString(w, init); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(w.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return file
}
