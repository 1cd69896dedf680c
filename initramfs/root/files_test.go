package root

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/machinefiles"
)

// files are the files for a machine: contents by name, "-> TARGET" a link, a name that ends with a slash a folder.
func (m machine) files(content tree, change func(dir string) error) *machinefiles.Tree {
	m.t.Helper()
	dir := m.t.TempDir()
	for name, text := range content {
		full := filepath.Join(dir, name)
		m.must(os.MkdirAll(filepath.Dir(full), 0o755))
		target, link := strings.CutPrefix(text, "-> ")
		switch {
		case strings.HasSuffix(name, "/"):
			m.must(os.MkdirAll(full, 0o755))
		case link:
			m.must(os.Symlink(target, full))
		default:
			m.must(os.WriteFile(full, []byte(text), 0o644))
		}
	}
	if change != nil {
		m.must(change(dir))
	}
	files, problems := machinefiles.Read(dir, machinefiles.Owner{})
	if len(problems) > 0 {
		m.t.Fatal(problems)
	}
	return files
}

// A machine's files are laid over a system that is written to, and over one that is not, whatever it has in their place, and nothing is
// written out of it.
func TestFiles(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	m := newMachine(t)
	m.file("/mnt/outside/file", "outside", 0o644)
	m.image("base", "squashfs", tree{
		"usr/lib/": "", "usr/sbin/old": static, "sbin": "-> usr/sbin", "lib": "-> /usr/lib", "etc/replaced": "system", "etc/kept": "system", "etc/link": "-> ../../../outside/file",
		"etc/out": "-> ../../../../mnt/outside", "etc/empty/": "", "etc/full/x": "system", "etc/file": "system", "etc/loop": "-> loop", "etc/nowhere": "-> /nowhere",
		"var/target/": "", "etc/machine-id": "", "proc/": "", "dev/": "", "sys/": "", "run/": "", "mnt/outside/": "",
	})
	content := tree{
		"sbin/init": static, "lib/new": "files", "etc/replaced": "files", "etc/link": "files", "etc/out/file": "files", "etc/empty": "files", "etc/file/x": "files",
		"etc/loop/x": "files", "etc/nowhere/x": "files", "etc/hostname": "desk-1\n", "etc/made/": "", "usr/bin/su": "files", "etc/a\nb\xff": "files",
		"etc/shadow": "-> /mnt/outside/file", "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
	}
	files := m.files(content, func(dir string) error {
		return errors.Join(os.Chmod(filepath.Join(dir, "sbin/init"), 0o755), os.Chown(filepath.Join(dir, "usr/bin/su"), 1234, 4321),
			unix.Chmod(filepath.Join(dir, "usr/bin/su"), 0o6755), os.Chmod(filepath.Join(dir, "etc"), 0o700), unix.Chmod(filepath.Join(dir, "etc/made"), 0o1777),
			os.Lchown(filepath.Join(dir, "etc/shadow"), 1234, 4321))
	})
	for _, writable := range []string{catalog.WritableRAM, catalog.WritableNone} {
		r := images("base=squashfs")
		r.Writable = writable
		c := m.config(r)
		c.Files, c.Identity = files, "this machine"
		p, err := Prepare(t.Context(), c)
		m.must(err)
		root := rootDir(c.Stage)
		for name, want := range map[string]string{
			"usr/lib/new": "files", "etc/replaced": "files", "etc/kept": "system", "etc/link": "files", "mnt/outside/file": "files", "etc/empty": "files",
			"etc/file/x": "files", "etc/loop/x": "files", "etc/nowhere/x": "files", "etc/a\nb\xff": "files", "etc/full/x": "system",
			"etc/machine-id": "0123456789abcdef0123456789abcdef\n", "usr/sbin/init": static,
		} {
			if got := read(t, filepath.Join(root, name)); got != want {
				t.Errorf("%s: %q is %q, want %q", writable, name, got, want)
			}
		}
		if target, err := os.Readlink(filepath.Join(root, "etc/shadow")); target != "/mnt/outside/file" {
			t.Errorf("%s: the link is %q, %v", writable, target, err)
		}
		if target, err := os.Readlink(filepath.Join(root, "lib")); target != "/usr/lib" {
			t.Errorf("%s: the system's link is %q, %v", writable, target, err)
		}
		for name, want := range map[string][3]uint32{
			"etc": {0o40755, 0, 0}, "etc/made": {0o41777, 0, 0}, "usr/bin/su": {0o106755, 1234, 4321}, "etc/shadow": {0o120777, 1234, 4321}, "etc/replaced": {0o100644, 0, 0},
		} {
			var st unix.Stat_t
			m.must(unix.Lstat(filepath.Join(root, name), &st))
			if got := [3]uint32{st.Mode, st.Uid, st.Gid}; got != want {
				t.Errorf("%s: %s is %o, want %o", writable, name, got, want)
			}
		}
		var st unix.Statfs_t
		m.must(unix.Statfs(root, &st))
		if st.Flags&unix.ST_NOSUID != 0 {
			t.Errorf("%s: set-user-ID programs don't work", writable)
		}
		err = os.WriteFile(filepath.Join(root, "etc/kept2"), nil, 0o644)
		if readOnly := errors.Is(err, unix.EROFS); readOnly != (writable == catalog.WritableNone) {
			t.Errorf("%s: writing: %v", writable, err)
		}
		m.must(p.Commit())
		s, err := ReadSwitch(c.Wish)
		m.must(err)
		if s.Hostname != noHostname {
			t.Errorf("%s: the host name %q comes before that of the files", writable, s.Hostname)
		}
		m.must(p.Close())
		m.nothingLeft()
	}
	if got := read(t, "/mnt/outside/file"); got != "outside" {
		t.Errorf("a file outside is %q", got)
	}
	entries, err := os.ReadDir("/mnt/outside")
	if err != nil || len(entries) != 1 {
		t.Errorf("outside there are %v, %v", entries, err)
	}
}

// Files that can't be laid over the system are named, and nothing stays behind.
func TestFilesRefused(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	m := newMachine(t)
	m.image("base", "squashfs", tree{"sbin/init": static, "etc/full/x": "system"})
	for _, tt := range []struct {
		content tree
		want    string
	}{
		{tree{"etc/full": "files"}, `"/etc/full": the system has a folder of that name`},
		{tree{"etc/full": "-> x"}, `"/etc/full": the system has a folder of that name`},
		{tree{"sbin/init": "#!/bin/none\n"}, "its init can't be started"},
		{tree{"large": strings.Repeat("x", 2<<20)}, `no space left on device: the system may not write more; raise writable_limit`},
	} {
		c := m.config(images("base=squashfs"))
		c.Files = m.files(tt.content, nil)
		p, err := Prepare(t.Context(), c)
		if err == nil {
			m.must(p.Close())
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, want %q", err, tt.want)
		}
		if _, err := os.Lstat(filepath.Join(rootDir(c.Stage), "sbin")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the root file system is there: %v", err)
		}
		m.nothingLeft()
	}
}
