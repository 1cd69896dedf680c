package kmsg

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/need"
)

// records gives a reader these records, one a read, as the kernel does: by a socket of packets.
func records(t *testing.T, texts ...string) *Reader {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	kernel, file := os.NewFile(uintptr(fds[0]), "kernel"), os.NewFile(uintptr(fds[1]), "kmsg")
	t.Cleanup(func() { kernel.Close(); file.Close() })
	for _, text := range texts {
		if _, err := kernel.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	return NewReader(file)
}

func TestLines(t *testing.T) {
	r := records(t,
		"6,0,0,-;Linux version 6.1.0\n",
		"4,1,12345678,-;eth0: link up\n SUBSYSTEM=net\n DEVICE=n2\n",
		"nonsense",
		"15,2,12400000,-;boottorrent: fetched K\\xc3\\xb6ln\n",
		"6,9,99000001,c;later\n",
		"6,10,99000002,-;two\\x0alines \\x1b[2J \\x5c \\x09.\\x0a\n",
	)
	var got []string
	for range 5 {
		lines, err := r.Lines()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, lines...)
	}
	want := []string{"[    0.000000] Linux version 6.1.0", "[   12.345678] eth0: link up", "[   12.400000] boottorrent: fetched Köln",
		"... 6 messages of the kernel's log are missing here ...", "[   99.000001] later",
		"[   99.000002] two", `[   99.000002] lines \x1b[2J \ ` + "\t."}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if err := r.SetDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Lines(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("with nothing more: %v", err)
	}
}

// Before a hand-over nobody waits, but everything there is goes out.
func TestLinesAfterTheDeadline(t *testing.T) {
	r := records(t, "6,7,0,-;the ring was overwritten\n", "6,8,0,-;last words\n")
	if err := r.SetDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	for _, want := range [][]string{
		{"... 7 messages of the kernel's log are missing here ...", "[    0.000000] the ring was overwritten"}, {"[    0.000000] last words"},
	} {
		if got, err := r.Lines(); err != nil || !slices.Equal(got, want) {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	}
	if _, err := r.Lines(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("with nothing more: %v", err)
	}
}

// The kernel itself.
func TestKernel(t *testing.T) {
	need.Root(t)
	r, err := OpenReader()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.SetDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	form := regexp.MustCompile(`^\[ *\d+\.\d{6}\] |^\.\.\. \d+ messages of the kernel's log are missing here \.\.\.$`)
	for {
		lines, err := r.Lines()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range lines {
			if !form.MatchString(line) {
				t.Errorf("a line that dmesg would not show: %q", line)
			}
		}
	}
}

// After the skip there is only what came later, and nothing is called missing.
func TestSkipToEnd(t *testing.T) {
	need.Root(t)
	log, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	before, after := fmt.Sprintf("before %d", time.Now().UnixNano()), fmt.Sprintf("after %d", time.Now().UnixNano())
	log.Print(Debug, before)
	r, err := OpenReader()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.SkipToEnd(); err != nil {
		t.Fatal(err)
	}
	log.Print(Debug, after)
	if err := r.SetDeadline(time.Now().Add(need.Patience)); err != nil {
		t.Fatal(err)
	}
	for first := true; ; first = false {
		lines, err := r.Lines()
		if err != nil {
			t.Fatal(err)
		}
		all := strings.Join(lines, "\n")
		if strings.Contains(all, before) || first && strings.Contains(all, "are missing here") {
			t.Errorf("after the skip: %q", all)
		}
		if strings.Contains(all, after) {
			return
		}
	}
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte("6,1,2,-;text\n KEY=value\n"))
	f.Add([]byte(`6,1,2,-;\xff\x`))
	f.Fuzz(func(t *testing.T, data []byte) { (&Reader{}).record(data) })
}
