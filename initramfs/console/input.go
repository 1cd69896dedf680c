package console

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// sequenceTime is how long the rest of an escape sequence may take: an arrow key is three bytes, and on a serial
	// line they may come one by one. A lone Esc key is heard that much later.
	sequenceTime = 60 * time.Millisecond
	// handleTime is how long to wait for a key to be handled before the next one is read all the same. It matters only
	// for bytes that Bubble Tea makes no message of, such as the beginning of a paste.
	handleTime = 3 * time.Second
)

// keyReader reads a terminal one key at a time (see keys.go for what is one), and the next key only when the last one was handled. So when a key
// ends a screen, what was typed behind it is still in the terminal for whoever reads next.
type keyReader struct {
	tty     *os.File
	handled chan struct{} // gets a token when a key was handled
	stopped chan struct{}
	once    sync.Once
	pending bool // a key was returned and may not be handled yet
	scanner scanner
	unread  []byte // came close behind an Enter, and was read to know what it is

	reading  sync.Mutex // held while reading the terminal
	deadline sync.Mutex // held while a deadline is set
}

func newKeyReader(tty *os.File) *keyReader {
	return &keyReader{tty: tty, handled: make(chan struct{}, 1), stopped: make(chan struct{})}
}

// Read returns the bytes of one key. When the terminal is gone, or the reader is stopped, it returns io.EOF, for
// which Bubble Tea stops reading and does nothing else.
func (k *keyReader) Read(p []byte) (int, error) {
	if k.pending {
		timer := time.NewTimer(handleTime)
		defer timer.Stop()
		select {
		case <-k.handled:
		case <-timer.C:
		case <-k.stopped:
		}
	}
	k.reading.Lock()
	defer k.reading.Unlock()
	sequence := k.read()
	if len(sequence) == 0 {
		return 0, io.EOF
	}
	k.pending = true
	select {
	case <-k.handled: // too late
	default:
	}
	return copy(p, sequence), nil
}

// read returns one key's bytes, none when stopped or hung up.
func (k *keyReader) read() []byte {
	for {
		var key []byte
		switch b, err := k.next(k.scanner.begun()); {
		case errors.Is(err, os.ErrDeadlineExceeded) && !k.isStopped():
			key = k.scanner.pause()
		case err != nil:
			return nil
		default:
			key = k.scanner.add(b)
		}
		if string(key) == "\r" && !k.lineEnd() {
			continue
		}
		if key != nil {
			return key
		}
	}
}

// next reads a byte; if it is the rest of something it may not take long.
func (k *keyReader) next(rest bool) (byte, error) {
	if len(k.unread) > 0 && !k.isStopped() {
		b := k.unread[0]
		k.unread = k.unread[1:]
		return b, nil
	}
	if !k.wait(rest) {
		return 0, io.EOF
	}
	var b [1]byte
	n, err := k.tty.Read(b[:])
	if n == 0 && err == nil {
		err = io.EOF
	}
	return b[0], err
}

// lineEnd looks at what follows a CR and says whether it was Enter. The LF of a CR LF is part of it; a modem's result code and
// the line ends around it are none. What else came so soon is read the next time.
func (k *keyReader) lineEnd() bool {
	if b, err := k.next(true); err != nil {
		return true
	} else if b != '\n' {
		k.unread = append([]byte{b}, k.unread...)
		return true
	}
	var line []byte
	for len(line) < maxResult {
		b, err := k.next(true)
		if err != nil {
			break
		}
		if b == '\r' && isResult(string(line)) {
			if b, err := k.next(true); err == nil && b != '\n' {
				k.unread = append([]byte{b}, k.unread...)
			}
			return false
		}
		line = append(line, b)
	}
	k.unread = append(line, k.unread...)
	return true
}

// pushBack pushes what was read too soon back into the terminal, for the next reader (TIOCSTI, ioctl_tty(2)).
func (k *keyReader) pushBack() {
	conn, err := k.tty.SyscallConn()
	if err != nil || len(k.unread) == 0 {
		return // or the terminal is gone
	}
	_ = conn.Control(func(fd uintptr) {
		// TIOCSTI puts bytes behind those that wait, so these are taken out first. The terminal doesn't block.
		waiting := make([]byte, maxString)
		if n, err := unix.Read(int(fd), waiting); err == nil {
			k.unread = append(k.unread, waiting[:n]...)
		}
		for _, b := range k.unread {
			_ = unix.IoctlSetPointerInt(int(fd), unix.TIOCSTI, int(b))
		}
	})
	k.unread = nil
}

// wait sets how long the next byte may take; it is false when the reader is stopped.
func (k *keyReader) wait(rest bool) bool {
	k.deadline.Lock()
	defer k.deadline.Unlock()
	if k.isStopped() {
		return false
	}
	var deadline time.Time
	if rest {
		deadline = time.Now().Add(sequenceTime)
	}
	return k.tty.SetReadDeadline(deadline) == nil
}

// done tells that the last key was handled.
func (k *keyReader) done() {
	select {
	case k.handled <- struct{}{}:
	default:
	}
}

// stop makes Read return; it doesn't wait.
func (k *keyReader) stop() {
	k.deadline.Lock()
	defer k.deadline.Unlock()
	k.once.Do(func() { close(k.stopped) })
	_ = k.tty.SetReadDeadline(time.Unix(1, 0))
}

func (k *keyReader) isStopped() bool {
	select {
	case <-k.stopped:
		return true
	default:
		return false
	}
}

// finish stops the reader and waits until it has let go of the terminal.
func (k *keyReader) finish() {
	k.stop()
	k.reading.Lock()
	defer k.reading.Unlock()
	k.pushBack()
	_ = k.tty.SetReadDeadline(time.Time{})
}
