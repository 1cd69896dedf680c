package launch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// leaveKey is LeaveTerminal as a terminal sends it.
const leaveKey = 0x1d

const (
	// sizeTime is how often an attached terminal is asked for its size. Nobody tells us when it changes.
	sizeTime = 500 * time.Millisecond
	// typeTime is how long a program may take to read what was typed before that is dropped: otherwise one that reads
	// nothing any more could not be left.
	typeTime = 200 * time.Millisecond
	// drainTime is how long the output of a guest that has ended is waited for. It matters only where a process that left
	// the guest's session still has the terminal open.
	drainTime = 500 * time.Millisecond
)

// line is our end of a guest's terminal.
type line struct {
	master *os.File
	tape   *tape
	// drained is closed when all output is on the tape.
	drained chan struct{}

	mu            sync.Mutex
	width, height int
}

// newLine makes a pseudo-terminal and returns the guest's end too, which the caller closes when the guest has it.
func newLine() (l *line, slave *os.File, err error) {
	master, slave, err := openPTY()
	if err != nil {
		return nil, nil, fmt.Errorf("make a terminal: %w", err)
	}
	l = &line{master: master, tape: newTape(), drained: make(chan struct{})}
	l.resize(80, 24) // until a real one is attached
	return l, slave, nil
}

// openPTY is openpty(3), without blocking, so that deadlines work: pty.Open sets its master to block, by calling Fd.
func openPTY() (master, slave *os.File, err error) {
	blocking, slave, err := pty.Open()
	if err != nil {
		return nil, nil, err
	}
	defer blocking.Close()
	fd, err := unix.FcntlInt(blocking.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("set a pseudo-terminal not to block: %w", err), slave.Close())
	}
	return os.NewFile(uintptr(fd), blocking.Name()), slave, nil
}

// run puts the guest's output on the tape until there is no more. Reading a master fails with EIO when nobody has the
// other end open any more.
func (l *line) run() {
	defer close(l.drained)
	defer l.tape.close()
	buf := make([]byte, 8<<10)
	for {
		n, err := l.master.Read(buf)
		if n > 0 {
			_, _ = l.tape.Write(buf[:n]) // never fails
		}
		if err != nil {
			return
		}
	}
}

// drain waits until the output of a guest that has ended is on the tape, and closes the terminal.
func (l *line) drain() {
	l.tape.rush()
	_ = l.master.SetReadDeadline(time.Now().Add(drainTime))
	<-l.drained
	_ = l.master.Close()
}

// resize tells the guest the size of the terminal; the kernel sends SIGWINCH if it is another.
func (l *line) resize(width, height int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if width == l.width && height == l.height || width <= 0 || height <= 0 {
		return
	}
	conn, err := l.master.SyscallConn()
	if err != nil {
		return
	}
	_ = conn.Control(func(fd uintptr) {
		size := unix.Winsize{Col: uint16(min(width, 0xffff)), Row: uint16(min(height, 0xffff))}
		if unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &size) == nil {
			l.width, l.height = width, height
		}
	})
}

// attach connects a console, see [Guest]. A Read of it may still be waiting when attach returns; it ends when the caller
// takes the console back, and what it reads until then is lost.
func (l *line) attach(ctx context.Context, tty Terminal) error {
	recent, ok := l.tape.attach()
	if !ok {
		return errors.New("the system is shown on another console already")
	}
	defer l.tape.detach()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	ended := make(chan error, 2)
	go func() { ended <- l.show(ctx, tty, recent) }()
	go func() { ended <- l.listen(ctx, tty) }()
	size := time.NewTicker(sizeTime)
	defer size.Stop()
	for {
		l.resize(tty.Size())
		select {
		case err := <-ended:
			return err
		case <-ctx.Done():
			return nil
		case <-size.C:
		}
	}
}

// show writes the guest's output to the console until there is no more.
func (l *line) show(ctx context.Context, tty Terminal, output []byte) error {
	for {
		if _, err := tty.Write(output); err != nil && ctx.Err() == nil {
			return fmt.Errorf("write to console %s: %w", tty.Name(), err)
		}
		if output = l.tape.next(ctx); len(output) == 0 {
			return nil
		}
	}
}

// listen passes on what is typed until a person leaves.
func (l *line) listen(ctx context.Context, tty Terminal) error {
	buf := make([]byte, 1024)
	for {
		n, err := tty.Read(buf)
		if ctx.Err() != nil {
			return nil
		}
		typed, _, left := bytes.Cut(buf[:n], []byte{leaveKey})
		_ = l.master.SetWriteDeadline(time.Now().Add(typeTime))
		_, _ = l.master.Write(typed) // to a program that has ended, or does not listen
		if left {
			return ErrLeft
		}
		if err != nil {
			return fmt.Errorf("read from console %s: %w", tty.Name(), err)
		}
	}
}
