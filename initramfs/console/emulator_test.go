package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/creack/pty"
	"github.com/hinshun/vt10x"
	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/initramfs/menu"
	"github.com/boottorrent/boottorrent/internal/need"
)

// patience is how long a test waits for what should happen within milliseconds; the machine may be busy.
const patience = need.Patience

// terminalEnd is the person's end of a console: a terminal emulator that shows and types.
type terminalEnd struct {
	t      *testing.T
	name   string
	master *os.File
	path   string
	vt     vt10x.Terminal

	mu  sync.Mutex
	raw bytes.Buffer // everything that ever arrived
	new chan struct{}
}

// newTerminal makes a terminal of that size; unread ones are never read.
func newTerminal(t *testing.T, name string, width, height int, read bool) *terminalEnd {
	t.Helper()
	blocking, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	master := nonblocking(t, blocking)
	end := &terminalEnd{t: t, name: name, master: master, path: slave.Name(), new: make(chan struct{}, 1),
		vt: vt10x.New(vt10x.WithSize(max(width, 1), max(height, 1)))}
	end.resize(width, height)
	stopped := make(chan struct{})
	if read {
		go end.read(stopped)
	} else {
		close(stopped)
	}
	t.Cleanup(func() {
		slave.Close()
		master.SetReadDeadline(time.Unix(1, 0))
		<-stopped
		master.Close()
	})
	return end
}

// nonblocking gives a file back its deadlines: pty.Open takes them by calling Fd.
func nonblocking(t *testing.T, f *os.File) *os.File {
	t.Helper()
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), f.Name())
}

func (e *terminalEnd) read(stopped chan struct{}) {
	defer close(stopped)
	buf := make([]byte, 4096)
	for {
		n, err := e.master.Read(buf)
		if errors.Is(err, syscall.EIO) { // nobody has it open, until a shell was left and we are back
			time.Sleep(time.Millisecond)
			continue
		}
		if err != nil {
			return
		}
		e.vt.Write(buf[:n])
		e.mu.Lock()
		e.raw.Write(buf[:n])
		e.mu.Unlock()
		select {
		case e.new <- struct{}{}:
		default:
		}
	}
}

func (e *terminalEnd) resize(width, height int) {
	// Not pty.Setsize, which calls Fd too.
	conn, err := e.master.SyscallConn()
	if err != nil {
		e.t.Fatal(err)
	}
	conn.Control(func(fd uintptr) {
		err = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Col: uint16(width), Row: uint16(height)})
	})
	if err != nil {
		e.t.Fatal(err)
	}
	if width > 0 {
		e.vt.Resize(width, height)
	}
}

func (e *terminalEnd) console(look menu.Look) Console {
	return Console{Name: e.name, Path: e.path, Look: look, Term: "vt220"}
}

func (e *terminalEnd) send(text string) {
	e.t.Helper()
	if _, err := e.master.WriteString(text); err != nil {
		e.t.Fatal(err)
	}
}

// screen is what a person sees, without the spaces at line ends.
func (e *terminalEnd) screen() string {
	lines := strings.Split(e.vt.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

func (e *terminalEnd) all() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.raw.String()
}

// await waits until the screen fulfils a condition.
func (e *terminalEnd) await(what string, ok func(screen string) bool) {
	e.t.Helper()
	timeout := time.After(patience)
	for !ok(e.screen()) {
		select {
		case <-e.new:
		case <-timeout:
			e.t.Fatalf("%s never showed %s; it shows:\n%s", e.name, what, e.screen())
		}
	}
}

func (e *terminalEnd) see(text string) {
	e.t.Helper()
	e.await(fmt.Sprintf("%q", text), func(screen string) bool { return strings.Contains(screen, text) })
}

func (e *terminalEnd) modes() unix.Termios {
	e.t.Helper()
	tty, err := os.OpenFile(e.path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		e.t.Fatal(err)
	}
	defer tty.Close()
	modes, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		e.t.Fatal(err)
	}
	return *modes
}

func newSet(t *testing.T, consoles ...Console) *Set {
	t.Helper()
	set, err := NewSet(consoles...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Close() })
	return set
}

var (
	serialLook = menu.Look{}
	vgaLook    = menu.Look{Color: true, Graphics: true}
)

// room is a VGA console of 100x30 and a serial line of 80x24.
func room(t *testing.T) (*Set, *terminalEnd, *terminalEnd) {
	vga, serial := newTerminal(t, "tty0", 100, 30, true), newTerminal(t, "ttyS0", 0, 0, true)
	serial.vt.Resize(80, 24)
	return newSet(t, vga.console(vgaLook), serial.console(serialLook)), vga, serial
}

func chooser() menu.Chooser {
	return menu.NewChooser(menu.ChooserConfig{Place: menu.Place{Site: "Test site"}, Timeout: -1, Items: []menu.Item{
		{Name: "one", Title: "First system"}, {Name: "two", Title: "Second system"}, {Name: "three", Title: "Third system"},
	}})
}

// outcome is what a Run returned.
type outcome struct {
	model   tea.Model
	console string
	err     error
}

func run(ctx context.Context, s *Set, m tea.Model, events <-chan tea.Msg) <-chan outcome {
	ended := make(chan outcome, 1)
	go func() {
		var o outcome
		o.model, o.console, o.err = s.Run(ctx, m, events)
		ended <- o
	}()
	return ended
}

func wait(t *testing.T, ended <-chan outcome) outcome {
	t.Helper()
	select {
	case o := <-ended:
		return o
	case <-time.After(patience):
		t.Fatal("Run does not return")
	}
	return outcome{}
}
