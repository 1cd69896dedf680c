package tree

import (
	"archive/tar"
	"context"
	"errors"
	"flag"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/need"
)

var update = flag.Bool("update", false, "write golden files")

// everything is a root file system with a file of each kind.
func everything(t testing.TB) []byte {
	own := func(uid, gid int) func(*tar.Header) {
		return func(h *tar.Header) { h.Uid, h.Gid = uid, gid }
	}
	return made(t,
		e{name: "./", kind: dir, change: func(h *tar.Header) { h.Mode, h.Uid, h.Gid = 0o751, 7, 8 }},
		e{name: "tmp/", kind: dir, change: func(h *tar.Header) { h.Mode = 0o1777 }},
		e{name: "bin/suid", content: "s", change: func(h *tar.Header) {
			h.Mode, h.PAXRecords = 0o6755, map[string]string{xattrRecord + "security.capability": capability, xattrRecord + "user.note": "n", xattrRecord + "system.posix_acl_access": "x"}
		}},
		e{name: "bin/again", kind: hard, link: "bin/suid"},
		e{name: "bin/link", kind: symlink, link: "/bin/suid"},
		e{name: "dev/null", kind: tar.TypeChar, change: func(h *tar.Header) { h.Devmajor, h.Devminor = 1, 3 }},
		e{name: "dev/sda300", kind: tar.TypeBlock, change: func(h *tar.Header) { h.Devmajor, h.Devminor = 259, 70000 }},
		e{name: "dev/pipe", kind: tar.TypeFifo},
		e{name: "home/large-ids", content: "x", change: own(100000, 4000000000)},
		e{name: "home/old", content: "x", change: func(h *tar.Header) { h.ModTime = time.Unix(-1e9, 0) }},
		e{name: "home/zeros", content: strings.Repeat("\x00", 3<<20) + "end"},
		e{name: "home/" + strings.Repeat("l", 255), content: "x"},
	)
}

// capability is cap_net_raw+ep as the kernel stores it (linux/capability.h, struct vfs_cap_data).
const capability = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

func TestPack(t *testing.T) {
	need.Command(t, "mksquashfs", "squashfs-tools")
	unsquashfs := need.Command(t, "unsquashfs", "squashfs-tools")
	tree, err := ReadLayers(t.Context(), []Layer{layer(everything(t))}, Plain, Limits{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.Notes) != 1 || !strings.Contains(tree.Notes[0], "system.posix_acl_access") {
		t.Errorf("notes: %q", tree.Notes)
	}
	image := filepath.Join(t.TempDir(), "image")
	var done int64
	if err := tree.Pack(t.Context(), image, func(n int64) { done = n }); err != nil {
		t.Fatal(err)
	}
	if done != tree.Size() {
		t.Errorf("progress ends at %d of %d bytes", done, tree.Size())
	}
	cmd := exec.Command(unsquashfs, "-lln", "-UTC", image)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "pack.golden", string(out))
	if err := tree.Pack(t.Context(), image, nil); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("over an image: %v", err)
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s:\n%s\nwant:\n%s", name, got, want)
	}
}

// What was packed is what the kernel finds in the image.
func TestPackMounted(t *testing.T) {
	need.LoopDevices(t)
	need.FileSystem(t, "squashfs")
	need.Command(t, "mksquashfs", "squashfs-tools")
	tree, err := ReadLayers(t.Context(), []Layer{layer(everything(t))}, Plain, Limits{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	image := filepath.Join(t.TempDir(), "image")
	if err := tree.Pack(t.Context(), image, nil); err != nil {
		t.Fatal(err)
	}
	mounted, err := ReadPart(t.Context(), image, "squashfs", 0, 0, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer mounted.Close()
	if a, b := listing(t, tree), listing(t, mounted); a != b {
		t.Errorf("contents differ: %.300q and %.300q", a, b)
	}
	if nodeNamed(mounted, "bin/suid") != nodeNamed(mounted, "bin/again") {
		t.Error("a hard link is a file of its own")
	}
	_ = tree.each(func(name string, packed *Node) error {
		got, want := *nodeNamed(mounted, name), *packed
		got.at, want.at = 0, 0
		if got.Mode.Type() == fs.ModeSymlink {
			got.Mode = want.Mode // Linux shows all permissions there
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v\nwant %+v", name, got, want)
		}
		return nil
	})
}

func nodeNamed(t *Tree, name string) (found *Node) {
	_ = t.each(func(n string, node *Node) error {
		if n == name {
			found = node
		}
		return nil
	})
	return found
}

// Who is not root gets the same image. The test runs itself as nobody.
func TestPackAsNobody(t *testing.T) {
	const target = "TREE_TEST_PACK"
	if image := os.Getenv(target); image != "" {
		tree, err := ReadLayers(t.Context(), []Layer{layer(everything(t))}, Plain, Limits{}, nil)
		if err == nil {
			err = tree.Pack(t.Context(), image, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	need.Root(t)
	need.Command(t, "mksquashfs", "squashfs-tools")
	shared, err := os.MkdirTemp("/tmp", "tree-test-") // where nobody may go, unlike t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(shared) })
	program := filepath.Join(shared, "test")
	if err := errors.Join(os.Chmod(shared, 0o777), copyProgram(program)); err != nil {
		t.Fatal(err)
	}
	var images [2][]byte
	for i, credential := range []*syscall.Credential{nil, {Uid: 65534, Gid: 65534}} {
		image := filepath.Join(shared, string(rune('a'+i)))
		cmd := exec.CommandContext(t.Context(), program, "-test.run", "^TestPackAsNobody$")
		cmd.Env = append(os.Environ(), target+"="+image, "HOME=/nonexistent", "GOCOVERDIR=")
		cmd.Dir, cmd.SysProcAttr = "/", &syscall.SysProcAttr{Credential: credential}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if images[i], err = os.ReadFile(image); err != nil {
			t.Fatal(err)
		}
	}
	if string(images[0]) != string(images[1]) {
		t.Error("root and nobody make different images of one archive")
	}
}

func copyProgram(to string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	b, err := os.ReadFile(self)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o755)
}

// The same folder gives the same image, whatever the number of processors.
func TestReadFolder(t *testing.T) {
	need.Root(t)
	need.Command(t, "mksquashfs", "squashfs-tools")
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "a"), []byte("1"), 0o640); err != nil {
		t.Fatal(err)
	}
	steps := []error{
		os.Link(filepath.Join(root, "a"), filepath.Join(root, "b")),
		os.Symlink("/etc/passwd", filepath.Join(root, "link")),
		os.Mkdir(filepath.Join(root, "d"), 0o700),
		unix.Mknod(filepath.Join(root, "null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))),
		unix.Mkfifo(filepath.Join(root, "pipe"), 0o600),
		unix.Lsetxattr(filepath.Join(root, "a"), "security.capability", []byte(capability), 0),
		unix.Mknod(filepath.Join(root, "socket"), unix.S_IFSOCK|0o600, 0),
	}
	if err := errors.Join(steps...); err != nil {
		t.Fatal(err)
	}
	tree, err := ReadFolder(t.Context(), root, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	if got, want := listing(t, tree), "a=1 b=1 d/ link>/etc/passwd null= pipe="; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if a := nodeNamed(tree, "a"); a != nodeNamed(tree, "b") || a.Xattrs["security.capability"] != capability || a.Mode.Perm() != 0o640 {
		t.Errorf("a is %+v", a)
	}
	if len(tree.Notes) != 1 || !strings.Contains(tree.Notes[0], "the socket /socket was left out") {
		t.Errorf("notes: %q", tree.Notes)
	}
}

// What is mounted in a folder is left out, and its mount point stays.
func TestReadFolderWithMounts(t *testing.T) {
	need.Namespaces(t)
	if os.Getenv("TREE_TEST_MOUNTS") == "" {
		cmd := exec.CommandContext(t.Context(), "unshare", "--mount", os.Args[0], "-test.run", "^TestReadFolderWithMounts$", "-test.v")
		cmd.Env = append(os.Environ(), "TREE_TEST_MOUNTS=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return
	}
	root := t.TempDir()
	proc := filepath.Join(root, "proc")
	if err := errors.Join(os.Mkdir(proc, 0o755), unix.Mount("proc", proc, "proc", 0, "")); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Unmount(proc, 0); err != nil {
			t.Error(err)
		}
	}()
	tree, err := ReadFolder(t.Context(), root, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	if got := listing(t, tree); got != "proc/" || len(tree.Notes) != 1 || !strings.Contains(tree.Notes[0], "what is mounted at /proc") {
		t.Errorf("%q, notes %q", got, tree.Notes)
	}
}

// A file that changes meanwhile, an interruption and a failing source leave no image.
func TestPackFails(t *testing.T) {
	need.Command(t, "mksquashfs", "squashfs-tools")
	root := t.TempDir()
	file := filepath.Join(root, "file")
	if err := os.WriteFile(file, make([]byte, 1<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	interrupted, interrupt := context.WithCancel(t.Context())
	for _, test := range []struct {
		name   string
		ctx    context.Context
		before func()
		source source
		says   string
	}{
		{"interrupted", interrupted, interrupt, nil, "context canceled"},
		{"changed", t.Context(), func() { _ = os.WriteFile(file, []byte("short"), 0o644) }, nil, "was changed while it was read"},
		{"unreadable", t.Context(), func() {}, failing{}, "cut off or damaged"},
	} {
		tree, err := ReadFolder(t.Context(), root, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if test.source != nil {
			tree.bytes = test.source
		}
		test.before()
		image := filepath.Join(t.TempDir(), "image")
		if err := tree.Pack(test.ctx, image, nil); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", test.name, err)
		}
		if left, err := os.ReadDir(filepath.Dir(image)); err != nil || len(left) != 0 {
			t.Errorf("%s: left behind: %v %v", test.name, left, err)
		}
		_ = tree.Close()
	}
}

// failing is a source that ends too early.
type failing struct{ noSource }

func (failing) each(context.Context, func(*Node, io.Reader) error) error {
	return broken(io.ErrUnexpectedEOF)
}

func TestWithoutMksquashfs(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	tree, err := ReadLayers(t.Context(), []Layer{layer(made(t, e{name: "a"}))}, Plain, Limits{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = tree.Pack(t.Context(), filepath.Join(t.TempDir(), "image"), nil)
	if err == nil || !strings.Contains(err.Error(), "install the package squashfs-tools") {
		t.Errorf("%v", err)
	}
}
