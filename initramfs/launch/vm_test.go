package launch

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/u-root/u-root/pkg/cpio"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
)

// TestKexec starts a system by kexec in a virtual machine: an initrd of three parts, with placeholders in the command
// line, while it measures what loading takes at its peak.
func TestKexec(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a virtual machine")
	}
	qemu := need.Command(t, "qemu-system-x86_64", "qemu-system-x86")
	kernel := need.File(t, "/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64/linux",
		"debian-installer-12-netboot-amd64")
	const large = 64<<20 - 1
	initrd := filepath.Join(t.TempDir(), "initrd.cpio")
	if err := os.WriteFile(initrd, vmInitramfs(t, kernel), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, qemu, "-accel", "tcg,thread=multi", "-smp", "2", "-m", "1024", "-nographic", "-no-reboot",
		"-nic", "none", "-kernel", kernel, "-initrd", initrd, "-append", fmt.Sprintf("console=ttyS0 quiet panic=-1 CONSOLE=ttyS0 LARGE=%d", large))
	console, err := cmd.CombinedOutput()
	text := strings.ReplaceAll(string(console), "\r", "")
	if err != nil || strings.Contains(text, "VM failed") {
		t.Fatalf("qemu: %v\n%s", err, text)
	}
	for _, want := range []string{
		"VM refused: start vm: kexec refuses marker.cpio: it is not a bootable kernel",
		fmt.Sprintf("VM command line of %d: <nil>", catalog.MaxCmdline),
		fmt.Sprintf("VM command line of %d: start vm: kexec refuses kernel: its command line has %d bytes", catalog.MaxCmdline+1, catalog.MaxCmdline+1),
		fmt.Sprintf("VM initrd of %d: start vm: kexec refuses kernel: its initrds are larger than the 4 GiB", int64(catalog.MaxInitrd+4096)),
		`VM second: cmdline "console=ttyS0 quiet stage=2 system=vm", marker "third archive" <nil>`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the console lacks %q:\n%s", want, text)
		}
	}
	m := regexp.MustCompile(`VM load: need (\d+) peak (\d+) after (\d+) took (\S+)`).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no measurement on the console:\n%s", text)
	}
	needed, _ := strconv.ParseInt(m[1], 10, 64)
	peak, _ := strconv.ParseInt(m[2], 10, 64)
	t.Logf("an initrd of %s: Need says %s, %s at the peak, %s after (%s B), in %s", mib(large), mib(needed), mib(peak), m[3], m[3], m[4])
	// The peak is sampled and may be missed by a few milliseconds of copying.
	if peak > needed || peak < needed*7/10 {
		t.Errorf("loading took %d bytes at its peak, Need says %d", peak, needed)
	}
}

// vmInitramfs makes the machine's first initramfs: the program, and the small files of the system it starts.
func vmInitramfs(t *testing.T, kernel string) []byte {
	t.Helper()
	program := filepath.Join(t.TempDir(), "vminit")
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", program, "./testdata/vminit")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	read := func(path string) string {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	base := []cpio.Record{
		cpio.Directory("proc", 0o755), cpio.Directory("sys", 0o755), cpio.Directory("dev", 0o755),
		cpio.CharDev("dev/console", 0o600, 5, 1), cpio.StaticFile("init", read(program), 0o755),
	}
	root := archive(t, base...)
	return archive(t, append(base, cpio.Directory("system", 0o755),
		cpio.StaticFile("system/kernel", read(kernel), 0o644),
		cpio.StaticFile("system/root.cpio", string(root)+"\x00", 0o644), // of odd length
		cpio.StaticFile("system/marker.cpio", string(archive(t, cpio.StaticFile("marker", "third archive", 0o644))), 0o644),
	)...)
}

func archive(t *testing.T, records ...cpio.Record) []byte {
	t.Helper()
	var b bytes.Buffer
	w := cpio.Newc.Writer(&b)
	if err := cpio.WriteRecords(w, records); err != nil {
		t.Fatal(err)
	}
	if err := cpio.WriteTrailer(w); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
