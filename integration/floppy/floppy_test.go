package floppy

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/need"
)

// guest is a machine started from a floppy disk, and its serial line.
type guest struct {
	t      *testing.T
	serial io.ReadWriter
	said   bytes.Buffer
}

type readWriter struct {
	io.Reader
	io.Writer
}

func startGuest(t *testing.T, disk []byte, args ...string) *guest {
	t.Helper()
	qemu := need.Command(t, "qemu-system-x86_64", "qemu-system-x86")
	path := filepath.Join(t.TempDir(), "floppy.img")
	if err := os.WriteFile(path, disk, 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	cmd := exec.CommandContext(ctx, qemu, append([]string{"-accel", "tcg", "-display", "none", "-serial", "stdio", "-net", "none", "-fda", path}, args...)...)
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
	t.Cleanup(func() { cancel(); _ = cmd.Wait() })
	return &guest{t: t, serial: readWriter{out, in}}
}

func (g *guest) await(text string) {
	g.t.Helper()
	buf := make([]byte, 256)
	for !strings.Contains(g.said.String(), text) {
		n, err := g.serial.Read(buf)
		g.said.Write(buf[:n])
		if err != nil {
			g.t.Fatalf("%v; the guest said %q, not %q", err, g.said.String(), text)
		}
	}
}

func TestEcho(t *testing.T) {
	// Without graphics the BIOS takes keys from the serial line.
	g := startGuest(t, Echo(), "-machine", "pc,graphics=off")
	g.await(Marker)
	for _, key := range "aZ7" {
		if _, err := io.WriteString(g.serial, string(key)); err != nil {
			t.Fatal(err)
		}
		g.await(Key + string(key))
	}
}

func TestScribbler(t *testing.T) {
	disk := filepath.Join(t.TempDir(), "disk.img")
	const size = 4 << 20
	if err := os.WriteFile(disk, make([]byte, size), 0o644); err != nil {
		t.Fatal(err)
	}
	startGuest(t, Scribbler(size/512), "-hda", disk, "-boot", "a").await(Scribbled)
	body, err := os.ReadFile(disk)
	if err != nil || !bytes.Equal(body, bytes.Repeat([]byte{0x5a, 0xa5}, size/2)) {
		t.Errorf("the disk was not written all over: %v", err)
	}
}
