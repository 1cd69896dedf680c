package launch

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/initramfs/kexec"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
)

// system makes a kexec system whose files have these contents, and its job.
func system(t *testing.T, cmdline string, kernel string, initrds ...string) Job {
	t.Helper()
	dir := t.TempDir()
	sys := catalog.System{Name: "debian", Launch: catalog.Launch{Method: catalog.MethodKexec, Kexec: &catalog.Kexec{Kernel: "boot/vmlinuz", Cmdline: cmdline}}}
	var files catalog.FileList
	add := func(name, content string) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		files = append(files, catalog.File{Path: name, Size: int64(len(content))})
		sys.Size += int64(len(content))
	}
	add("boot/vmlinuz", kernel)
	for i, content := range initrds {
		name := fmt.Sprintf("initrd%d", i)
		add(name, content)
		sys.Launch.Kexec.Initrd = append(sys.Launch.Kexec.Initrd, name)
	}
	return Job{System: sys, Files: files, Dir: dir, Vars: map[string]string{"MAC": "aa:bb:cc:dd:ee:ff"}}
}

// fakeKernel records what it is asked.
type fakeKernel struct {
	kernel, initrd, cmdline string
	noInitrd                bool
	calls                   []string
	err                     error
	isLoaded                bool
}

func (k *fakeKernel) method(t *testing.T) *kexecMethod {
	read := func(f *os.File) string {
		// kernel_read_file wants a file that nobody has open for writing; F_WRLCK-like checks are the kernel's, but the
		// descriptor itself must be for reading only.
		if flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0); err != nil || flags&unix.O_ACCMODE != unix.O_RDONLY {
			t.Errorf("%s is open for writing", f.Name())
		}
		b, err := io.ReadAll(f)
		if err != nil {
			t.Error(err)
		}
		return string(b)
	}
	note := func(what string) { k.calls = append(k.calls, what) }
	return &kexecMethod{
		load: func(kernel, initrd *os.File, cmdline string) error {
			note("load")
			k.kernel, k.cmdline, k.noInitrd = read(kernel), cmdline, initrd == nil
			if initrd != nil {
				k.initrd = read(initrd)
			}
			return k.err
		},
		unload: func() error { note("unload"); return nil },
		loaded: func() bool { return k.isLoaded },
		quiet:  func() error { note("quiet"); return errors.New("take eth0 down: no") },
		reboot: func() error { note("reboot"); return unix.EINVAL },
	}
}

func TestKexecLoad(t *testing.T) {
	for _, tt := range []struct {
		name    string
		job     Job
		initrd  string
		cmdline string
	}{
		{"one initrd", system(t, "quiet mac={{.MAC}}", "K", "abc"), "abc", "quiet mac=aa:bb:cc:dd:ee:ff"},
		{"none", system(t, "", "K"), "", ""},
		{"several, padded to four", system(t, "x={{ .IP }}", "K", "abcde", "fg", "hijk", "l"), "abcde\x00\x00\x00fg\x00\x00hijkl", "x="},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var k fakeKernel
			m := k.method(t)
			// Twice, as after a failure further on.
			for range 2 {
				if err := m.Load(t.Context(), tt.job); err != nil {
					t.Fatal(err)
				}
				if k.kernel != "K" || k.initrd != tt.initrd || k.cmdline != tt.cmdline || k.noInitrd != (tt.initrd == "") {
					t.Errorf("kernel %q, initrd %q, command line %q", k.kernel, k.initrd, k.cmdline)
				}
			}
		})
	}
}

func TestKexecLoadLeavesFilesAsTheyWereOnFailure(t *testing.T) {
	job := system(t, "", "K", "abcde", "fg")
	k := fakeKernel{err: unix.ENOMEM, isLoaded: true}
	err := k.method(t).Load(t.Context(), job)
	if !errors.Is(err, unix.ENOMEM) || !strings.Contains(err.Error(), "not enough memory") {
		t.Errorf("error %v", err)
	}
	if b, err := os.ReadFile(filepath.Join(job.Dir, "initrd0")); err != nil || string(b) != "abcde" {
		t.Errorf("the first initrd is now %q, %v", b, err)
	}
	if !slices.Equal(k.calls, []string{"unload", "load"}) {
		t.Errorf("calls %q: what was loaded before goes first", k.calls)
	}
}

func TestKexecErrorsAreExplained(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{unix.EPERM, "locked down, as with Secure Boot"},
		{errors.Join(kexec.ErrSegments, unix.EPERM), "can't verify other kernels, so it starts none"},
		{unix.ENODATA, "the new one is not signed;"},
		{unix.ENOKEY, "not signed by a key that this machine trusts"},
		{unix.EKEYREJECTED, "changed after it was signed"},
		{unix.EBADMSG, "signature is broken"},
		{unix.ENOEXEC, "not a bootable kernel"},
		{unix.ENOMEM, "not enough memory"},
		{unix.EADDRNOTAVAIL, "no free stretch of memory"},
		{unix.EBUSY, "try again"},
		{unix.ENOSYS, "CONFIG_KEXEC_FILE"},
		{unix.EINVAL, "dmesg"},
		{unix.EIO, "dmesg"},
		{unix.ENOSPC, "no room to join"},
		{os.ErrNotExist, "download it again"},
	} {
		k := fakeKernel{err: fmt.Errorf("SYS_kexec_file_load: %w", tt.err)}
		err := k.method(t).Load(t.Context(), system(t, "", "K"))
		if !errors.Is(err, tt.err) || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "start debian: ") {
			t.Errorf("%v: explained as %v", tt.err, err)
		}
	}
	k := fakeKernel{err: unix.EINVAL}
	if err := k.method(t).Load(t.Context(), system(t, strings.Repeat("x", 2048), "K")); !strings.Contains(err.Error(), "2048 bytes") {
		t.Errorf("a long command line: %v", err)
	}
	missing := system(t, "", "K", "a", "b")
	if err := os.Remove(filepath.Join(missing.Dir, "initrd1")); err != nil {
		t.Fatal(err)
	}
	if err := new(fakeKernel).method(t).Load(t.Context(), missing); err == nil || !strings.Contains(err.Error(), "initrd1") {
		t.Errorf("a missing initrd: %v", err)
	}
	if err := new(fakeKernel).method(t).Load(t.Context(), system(t, "{{.Nonsense}}", "K")); err == nil || !strings.Contains(err.Error(), "{{.Nonsense}}") {
		t.Errorf("an unknown placeholder: %v", err)
	}
	outside := system(t, "", "K")
	outside.System.Launch.Kexec.Kernel = "../../etc/passwd"
	if err := new(fakeKernel).method(t).Load(t.Context(), outside); err == nil || !strings.Contains(err.Error(), "leaves the system's folder") {
		t.Errorf("a path that leaves the folder: %v", err)
	}
}

// Behind lz4 the kernel finds lz4 if it follows at once, and other archives behind four zeros (package initrd).
func TestJoinedLZ4(t *testing.T) {
	const lz4 = "\x02\x21\x4c\x18"
	for _, c := range []struct{ one, two, want string }{
		{lz4 + "1", lz4 + "2", lz4 + "1" + lz4 + "2"},
		{lz4 + "1", "\x1f\x8b", lz4 + "1" + "\x00\x00\x00" + "\x00\x00\x00\x00" + "\x1f\x8b"},
		{lz4 + "1234", "070701", lz4 + "1234" + "\x00\x00\x00\x00" + "070701"},
		{"12345", lz4, "12345" + "\x00\x00\x00" + lz4},
	} {
		var k fakeKernel
		if err := k.method(t).Load(t.Context(), system(t, "", "K", c.one, c.two)); err != nil || k.initrd != c.want {
			t.Errorf("%q and %q: %q, %v, want %q", c.one, c.two, k.initrd, err, c.want)
		}
	}
}

func TestKexecStart(t *testing.T) {
	k := fakeKernel{}
	job := system(t, "", "K")
	if _, err := k.method(t).Start(t.Context(), job); err == nil || len(k.calls) > 0 {
		t.Errorf("nothing loaded: %v, calls %q", err, k.calls)
	}
	k.isLoaded = true
	var log []string
	job.Log = func(format string, args ...any) { log = append(log, fmt.Sprintf(format, args...)) }
	_, err := k.method(t).Start(t.Context(), job)
	if !errors.Is(err, unix.EINVAL) || !slices.Equal(k.calls, []string{"quiet", "reboot"}) {
		t.Errorf("%v, calls %q", err, k.calls)
	}
	if len(log) != 1 || !strings.Contains(log[0], "eth0") {
		t.Errorf("log %q", log)
	}
}

// cpio, a foreign tool, reads the joined archives if they are aligned: here by what the kernel's unpacker does, one
// archive after the other, skipping zero bytes between them.
func TestJoinedArchivesAreReadable(t *testing.T) {
	cpio := need.Command(t, "cpio", "cpio")
	pack := func(name, content string) string {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(cpio, "-o", "-H", "newc", "--quiet")
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(name+"\n")
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	one, two := pack("one", "1")+"\x00", pack("two", "2") // an odd length
	job := system(t, "", "K", one, two)
	var k fakeKernel
	if err := k.method(t).Load(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	var names []string
	for rest, offset := []byte(k.initrd), 0; ; {
		next := bytes.Index(rest[offset:], []byte("070701"))
		if next < 0 {
			break
		}
		offset += next
		if offset%4 != 0 {
			t.Errorf("an archive begins at %d", offset)
		}
		cmd := exec.Command(cpio, "-t", "--quiet")
		cmd.Stdin = bytes.NewReader(rest[offset:])
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, strings.Fields(string(out))...)
		end := bytes.Index(rest[offset:], []byte("TRAILER!!!"))
		offset += end
	}
	if !slices.Equal(names, []string{"one", "two"}) {
		t.Errorf("cpio lists %q", names)
	}
}

func TestFor(t *testing.T) {
	if _, err := For(system(t, "", "K").System, nil); err != nil {
		t.Error(err)
	}
	_, err := For(catalog.System{Name: "new", Launch: catalog.Launch{Method: "bin-riscv"}}, nil)
	if err == nil || !strings.Contains(err.Error(), "older than the site") || !strings.Contains(err.Error(), "mkimage") {
		t.Errorf("an unknown method: %v", err)
	}
	if _, err := For(catalog.System{Name: "half", Launch: catalog.Launch{Method: catalog.MethodKexec}}, nil); err == nil {
		t.Error("kexec without its arguments")
	}
}

func TestPreflight(t *testing.T) {
	const m = 1 << 20
	sys := catalog.System{
		Name: "debian", Size: 48 * m,
		Launch: catalog.Launch{Method: catalog.MethodKexec, Kexec: &catalog.Kexec{Kernel: "k", Initrd: []string{"a", "b"}}},
	}
	files := catalog.FileList{{Path: "k", Size: 8 * m}, {Path: "a", Size: 30*m - 1}, {Path: "b", Size: 10 * m}}
	method, err := For(sys, nil)
	if err != nil {
		t.Fatal(err)
	}
	// Joined: padding of up to 7 and b. Copies: the kernel and its unpacked size, and twice the joined initrd.
	if got, want := method.Need(sys, files), (Memory{Files: 10*m + 7, Copies: (8+72)*m + 2*(40*m+6), What: "kexec's copies of kernel and initrd"}); !reflect.DeepEqual(got, want) {
		t.Errorf("Need = %+v, want %+v", got, want)
	}
	// Three files and two folders, and the byte that the second file's last page is not full.
	enough := sys.Size + 5*InodeMemory + 1 + method.Need(sys, files).Files + method.Need(sys, files).Copies + Reserve
	if err := Preflight(sys, files, method, Room{enough, 5}); err != nil {
		t.Errorf("exactly enough: %v", err)
	}
	err = Preflight(sys, files, method, Room{300 * m, -1})
	var tooMuch *MemoryError
	if !errors.As(err, &tooMuch) || tooMuch.Sum() != enough || tooMuch.Free != 300*m {
		t.Fatalf("too little: %v", err)
	}
	const want = "debian does not fit into memory: download 48 MiB + storage of its 5 files and folders 1 MiB + initrds joined 11 MiB + kexec's copies of kernel and initrd " +
		"161 MiB + 96 MiB that stay free = 315 MiB, this machine has 300 MiB free; choose a smaller system or a machine with more memory"
	if err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
}

// Many small files take a page each, and an inode.
func TestPreflightOfManyFiles(t *testing.T) {
	const n = 20_000
	sys := catalog.System{Name: "many", Size: n * 16, Launch: catalog.Launch{Method: catalog.MethodBin, Bin: &catalog.Bin{Program: "0/0"}}}
	var files catalog.FileList
	for i := range n {
		files = append(files, catalog.File{Path: fmt.Sprintf("%d/%d", i/100, i), Size: 16})
	}
	method, err := For(sys, nil)
	if err != nil {
		t.Fatal(err)
	}
	rest := method.Need(sys, files).Copies + Reserve
	var e *MemoryError
	if err := Preflight(sys, files, method, Room{rest + n*page, -1}); !errors.As(err, &e) || e.Inodes != n+200+2 {
		t.Errorf("room for the pages alone: %v", err)
	}
	enough := rest + n*page + (n+202)*InodeMemory
	if err := Preflight(sys, files, method, Room{enough, n + 202}); err != nil {
		t.Errorf("exactly enough: %v", err)
	}
	if err := Preflight(sys, files, method, Room{enough, n}); !errors.As(err, &e) || !strings.Contains(err.Error(), "20202 files and folders") {
		t.Errorf("too few inodes: %v", err)
	}
}

// A tmpfs tells how many inodes it has left.
func TestRoomOfTmpfs(t *testing.T) {
	need.Root(t)
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "nr_inodes=100"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	for i := range 9 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), []byte("small"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	room, err := RoomAt(dir)
	if err != nil || room.Inodes != 90 || room.Memory <= 0 {
		t.Errorf("%+v, %v; want 90 inodes: of 100 the folder itself and nine files are taken", room, err)
	}
}

func TestAvailable(t *testing.T) {
	if n, err := Available(); err != nil || n <= 0 {
		t.Errorf("this machine: %d, %v", n, err)
	}
}
