package vt

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/need"
)

// kernel is what a fake virtual terminal has in the kernel, and what was asked of it.
type kernel struct {
	active, display, keyboard int
	mode                      mode
	line                      unix.Termios
	fails                     map[string]error
	asked                     chan string
	opened, closed            []string
}

func newKernel() *kernel {
	return &kernel{active: 3, display: kdText, keyboard: kUnicode, mode: mode{mode: vtAuto}, asked: make(chan string, 100),
		line: unix.Termios{Lflag: unix.ICANON | unix.ECHO, Iflag: unix.ICRNL}, fails: map[string]error{}}
}

func (k *kernel) open(path string) (terminal, error) {
	if err := k.fails["open "+path]; err != nil {
		return nil, err
	}
	k.opened = append(k.opened, path)
	return &fake{k, path}, nil
}

// ask notes what a test looks at, and says whether it fails.
func (k *kernel) ask(format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	k.asked <- what
	name, _, _ := strings.Cut(what, " ")
	return k.fails[name]
}

// all is what was asked until now.
func (k *kernel) all() (asked []string) {
	for {
		select {
		case a := <-k.asked:
			asked = append(asked, a)
		default:
			return asked
		}
	}
}

// fake is an open one.
type fake struct {
	*kernel
	path string
}

func (f *fake) Read([]byte) (int, error) { return 0, io.EOF }
func (f *fake) Close() error             { f.closed = append(f.closed, f.path); return nil }
func (f *fake) get(request uint) (int, error) {
	return map[uint]int{kdGetMode: f.display, kdGetKeyboard: f.keyboard}[request], f.fails["get"]
}
func (f *fake) set(request uint, value int) error {
	switch request {
	case kdSetMode:
		f.display = value
		return f.ask("display %d", value)
	case kdSetKeyboard:
		f.keyboard = value
		return f.ask("keyboard %d", value)
	case vtReleaseDisp:
		return f.ask("release %d", value)
	case vtActivate:
		return f.ask("activate %d", value)
	}
	return fmt.Errorf("an unknown request %#x", request)
}
func (f *fake) state() (state, error) {
	return state{active: uint16(f.active)}, f.fails["state"]
}
func (f *fake) switching() (mode, error)        { return f.mode, nil }
func (f *fake) setSwitching(m mode) error       { f.mode = m; return f.ask("switching %d", m.mode) }
func (f *fake) termios() (*unix.Termios, error) { line := f.line; return &line, nil }
func (f *fake) setTermios(t *unix.Termios) error {
	f.line = *t
	return f.ask("termios canonical %v", t.Lflag&unix.ICANON != 0)
}
func (f *fake) discard() error { return f.ask("discard") }

// tty0 is the terminal that is in front, under its own name; another one need not be.
func TestOpen(t *testing.T) {
	for path, want := range map[string]struct {
		number int
		front  bool
		opened []string
	}{
		"/dev/tty0": {3, true, []string{"/dev/tty0", "/dev/tty3"}},
		"/dev/tty3": {3, true, []string{"/dev/tty3"}},
		"/dev/tty1": {1, false, []string{"/dev/tty1"}},
	} {
		k := newKernel()
		c, err := open(path, k.open)
		if err != nil {
			t.Fatal(err)
		}
		if c.Number != want.number || c.Front() != want.front || !slices.Equal(k.opened, want.opened) {
			t.Errorf("%s: number %d, in front %v, opened %q", path, c.Number, c.Front(), k.opened)
		}
		if asked := k.all(); len(asked) > 0 {
			t.Errorf("%s: opening changes %q", path, asked)
		}
	}
	for fails, want := range map[string]string{
		"open /dev/tty0": "open the console", "state": "is it a virtual terminal", "open /dev/tty3": "open the console that is in front",
	} {
		k := newKernel()
		k.fails[fails] = unix.ENODEV
		_, err := open("/dev/tty0", k.open)
		if !errors.Is(err, unix.ENODEV) || !strings.Contains(err.Error(), want) || len(k.closed) != len(k.opened) {
			t.Errorf("%s: %v; opened %q, closed %q", fails, err, k.opened, k.closed)
		}
	}
}

// A terminal is taken, switched away from and back to, used for its keys, and is in the end what it was.
func TestTakeAndClose(t *testing.T) {
	k := newKernel()
	before := *k
	c, err := open("/dev/tty3", k.open)
	if err != nil {
		t.Fatal(err)
	}
	called := make(chan string, 2)
	if err := c.Take(func() { called <- "hide" }, func() { called <- "show" }); err != nil {
		t.Fatal(err)
	}
	if asked := k.all(); !slices.Equal(asked, []string{"switching 1", "display 1"}) {
		t.Errorf("taking it asks %q", asked)
	}
	// The kernel asks for it, and gives it back, by signals.
	for _, turn := range []struct {
		signal  os.Signal
		call    string
		release string
		front   bool
	}{{askRelease, "hide", "release 1", false}, {tellFront, "show", "release 2", true}} {
		c.signals <- turn.signal
		if got := wait(t, called); got != turn.call {
			t.Errorf("%v calls %s", turn.signal, got)
		}
		if got := wait(t, k.asked); got != turn.release || c.Front() != turn.front {
			t.Errorf("%v is answered by %q, in front %v", turn.signal, got, c.Front())
		}
	}
	if err := errors.Join(c.Activate(2), c.Keyboard()); err != nil {
		t.Fatal(err)
	}
	if asked := k.all(); !slices.Equal(asked, []string{"activate 2", "termios canonical false", "keyboard 2"}) {
		t.Errorf("keys ask %q", asked)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if asked := k.all(); !slices.Equal(asked, []string{"keyboard 3", "termios canonical true", "discard", "switching 0", "display 0"}) {
		t.Errorf("giving it back asks %q", asked)
	}
	if k.display != before.display || k.keyboard != before.keyboard || k.mode != before.mode || k.line != before.line || len(k.closed) != 1 {
		t.Errorf("it is left as %+v", k)
	}
}

func wait(t *testing.T, c <-chan string) string {
	t.Helper()
	select {
	case s := <-c:
		return s
	case <-time.After(need.Patience):
		t.Fatal("nothing happens")
		return ""
	}
}

// The signals are really the kernel's to send: SIGUSR1 gets to a terminal that is taken.
func TestSignals(t *testing.T) {
	k := newKernel()
	c, err := open("/dev/tty3", k.open)
	if err != nil {
		t.Fatal(err)
	}
	called := make(chan string, 1)
	if err := c.Take(func() { called <- "hide" }, func() {}); err != nil {
		t.Fatal(err)
	}
	if m := k.mode; m.releaseSignal != int16(unix.SIGUSR1) || m.acquireSignal != int16(unix.SIGUSR2) {
		t.Errorf("the kernel is asked to send %+v", m)
	}
	if err := unix.Kill(os.Getpid(), syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	wait(t, called)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// A terminal that can't be taken says why, and Close puts back what was done until then. One that a killed program left in graphics is
// not left like that again.
func TestTakeFails(t *testing.T) {
	for _, fails := range []string{"get", "switching", "display"} {
		k := newKernel()
		c, err := open("/dev/tty3", k.open)
		if err != nil {
			t.Fatal(err)
		}
		k.fails[fails] = unix.EPERM
		if err := c.Take(func() {}, func() {}); !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), "take the console tty3") {
			t.Errorf("%s: %v", fails, err)
		}
		delete(k.fails, fails)
		if err := c.Close(); err != nil || k.display != kdText || k.mode.mode != vtAuto {
			t.Errorf("%s: %v, left as %+v", fails, err, k)
		}
	}
	k := newKernel()
	k.display, k.mode = kdGraphics, mode{mode: vtProcess}
	c, err := open("/dev/tty3", k.open)
	if err == nil {
		err = errors.Join(c.Take(func() {}, func() {}), c.Close())
	}
	if err != nil || k.display != kdText || k.mode.mode != vtAuto {
		t.Errorf("%v, left as %+v", err, k)
	}
}

// What a killed viewer left is made a text console again; what is one already is left alone.
func TestRestore(t *testing.T) {
	k := newKernel()
	k.display, k.keyboard, k.mode, k.line = kdGraphics, kMediumRaw, mode{mode: vtProcess}, unix.Termios{}
	if err := restore("/dev/tty0", k.open); err != nil {
		t.Fatal(err)
	}
	if k.display != kdText || k.keyboard != kUnicode || k.mode.mode != vtAuto || k.line.Lflag&unix.ICANON == 0 || k.line.Lflag&unix.ECHO == 0 {
		t.Errorf("it is left as %+v", k)
	}
	fresh := newKernel()
	if err := restore("/dev/tty3", fresh.open); err != nil || len(fresh.all()) > 0 {
		t.Errorf("a text console is changed: %v", err)
	}
	fresh.fails["get"] = unix.EIO
	if err := restore("/dev/tty3", fresh.open); !errors.Is(err, unix.EIO) || !strings.Contains(err.Error(), "make the console tty3 one for text again") {
		t.Error(err)
	}
	if err := Restore("/dev/null"); err == nil || !strings.Contains(err.Error(), "is it a virtual terminal?") {
		t.Errorf("no terminal at all: %v", err)
	}
}
