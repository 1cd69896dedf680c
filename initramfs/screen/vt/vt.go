// Package vt takes a Linux virtual terminal for a program that draws on the frame buffer itself, and gives it back
// (console_ioctl(4); drivers/tty/vt/vt_ioctl.c of the kernel).
//
// While it is taken the kernel draws no text there (KD_GRAPHICS), and asks before another terminal comes to the front
// (VT_PROCESS: SIGUSR1 asks, SIGUSR2 says that this one is in front again). [Console.Close] puts everything back as it was.
// Where nobody could call that, because the program was killed, [Restore] makes a text console of a terminal.
package vt

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Requests and values of linux/kd.h and linux/vt.h.
const (
	kdSetMode  = 0x4b3a
	kdGetMode  = 0x4b3b
	kdText     = 0
	kdGraphics = 1

	kdGetKeyboard  = 0x4b44
	kdSetKeyboard  = 0x4b45
	kXlate         = 1
	kMediumRaw     = 2
	kUnicode       = 3
	vtGetMode      = 0x5601
	vtSetMode      = 0x5602
	vtGetState     = 0x5603
	vtReleaseDisp  = 0x5605
	vtActivate     = 0x5606
	vtAuto         = 0
	vtProcess      = 1
	vtAllowRelease = 1
	vtAckAcquire   = 2
)

// The signals of VT_PROCESS.
const (
	askRelease = unix.SIGUSR1
	tellFront  = unix.SIGUSR2
)

// mode is struct vt_mode of linux/vt.h.
type mode struct {
	mode, waitv                  int8
	releaseSignal, acquireSignal int16
	_                            int16
}

// state is struct vt_stat of linux/vt.h.
type state struct{ active, signal, mask uint16 }

// Console is a virtual terminal.
type Console struct {
	tty terminal
	// Number is its number: 1 for tty1.
	Number int

	mu       sync.Mutex
	taken    bool
	front    bool
	before   settings
	keyboard bool // it is read in K_MEDIUMRAW
	signals  chan os.Signal
	finished chan struct{}
}

// settings are what Close puts back.
type settings struct {
	display, keyboard int
	switching         mode
	termios           *unix.Termios
}

// Open opens a virtual terminal; for /dev/tty0 the one that is in front. Nothing is changed yet.
func Open(path string) (*Console, error) { return open(path, openTerminal) }

func open(path string, opener func(string) (terminal, error)) (*Console, error) {
	tty, err := opener(path)
	if err != nil {
		return nil, fmt.Errorf("open the console: %w", err)
	}
	st, err := tty.state()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("ask %s which terminal is in front (is it a virtual terminal?): %w", path, err), tty.Close())
	}
	number := numberOf(path)
	if number == 0 {
		number = int(st.active)
		_ = tty.Close()
		path = filepath.Join(filepath.Dir(path), "tty"+strconv.Itoa(number))
		if tty, err = opener(path); err != nil {
			return nil, fmt.Errorf("open the console that is in front: %w", err)
		}
	}
	return &Console{tty: tty, Number: number, front: int(st.active) == number}, nil
}

// numberOf is the number in a terminal's name, 0 for tty0 and for other names.
func numberOf(path string) int {
	digits, _ := strings.CutPrefix(filepath.Base(path), "tty")
	n, _ := strconv.Atoi(digits)
	return n
}

// Take takes the terminal for graphics. From then on hide is called when another terminal is to come to the front: when it
// returns, nothing may draw any more; and show when this one is in front again. The calls come one at a time. Front says
// how it is at first.
func (c *Console) Take(hide, show func()) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.remember(); err != nil {
		return fmt.Errorf("take the console tty%d: %w", c.Number, err)
	}
	c.signals, c.finished = make(chan os.Signal, 4), make(chan struct{})
	signal.Notify(c.signals, askRelease, tellFront)
	c.taken = true
	go c.follow(hide, show)
	err := c.tty.setSwitching(mode{mode: vtProcess, releaseSignal: int16(askRelease), acquireSignal: int16(tellFront)})
	if err == nil {
		err = c.tty.set(kdSetMode, kdGraphics)
	}
	if err != nil {
		return fmt.Errorf("take the console tty%d for graphics: %w", c.Number, err)
	}
	return nil
}

// remember reads what Close puts back.
func (c *Console) remember() error {
	var errs [4]error
	c.before.display, errs[0] = c.tty.get(kdGetMode)
	c.before.keyboard, errs[1] = c.tty.get(kdGetKeyboard)
	c.before.switching, errs[2] = c.tty.switching()
	c.before.termios, errs[3] = c.tty.termios()
	// Left like that by a program that was killed, it is not to be left like that again.
	if c.before.display == kdGraphics {
		c.before.display, c.before.switching = kdText, mode{mode: vtAuto}
	}
	return errors.Join(errs[:]...)
}

// follow answers the kernel.
func (c *Console) follow(hide, show func()) {
	defer close(c.finished)
	for s := range c.signals {
		if s == syscall.Signal(askRelease) {
			c.setFront(false)
			hide()
			_ = c.tty.set(vtReleaseDisp, vtAllowRelease)
			continue
		}
		_ = c.tty.set(vtReleaseDisp, vtAckAcquire)
		c.setFront(true)
		show()
	}
}

func (c *Console) setFront(front bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.front = front
}

// Front is whether the terminal is in front.
func (c *Console) Front() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.front
}

// Activate brings another terminal to the front. It does not wait for that.
func (c *Console) Activate(number int) error {
	if err := c.tty.set(vtActivate, number); err != nil {
		return fmt.Errorf("switch to the console tty%d: %w", number, err)
	}
	return nil
}

// Keyboard makes the terminal a source of key codes, for a kernel without evdev: Read returns them in the form of
// K_MEDIUMRAW. The kernel's own keys, Alt+F2 among them, do nothing then.
func (c *Console) Keyboard() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	raw := *c.before.termios
	raw.Iflag, raw.Lflag = 0, 0
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	if err := c.tty.setTermios(&raw); err != nil {
		return fmt.Errorf("read keys from the console tty%d: %w", c.Number, err)
	}
	c.keyboard = true
	if err := c.tty.set(kdSetKeyboard, kMediumRaw); err != nil {
		return fmt.Errorf("read key codes from the console tty%d: %w", c.Number, err)
	}
	return nil
}

// Read reads key codes; see Keyboard. Close ends it.
func (c *Console) Read(p []byte) (int, error) { return c.tty.Read(p) }

// Close puts the terminal back as it was before Take, what was typed there meanwhile is forgotten, and the kernel draws its
// text again.
func (c *Console) Close() error {
	c.mu.Lock()
	var errs []error
	if c.keyboard {
		errs = append(errs, c.tty.set(kdSetKeyboard, c.before.keyboard), c.tty.setTermios(c.before.termios))
	}
	taken := c.taken
	if taken {
		errs = append(errs, c.tty.discard(), c.tty.setSwitching(c.before.switching), c.tty.set(kdSetMode, c.before.display))
	}
	c.taken, c.keyboard = false, false
	c.mu.Unlock()
	if taken {
		signal.Stop(c.signals)
		close(c.signals)
		<-c.finished
	}
	if err := errors.Join(errs...); err != nil {
		return errors.Join(fmt.Errorf("give the console tty%d back: %w", c.Number, err), c.tty.Close())
	}
	return c.tty.Close()
}

// Restore makes a text console of a terminal that a program was killed on: /dev/tty1, or /dev/tty0 for the one that is in
// front. One that is a text console already stays as it is.
func Restore(path string) error { return restore(path, openTerminal) }

func restore(path string, opener func(string) (terminal, error)) error {
	c, err := open(path, opener)
	if err != nil {
		return err
	}
	defer c.tty.Close()
	if err := c.reset(); err != nil {
		return fmt.Errorf("make the console tty%d one for text again: %w", c.Number, err)
	}
	return nil
}

// reset does what Restore says.
func (c *Console) reset() error {
	keyboard, err := c.tty.get(kdGetKeyboard)
	if err != nil {
		return err
	}
	var errs []error
	if keyboard != kXlate && keyboard != kUnicode {
		errs = append(errs, c.tty.set(kdSetKeyboard, kUnicode), c.line())
	}
	display, err := c.tty.get(kdGetMode)
	if err != nil {
		return err
	}
	if display != kdText {
		errs = append(errs, c.tty.setSwitching(mode{mode: vtAuto}), c.tty.set(kdSetMode, kdText))
	}
	return errors.Join(errs...)
}

// line gives the terminal back the modes that Keyboard changed.
func (c *Console) line() error {
	m, err := c.tty.termios()
	if err != nil {
		return err
	}
	m.Iflag |= unix.ICRNL | unix.IXON | unix.IUTF8
	m.Lflag |= unix.ISIG | unix.ICANON | unix.IEXTEN | unix.ECHO | unix.ECHOE | unix.ECHOK
	return c.tty.setTermios(m)
}
