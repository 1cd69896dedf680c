package phase1

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/mkimage/archive"
	"github.com/boottorrent/boottorrent/mkimage/image"
)

// TestBoot lets a machine start the image, without firmware or network in between, and types into the shell: the kernel
// unpacks all three parts, PID 1 runs, and a module loads with what it depends on.
func TestBoot(t *testing.T) {
	t.Parallel()
	_, dir := build(t)
	testBoot(t, dir)
}

// TestBootZstd does so with an image whose parts are compressed by Zstandard.
func TestBootZstd(t *testing.T) {
	t.Parallel()
	build(t)
	dir := filepath.Join(t.TempDir(), "site")
	if err := site.Init(dir, "room"); err != nil {
		t.Fatal(err)
	}
	if _, err := image.Build(t.Context(), image.Options{Site: dir, Compress: archive.MethodZstd, Level: archive.MinLevel}); err != nil {
		t.Fatal(err)
	}
	testBoot(t, dir)
}

func testBoot(t *testing.T, dir string) {
	c := start(t, filepath.Join(dir, site.ImageDir, image.KernelFile), filepath.Join(dir, site.ImageDir, image.InitramfsFile))
	c.expect(`the site "room"`)
	c.expect("# ")
	// The answers are not in the questions, which the console echoes.
	c.say("modprobe igb; echo status $?")
	c.expect("status 0")
	c.say("lsmod")
	c.expect("i2c_algo_bit")
	c.end()
}

// start has a machine start a kernel into phase 1's shell.
func start(t *testing.T, kernel, initramfs string, arguments ...string) *console {
	t.Helper()
	qemu := need.Command(t, "qemu-system-x86_64", "qemu-system-x86")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, qemu, append([]string{
		"-machine", "q35", "-accel", "tcg,thread=multi", "-m", "512", "-nographic", "-no-reboot",
		"-nic", "none", "-monitor", "none", "-serial", "stdio", "-kernel", kernel, "-initrd", initramfs,
		"-append", "console=ttyS0 loglevel=4 panic=-1 bt.shell",
	}, arguments...)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &console{t: t, in: in, out: bufio.NewReader(out), machine: cmd}
}

// console is a machine's serial line.
type console struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Reader
	// machine has it.
	machine *exec.Cmd
}

// end reboots the machine, which ends it.
func (c *console) end() {
	c.t.Helper()
	c.say("reboot")
	if _, err := io.Copy(io.Discard, c.out); err != nil {
		c.t.Error(err)
	}
	if err := c.machine.Wait(); err != nil {
		c.t.Errorf("the machine did not end by its reboot: %v", err)
	}
}

func (c *console) say(line string) {
	c.t.Helper()
	if _, err := fmt.Fprintln(c.in, line); err != nil {
		c.t.Fatal(err)
	}
}

// expect reads until text appears. The machine's time limit is its own.
func (c *console) expect(text string) {
	c.t.Helper()
	var seen strings.Builder
	for !strings.HasSuffix(seen.String(), text) {
		b, err := c.out.ReadByte()
		if err != nil {
			c.t.Fatalf("no %q on the console, but\n%s", text, &seen)
		}
		seen.WriteByte(b)
	}
}
