package archive

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/u-root/mkuimage/cpio"

	"github.com/boottorrent/boottorrent/internal/need"
)

func testRecords() []cpio.Record {
	return []cpio.Record{
		File("lib/modules/6.1/kernel/a.ko", []byte("module"), 0o644),
		Symlink("init", "bbin/bb"),
		File("bbin/bb", bytes.Repeat([]byte{1, 2, 3}, 1000), 0o755),
		Directory("tmp", 0o1777),
		cpio.CharDev("dev/console", 0o600, 5, 1),
	}
}

// TestCPIO asks GNU cpio what is in the archive.
func TestCPIO(t *testing.T) {
	tool := need.Command(t, "cpio", "cpio")
	b, err := CPIO(testRecords())
	if err != nil {
		t.Fatal(err)
	}
	if len(b)%4 != 0 {
		t.Errorf("%d bytes: another archive behind it would not start at a multiple of 4", len(b))
	}
	cmd := exec.Command(tool, "-itv", "--numeric-uid-gid", "--quiet")
	cmd.Env = []string{"LC_ALL=C", "TZ=UTC"}
	cmd.Stdin = bytes.NewReader(b)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("cpio: %v: %s", err, out)
	}
	want := []string{
		"drwxr-xr-x 0 bbin",
		"-rwxr-xr-x 3000 bbin/bb",
		"drwxr-xr-x 0 dev",
		"crw------- 1 dev/console",
		"lrwxrwxrwx 7 init -> bbin/bb",
		"drwxr-xr-x 0 lib",
		"drwxr-xr-x 0 lib/modules",
		"drwxr-xr-x 0 lib/modules/6.1",
		"drwxr-xr-x 0 lib/modules/6.1/kernel",
		"-rw-r--r-- 6 lib/modules/6.1/kernel/a.ko",
		"drwxrwxrwt 0 tmp",
	}
	var got []string
	for line := range strings.Lines(string(out)) {
		// mode, links, user, group, size (or major, minor), month, day, year, name…
		f := strings.Fields(strings.ReplaceAll(line, "5,   1", "1"))
		if f[2] != "0" || f[3] != "0" || f[7] != "1970" {
			t.Errorf("%q is somebody's or has a time", line)
		}
		got = append(got, f[0]+" "+f[4]+" "+strings.Join(f[8:], " "))
	}
	if !slices.Equal(got, want) {
		t.Errorf("cpio -itv lists\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestCPIOIsReproducible(t *testing.T) {
	records := testRecords()
	a, err := CPIO(records)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(records)
	for i := range records {
		records[i].MTime, records[i].Ino, records[i].UID = 1234, uint64(i), 1000
	}
	b, err := CPIO(records)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) {
		t.Error("the order of the records or what this machine knows of them is in the archive")
	}
}

func TestCPIORefusesTwoOfAName(t *testing.T) {
	_, err := CPIO([]cpio.Record{File("a", nil, 0o644), Symlink("/a", "b")})
	if err == nil || !strings.Contains(err.Error(), "the name a") {
		t.Errorf("error %v, want one that names a", err)
	}
}

// TestStreams lets the tools read what either compressor made: several streams in one file, of xz with the only integrity
// check that the kernel knows, of zstd with no window larger than it takes.
func TestStreams(t *testing.T) {
	need.Command(t, "xz", "xz-utils")
	need.Command(t, "zstd", "zstd")
	xz, err := New(t.Context(), MethodXZ, DefaultLevel)
	if err != nil {
		t.Fatal(err)
	}
	zstd, err := New(t.Context(), MethodZstd, DefaultLevel)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, tool string
		compressor Compressor
	}{
		{"xz", "xz", xz},
		{"xz for code", "xz", xz.ForCode()},
		{"xz in Go", "xz", XZ{Level: DefaultLevel}},
		{"zstd", "zstd", zstd},
		{"zstd in Go", "zstd", Zstd{Level: DefaultLevel}},
	} {
		t.Run(c.name, func(t *testing.T) { testStreams(t, c.tool, c.compressor) })
	}
}

func testStreams(t *testing.T, tool string, c Compressor) {
	program, err := os.ReadFile(need.Command(t, tool, tool))
	if err != nil {
		t.Fatal(err)
	}
	var file, want bytes.Buffer
	for _, b := range [][]byte{bytes.Repeat(program, 9<<20/len(program)+1), []byte("small"), {}} {
		stream, err := c.Compress(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		file.Write(stream)
		want.Write(b)
	}
	path := filepath.Join(t.TempDir(), "initramfs."+tool)
	if err := os.WriteFile(path, file.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	// The kernel's limit for zstd is a window of 8 MiB (lib/decompress_unzstd.c).
	got, err := exec.Command(tool, "--memory=65MiB", "-dc", path).Output()
	if tool == "zstd" {
		got, err = exec.Command(tool, "--memory=8MiB", "-dc", path).Output()
	}
	if err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%s unpacks something else: %v", tool, err)
	}
	if tool != "xz" {
		return
	}
	list, err := exec.Command(tool, "--robot", "--list", path).Output()
	if f := strings.Fields(string(list)); err != nil || !slices.Contains(f, "CRC32") {
		t.Errorf("the integrity check is not CRC32: %s, %v", list, err)
	}
}

// TestXZIgnoresEnvironment: the xz tool reads options from variables, which would make images differ.
func TestXZIgnoresEnvironment(t *testing.T) {
	need.Command(t, "xz", "xz-utils")
	xz, err := New(t.Context(), MethodXZ, DefaultLevel)
	if err != nil {
		t.Fatal(err)
	}
	b := fmt.Appendf(nil, "%0100000d", 7)
	first, err := xz.Compress(context.Background(), b)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("XZ_OPT", "--block-size=4096")
	second, err := xz.Compress(context.Background(), b)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) {
		t.Error("XZ_OPT changes the image")
	}
}

func TestDictionary(t *testing.T) {
	for size, want := range map[int]int{
		0: minDictionary, minDictionary: minDictionary, minDictionary + 1: 2 * minDictionary,
		1 << 24: 1 << 24, 1<<24 + 1: 1 << 25, 1 << 30: maxDictionary,
	} {
		if got := dictionary(size); got != want {
			t.Errorf("dictionary for %d bytes: %d, want %d", size, got, want)
		}
	}
}
