package command

import (
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/site"
)

// manager is what systemd's end of the socket is told.
func manager(t *testing.T, watchdog time.Duration) *net.UnixConn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	t.Setenv("WATCHDOG_USEC", strconv.FormatInt(watchdog.Microseconds(), 10))
	return l
}

func told(t *testing.T, l *net.UnixConn) string {
	t.Helper()
	if err := l.SetReadDeadline(time.Now().Add(need.Patience)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4096)
	n, err := l.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

// A unit is ready when machines can be switched on, and its watchdog is kept quiet twice in its time.
func TestServingTellsSystemd(t *testing.T) {
	l := manager(t, 20*time.Millisecond)
	supervised{slog.New(slog.DiscardHandler)}.serving(t.Context(), t.TempDir(), "serves")
	if got := told(t, l); got != "READY=1\nSTATUS=serves" {
		t.Errorf("it says %q", got)
	}
	for range 3 {
		if got := told(t, l); got != "WATCHDOG=1" {
			t.Errorf("it says %q", got)
		}
	}
}

// A seeder that hangs does not keep the watchdog quiet.
func TestHangingSeederIsNotKept(t *testing.T) {
	l := manager(t, 200*time.Millisecond)
	dir := t.TempDir()
	state := filepath.Join(dir, site.StateDir)
	if err := os.Mkdir(state, 0o755); err != nil {
		t.Fatal(err)
	}
	deaf, err := net.Listen("unix", filepath.Join(state, "control"))
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	said := make(chan string, 16)
	s := supervised{slog.New(slog.NewTextHandler(lines(said), nil))}
	s.serving(t.Context(), dir, "serves")
	if got := told(t, l); !strings.HasPrefix(got, "READY=1") {
		t.Errorf("it says %q", got)
	}
	for range 2 {
		if got := <-said; !strings.Contains(got, "does not answer its own question") {
			t.Errorf("the log has %q", got)
		}
	}
	s.stopping()
	if got := told(t, l); got != "STOPPING=1" {
		t.Errorf("between, it said %q", got)
	}
}

type lines chan string

// Write implements io.Writer.
func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}
