package console

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// leaveScreen leaves the alternate screen, shows the cursor and ends colours (xterm's control sequences, which the Linux console and
// terminals at serial lines know).
const leaveScreen = "\x1b[?1049l\x1b[?25h\x1b[0m\r\n"

// restoreTime is for how long a serial line may take nothing.
const restoreTime = time.Second

// firstTerminal is the virtual terminal that systems show themselves on.
const firstTerminal = 1

// Requests of ioctl_console(2).
const (
	setMode    = 0x4b3a // KDSETMODE
	textMode   = 0      // KD_TEXT
	activateVT = 0x5606 // VT_ACTIVATE
)

// Restore leaves every active console as a program expects it that comes after this one: in text mode, with the cursor shown, lines edited
// and echoed; and the first virtual terminal in front.
func Restore() error {
	names, err := Active()
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		errs = append(errs, restore(&terminal{Console: Named(name)}))
	}
	return errors.Join(errs...)
}

func restore(t *terminal) error {
	tty, err := os.OpenFile(t.Path, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer tty.Close()
	t.tty = tty
	if t.Look.Graphics {
		_ = t.control(func(fd int) error {
			_ = unix.IoctlSetInt(fd, setMode, textMode)
			return unix.IoctlSetInt(fd, activateVT, firstTerminal)
		})
	}
	err = t.setModes(sane)
	_ = tty.SetWriteDeadline(time.Now().Add(restoreTime))
	_, _ = tty.WriteString(leaveScreen)
	return err
}
