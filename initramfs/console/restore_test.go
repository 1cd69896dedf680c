package console

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A screen that died leaves a console raw, without a cursor, and on its own page.
func TestRestore(t *testing.T) {
	end := newTerminal(t, "ttyS0", 80, 24, true)
	left := &terminal{Console: end.console(serialLook)}
	if err := left.open(); err != nil {
		t.Fatal(err)
	}
	if err := left.setModes(raw); err != nil {
		t.Fatal(err)
	}
	_, _ = left.out.Write([]byte("\x1b[?1049h\x1b[?25l"))
	end.await("no cursor", func(string) bool { return !end.vt.CursorVisible() })
	if err := left.close(); err != nil {
		t.Fatal(err)
	}
	if err := restore(&terminal{Console: end.console(serialLook)}); err != nil {
		t.Fatal(err)
	}
	end.await("a cursor", func(string) bool { return end.vt.CursorVisible() })
	const want = unix.ICANON | unix.ECHO | unix.ISIG
	if modes := end.modes(); modes.Lflag&want != want || modes.Oflag&unix.ONLCR == 0 {
		t.Errorf("not in sane modes: %+v", modes)
	}
}

// A console that nobody reads keeps nobody from starting a system.
func TestRestoreOfAConsoleThatIsStuck(t *testing.T) {
	end := newTerminal(t, "ttyS0", 80, 24, false)
	stuck := &terminal{Console: end.console(serialLook)}
	if err := stuck.open(); err != nil {
		t.Fatal(err)
	}
	defer stuck.close()
	if err := stuck.control(func(fd int) error {
		for {
			if _, err := unix.Write(fd, make([]byte, 4096)); err != nil {
				return nil // full
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := restore(&terminal{Console: end.console(serialLook)}); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("it took %s", took)
	}
}
