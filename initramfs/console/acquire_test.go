package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// acquire acquires ttyS0 for use, and tells how that ended.
func acquire(ctx context.Context, s *Set, use func(context.Context, *TTY) error) <-chan error {
	ended := make(chan error, 1)
	go func() { ended <- s.Acquire(ctx, "ttyS0", func() {}, use) }()
	return ended
}

func TestLend(t *testing.T) {
	set, vga, serial := room(t)
	fmt.Fprintln(set, "said before")
	typed := make(chan byte)
	ended := acquire(t.Context(), set, func(_ context.Context, tty *TTY) error {
		width, height := tty.Size()
		fmt.Fprintf(tty, "%s %s %dx%d ready\r\n", tty.Name(), tty.Term(), width, height)
		var b [1]byte
		for {
			if _, err := io.ReadFull(tty, b[:]); err != nil {
				return err
			}
			typed <- b[0]
			if b[0] == 'q' {
				return errors.New("as it wanted")
			}
		}
	})
	serial.see("ttyS0 vt220 80x24 ready")
	// Keys come as they are typed, control characters and all, without an echo.
	for _, key := range []byte{'a', 3, '\r', 0x1d} {
		serial.send(string(key))
		select {
		case got := <-typed:
			if got != key {
				t.Errorf("%#x was read, %#x typed", got, key)
			}
		case <-time.After(patience):
			t.Fatalf("%#x does not arrive", key)
		}
	}
	fmt.Fprintln(set, "said meanwhile")
	vga.see("said meanwhile")
	if strings.Contains(serial.screen(), "said meanwhile") {
		t.Error("a log line in the middle of somebody else's text")
	}
	serial.send("q")
	<-typed
	if err := <-ended; err == nil || err.Error() != "as it wanted" {
		t.Errorf("Acquire returns %v", err)
	}
	serial.see("said meanwhile")
	if modes := serial.modes(); modes.Lflag&unix.ICANON == 0 || modes.Lflag&unix.ECHO == 0 {
		t.Errorf("the modes stay raw: %#x", modes.Lflag)
	}
	// And it can be acquired again.
	ended = acquire(t.Context(), set, func(_ context.Context, tty *TTY) error {
		fmt.Fprint(tty, "once more")
		return nil
	})
	serial.see("once more")
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Somebody at another console presses Enter: the reader of the acquired one is told, and what it reads ends.
func TestLendEndsByEnterElsewhere(t *testing.T) {
	set, vga, serial := room(t)
	reads := make(chan error, 1)
	ended := acquire(t.Context(), set, func(ctx context.Context, tty *TTY) error {
		go func() {
			_, err := tty.Read(make([]byte, 1))
			reads <- err
		}()
		fmt.Fprint(tty, "acquired")
		<-ctx.Done()
		return nil
	})
	serial.see("acquired")
	vga.send("x") // no line yet
	fmt.Fprintln(set, "still there")
	vga.see("still there")
	select {
	case err := <-ended:
		t.Fatalf("a key without Enter ended it: %v", err)
	default:
	}
	vga.send("\r")
	if err := <-ended; !errors.Is(err, ErrKey) {
		t.Errorf("Acquire returns %v", err)
	}
	if err := <-reads; err == nil {
		t.Error("a read goes on after the console was taken back")
	}
}

func TestLendContext(t *testing.T) {
	set, _, serial := room(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := acquire(ctx, set, func(_ context.Context, tty *TTY) error {
		fmt.Fprint(tty, "acquired")
		_, err := tty.Read(make([]byte, 1))
		return err
	})
	serial.see("acquired")
	if err := set.Acquire(t.Context(), "tty0", func() {}, nil); err == nil || !strings.Contains(err.Error(), "is open") {
		t.Errorf("a second one: %v", err)
	}
	cancel()
	select {
	case err := <-ended:
		if err == nil || errors.Is(err, ErrKey) {
			t.Errorf("Acquire returns %v", err)
		}
	case <-time.After(patience):
		t.Fatal("reading outlives the context")
	}
	if err := set.Acquire(t.Context(), "ttyS7", func() {}, nil); err == nil || !strings.Contains(err.Error(), "tty0, ttyS0") {
		t.Errorf("a console that isn't there: %v", err)
	}
}

// A console that nobody reads: what is being written to it ends when it is taken back.
func TestLendEndsWriting(t *testing.T) {
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	defer slave.Close()
	set, err := NewSet(Console{Name: "ttyS0", Path: slave.Name(), Term: "vt220"})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	ctx, cancel := context.WithCancel(t.Context())
	full := make(chan error, 1)
	ended := acquire(ctx, set, func(_ context.Context, tty *TTY) error {
		if tty.Device() != slave.Name() {
			t.Errorf("its device is %s, want %s", tty.Device(), slave.Name())
		}
		time.AfterFunc(10*time.Millisecond, cancel)
		_, err := tty.Write(make([]byte, 1<<20))
		full <- err
		return err
	})
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("writing outlives the context")
	}
	if err := <-full; err == nil {
		t.Error("a terminal without a reader took 1 MiB")
	}
}

func TestVirtualTerminal(t *testing.T) {
	for device, want := range map[uint64]string{
		unix.Mkdev(4, 1): "/dev/tty1", unix.Mkdev(4, 63): "/dev/tty63", unix.Mkdev(4, 0): "", unix.Mkdev(4, 64): "", unix.Mkdev(136, 1): "",
	} {
		if got, ok := virtualTerminal(device); got != want || ok != (want != "") {
			t.Errorf("%#x: %q, %v, want %q", device, got, ok, want)
		}
	}
}
