package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/initramfs/root"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
)

// seen is what a system's init sees of itself and of the machine.
type seen struct {
	PID                     int
	Args, Env, Mounts, Root []string
	Cmdline, Host, Status   string

	// Files are the open descriptors, but for the one by which they are listed.
	Files []string
}

// results is a folder that both the test and the init, whose /dev is moved, can write to.
const results = "/dev/shm"

// As process 1 of namespaces of its own, this program becomes the init of a system, which is once more this program, and says what it sees.
func TestTakeOver(t *testing.T) {
	const stage = "BOOTTORRENT_TEST_TAKEOVER"
	switch file := os.Getenv(stage); {
	case file != "":
		t.Fatal(becomeInit(file)) // which returns only if it fails
	case os.Getpid() == 1:
		return // TestAsInit is the other one
	}
	need.LoopDevices(t)
	need.Overlay(t, "TestDebianWithoutKexec")
	need.Command(t, "mksquashfs", "squashfs-tools")
	result, err := os.CreateTemp(results, "takeover")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(result.Name()); result.Close() })
	// Under nohup(1) SIGHUP is ignored, and would be in the init. What has a handler here has none there, and isn't ignored.
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(hangup) })
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestTakeOver$", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), stage+"="+result.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS | syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL,
	}
	out, err := cmd.CombinedOutput()
	var s seen
	if decodeErr := json.NewDecoder(result).Decode(&s); decodeErr != nil {
		t.Fatalf("the init says nothing (%v): %v\n%s", decodeErr, err, out)
	}
	check(t, s)
}

// becomeInit makes a system whose init is this program, and becomes that.
func becomeInit(result string) error {
	const folder = "/mnt/systems/0123/box"
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	for _, m := range []struct{ fs, target string }{{"proc", "/proc"}, {"tmpfs", "/mnt"}, {"tmpfs", "/mnt/systems"}} {
		if err := mountOn(m.fs, m.fs, m.target, 0); err != nil {
			return err
		}
	}
	if err := ownDevices(); err != nil {
		return err
	}
	if err := makeImage(folder); err != nil {
		return err
	}
	p, err := root.Prepare(context.Background(), root.Config{
		Name: "box", Dir: folder, Stage: "/mnt/stage", Wish: "/mnt/switch.json", Writable: 1 << 20, Hostname: "fromdhcp",
		Cmdline: "quiet single -- -test.run=^TestAsInit$ " + result,
		Root: catalog.Root{
			Images: []catalog.RootImage{{Path: "image", FS: "squashfs"}}, Init: "/sbin/init", Writable: catalog.WritableRAM,
		},
	})
	if err != nil {
		return err
	}
	if err := p.Commit(); err != nil {
		return err
	}
	s, err := root.ReadSwitch("/mnt/switch.json")
	if err != nil {
		return err
	}
	s.Args = s.Args[1:] // without "single", which is none of the test package's flags
	if err := s.Move(); err != nil {
		return err
	}
	return execute(s)
}

func mountOn(source, fs, target string, flags uintptr) error {
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(source, target, fs, flags, ""); err != nil {
		return fmt.Errorf("mount %s: %w", target, err)
	}
	return nil
}

// ownDevices has nodes on a file system of its own on /dev: what is removed there, nobody else misses. A folder /dev/shm is the host's.
func ownDevices() error {
	const shared = "/mnt/shared"
	if err := mountOn(results, "", shared, unix.MS_BIND); err != nil {
		return err
	}
	if err := mountOn("tmpfs", "tmpfs", "/dev", 0); err != nil {
		return err
	}
	if err := os.MkdirAll("/dev/pts", 0o755); err != nil {
		return err
	}
	if err := mountOn(shared, "", results, unix.MS_BIND); err != nil {
		return err
	}
	if err := unix.Unmount(shared, 0); err != nil {
		return err
	}
	// Their numbers are in Documentation/admin-guide/devices.txt.
	nodes := map[string]uint64{"console": unix.Mkdev(5, 1), "null": unix.Mkdev(1, 3), "loop-control": unix.Mkdev(10, 237)}
	for name, device := range nodes {
		if err := unix.Mknod("/dev/"+name, unix.S_IFCHR|0o600, int(device)); err != nil {
			return err
		}
	}
	for i := range uint32(256) {
		if err := unix.Mknod(fmt.Sprintf("/dev/loop%d", i), unix.S_IFBLK|0o600, int(unix.Mkdev(7, i))); err != nil {
			return err
		}
	}
	return nil
}

func makeImage(folder string) error {
	if err := os.MkdirAll("/mnt/tree/sbin", 0o755); err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	if err := os.WriteFile("/mnt/tree/sbin/init", self, 0o755); err != nil {
		return err
	}
	out, err := exec.Command("mksquashfs", "/mnt/tree", filepath.Join(folder, "image"), "-noD", "-quiet", "-no-progress").CombinedOutput()
	if err != nil {
		return fmt.Errorf("mksquashfs: %w\n%s", err, out)
	}
	return nil
}

// TestAsInit runs as the init of the system that TestTakeOver makes.
func TestAsInit(t *testing.T) {
	if os.Getpid() != 1 {
		t.Skip("it is for TestTakeOver, which runs it as process 1")
	}
	s, err := look()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(os.Args[len(os.Args)-1], text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func look() (s seen, err error) {
	s = seen{PID: os.Getpid(), Args: os.Args, Env: os.Environ()}
	for file, to := range map[string]*string{"/proc/cmdline": &s.Cmdline, "/proc/self/status": &s.Status} {
		text, err := os.ReadFile(file)
		if err != nil {
			return s, err
		}
		*to = string(text)
	}
	if s.Host, err = os.Hostname(); err != nil {
		return s, err
	}
	mounts, err := mountinfo.GetMounts(nil)
	if err != nil {
		return s, err
	}
	for _, m := range mounts {
		s.Mounts = append(s.Mounts, m.Mountpoint+" "+m.FSType+" "+m.Options)
	}
	entries, err := os.ReadDir("/")
	if err != nil {
		return s, err
	}
	for _, e := range entries {
		s.Root = append(s.Root, e.Name())
	}
	fds, err := os.ReadDir("/proc/self/fd")
	for _, fd := range fds {
		if target, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && !strings.HasPrefix(target, "anon_inode") {
			s.Files = append(s.Files, fd.Name()+" "+target)
		}
	}
	return s, err
}

// internalSignals are 32 and 33, which glibc keeps for itself. What its posix_spawn starts, such as everything below make, ignores them,
// and no Go program changes that. What the kernel starts ignores none.
const internalSignals = 1<<(32-1) | 1<<(33-1)

// ignoredSignals reads SigIgn of /proc/PID/status (proc_pid_status(5)): signal n is bit n-1.
func ignoredSignals(t *testing.T, status string) uint64 {
	t.Helper()
	_, rest, _ := strings.Cut(status, "SigIgn:\t")
	digits, _, _ := strings.Cut(rest, "\n")
	mask, err := strconv.ParseUint(digits, 16, 64)
	if err != nil {
		t.Fatalf("its status says nothing of ignored signals: %v\n%s", err, status)
	}
	return mask
}

func check(t *testing.T, s seen) {
	t.Helper()
	if s.PID != 1 {
		t.Errorf("it is process %d", s.PID)
	}
	if s.Args[0] != "/sbin/init" {
		t.Errorf("its arguments: %q", s.Args)
	}
	if want := root.Environment(); !slices.Equal(s.Env, want) {
		t.Errorf("its environment: %q, want %q", s.Env, want)
	}
	if !strings.HasPrefix(s.Cmdline, "quiet single -- ") {
		t.Errorf("/proc/cmdline: %q", s.Cmdline)
	}
	if s.Host != "fromdhcp" {
		t.Errorf("host name %q", s.Host)
	}
	if !slices.Equal(s.Root, []string{"dev", "proc", "run", "sbin", "sys"}) {
		t.Errorf("its root has %q", s.Root)
	}
	for _, line := range []string{"Umask:\t0022", "SigBlk:\t0000000000000000"} {
		if !strings.Contains(s.Status, line+"\n") {
			t.Errorf("its status lacks %q:\n%s", line, s.Status)
		}
	}
	if ignored := ignoredSignals(t, s.Status); ignored&^internalSignals != 0 {
		t.Errorf("it ignores signals, as the bits of %#x:\n%s", ignored, s.Status)
	}
	for _, file := range s.Files {
		if number, target, _ := strings.Cut(file, " "); slices.Contains([]string{"0", "1", "2"}, number) && target != "/dev/console" {
			t.Errorf("descriptor %s is %s", number, target)
		}
	}
	for _, want := range []string{"/ overlay rw", "/run tmpfs rw,nosuid,nodev", "/run/boottorrent/img tmpfs ro,nosuid,nodev,noexec",
		"/run/boottorrent/layers/0 squashfs ro,nosuid,nodev", "/dev/pts devpts rw,nosuid,noexec", "/proc/cmdline tmpfs ro", "/proc proc", "/sys sysfs"} {
		if !slices.ContainsFunc(s.Mounts, func(m string) bool { return strings.HasPrefix(m, want) }) {
			t.Errorf("not mounted: %s; there are\n%s", want, strings.Join(s.Mounts, "\n"))
		}
	}
	if slices.ContainsFunc(s.Mounts, func(m string) bool { return strings.HasPrefix(m, "/mnt") }) {
		t.Errorf("phase 1's mounts are seen:\n%s", strings.Join(s.Mounts, "\n"))
	}
}

// A system starts also where there is no console, as after console=ttyS0 on a machine without a serial port.
func TestStandardFilesWithoutConsole(t *testing.T) {
	const stage = "BOOTTORRENT_TEST_STANDARD_FILES"
	if os.Getenv(stage) != "" {
		told := os.NewFile(3, "told")
		err := standardFiles(filepath.Join(t.TempDir(), "console"), os.DevNull)
		for _, fd := range []string{"0", "1", "2"} {
			target, linkErr := os.Readlink("/proc/self/fd/" + fd)
			fmt.Fprintln(told, target, errors.Join(err, linkErr))
		}
		return
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestStandardFilesWithoutConsole$")
	cmd.Env, cmd.ExtraFiles = append(os.Environ(), stage+"=1"), []*os.File{writer}
	out, err := cmd.CombinedOutput()
	writer.Close()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	told, err := io.ReadAll(reader)
	if want := strings.Repeat("/dev/null <nil>\n", 3); err != nil || string(told) != want {
		t.Errorf("its standard files are\n%s%v; want\n%s", told, err, want)
	}
	if err := standardFiles("/nowhere/console", "/nowhere/null"); err == nil || !strings.Contains(err.Error(), "/nowhere/console") {
		t.Errorf("without either: %v", err)
	}
}
