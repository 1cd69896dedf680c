package console

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// terminal is an open console. Its fields are guarded by Set.mu; its output may be used without.
type terminal struct {
	Console
	tty *os.File // nil while closed
	out *output

	// taken is whether a screen or a shell has it: lines are held back.
	taken bool
	held  []string
}

// Sizes for a terminal that doesn't know its own, as serial lines don't.
const (
	defaultWidth  = 80
	defaultHeight = 24
)

// open opens the device, sets it to sane modes and starts its writer.
func (t *terminal) open() error {
	// O_NONBLOCK: without it opening a serial line waits for a carrier. It also makes deadlines work.
	tty, err := os.OpenFile(t.Path, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("open console %s: %w", t.Name, err)
	}
	t.tty = tty
	t.settle()
	if err := t.setModes(sane); err != nil {
		_ = tty.Close()
		t.tty = nil
		return fmt.Errorf("%w (is %s a terminal?)", err, t.Path)
	}
	t.setDefaultSize()
	t.out = newOutput(tty)
	if t.Look.Graphics {
		_, _ = t.out.Write([]byte("\x1b%G")) // a virtual terminal takes UTF-8
	}
	return nil
}

// settle finds the device of tty0. That is whichever virtual terminal is in front when it is opened; the next time another
// may be, and only a real one can be a controlling terminal. So the console stays what it is now.
func (t *terminal) settle() {
	if t.Path != frontDevice {
		return
	}
	_ = t.control(func(fd int) error {
		number, err := unix.IoctlGetUint32(fd, unix.TIOCGDEV)
		if path, ok := virtualTerminal(uint64(number)); err == nil && ok {
			t.Path = path
		}
		return err
	})
}

// frontDevice is the virtual terminal in front.
const frontDevice = "/dev/tty0"

// virtualTerminal is the device of a virtual terminal, by its number; false for other devices
// (Documentation/admin-guide/devices.txt: 4 char, minors 1 to 63).
func virtualTerminal(device uint64) (path string, ok bool) {
	minor := unix.Minor(device)
	if unix.Major(device) != 4 || minor == 0 || minor > 63 {
		return "", false
	}
	return fmt.Sprintf("/dev/tty%d", minor), true
}

// close stops the writer and closes the device.
func (t *terminal) close() error {
	if t.tty == nil {
		return nil
	}
	t.out.stop()
	err := t.tty.Close()
	t.tty, t.out = nil, nil
	return err
}

// line shows a line, or holds it back.
func (t *terminal) line(line string) {
	if t.taken || t.out == nil {
		t.held = keep(t.held, line)
		return
	}
	t.out.writeLine(line)
}

// release ends what acquiring it began: the lines held back are shown.
func (t *terminal) release() {
	t.taken = false
	held := t.held
	t.held = nil
	for _, line := range held {
		t.line(line)
	}
}

// drained is whether everything written has left this machine.
func (t *terminal) drained() bool {
	if t.out == nil || t.out.isDead() {
		return true
	}
	if t.out.queued() > 0 {
		return false
	}
	left := 0
	err := t.control(func(fd int) (err error) {
		left, err = unix.IoctlGetInt(fd, unix.TIOCOUTQ)
		return err
	})
	return err != nil || left == 0
}

// control runs f with the file descriptor. (os.File.Fd would make the file blocking.)
func (t *terminal) control(f func(fd int) error) error {
	if t.tty == nil {
		return fmt.Errorf("console %s is closed", t.Name)
	}
	conn, err := t.tty.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := conn.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return err
	}
	return inner
}

// setModes changes the terminal's modes, at once: waiting for output to drain could take for ever.
func (t *terminal) setModes(change func(*unix.Termios)) error {
	err := t.control(func(fd int) error {
		modes, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		if err != nil {
			return err
		}
		change(modes)
		return unix.IoctlSetTermios(fd, unix.TCSETS, modes)
	})
	if err != nil {
		return fmt.Errorf("set the modes of console %s: %w", t.Name, err)
	}
	return nil
}

// sane are the modes for log lines and shells, see termios(3) and stty(1) "sane". The speed stays.
func sane(m *unix.Termios) {
	// A BREAK is nobody's key, and what came with a wrong parity or stop bit is noise.
	m.Iflag = unix.ICRNL | unix.IXON | unix.IUTF8 | unix.IGNBRK | unix.IGNPAR
	m.Oflag = unix.OPOST | unix.ONLCR
	m.Cflag = m.Cflag&^(unix.CSIZE|unix.PARENB|unix.CSTOPB|unix.CRTSCTS) | unix.CS8 | unix.CREAD | unix.CLOCAL
	m.Lflag = unix.ISIG | unix.ICANON | unix.IEXTEN | unix.ECHO | unix.ECHOE | unix.ECHOK | unix.ECHOCTL | unix.ECHOKE
	m.Cc = [len(m.Cc)]uint8{
		unix.VINTR: 'C' - '@', unix.VQUIT: '\\' - '@', unix.VERASE: 0x7f, unix.VKILL: 'U' - '@', unix.VEOF: 'D' - '@',
		unix.VSTART: 'Q' - '@', unix.VSTOP: 'S' - '@', unix.VSUSP: 'Z' - '@', unix.VREPRINT: 'R' - '@',
		unix.VDISCARD: 'O' - '@', unix.VWERASE: 'W' - '@', unix.VLNEXT: 'V' - '@', unix.VMIN: 1,
	}
}

// raw are the modes for a screen: every byte typed is a key. Line ends are still translated in the output.
func raw(m *unix.Termios) {
	sane(m)
	m.Iflag &^= unix.ICRNL | unix.IXON
	m.Lflag = 0
}

// prepare makes the terminal ready for a screen; one that was hung up is opened again.
func (t *terminal) prepare() error {
	if t.tty == nil || t.setModes(raw) != nil {
		_ = t.close()
		if err := t.open(); err != nil {
			return err
		}
		if err := t.setModes(raw); err != nil {
			return err
		}
	}
	return t.discardInput()
}

// discardInput forgets what was typed and not yet read.
func (t *terminal) discardInput() error {
	return t.control(func(fd int) error { return unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIFLUSH) })
}

// size is the terminal's size in cells.
func (t *terminal) size() (width, height int, err error) {
	var size *unix.Winsize
	err = t.control(func(fd int) (err error) {
		size, err = unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ)
		return err
	})
	if err != nil {
		return 0, 0, fmt.Errorf("size of console %s: %w", t.Name, err)
	}
	if size.Col == 0 || size.Row == 0 {
		return defaultWidth, defaultHeight, nil
	}
	return int(size.Col), int(size.Row), nil
}

// setDefaultSize gives a terminal that has no size one, so that shells and their commands agree with us. Where that
// isn't possible size still answers the same.
func (t *terminal) setDefaultSize() {
	_ = t.control(func(fd int) error {
		size, err := unix.IoctlGetWinsize(fd, unix.TIOCGWINSZ)
		if err != nil || size.Col != 0 && size.Row != 0 {
			return err
		}
		return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Col: defaultWidth, Row: defaultHeight})
	})
}
