package console

import (
	"io"
	"os"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	// sequenceTime is how long the rest of an escape sequence may take: an arrow key is three bytes, and on a serial
	// line they may come one by one. A lone Esc key is heard that much later.
	sequenceTime = 60 * time.Millisecond
	// handleTime is how long to wait for a key to be handled before the next one is read all the same. It matters only
	// for bytes that Bubble Tea makes no message of, such as the beginning of a paste.
	handleTime = 3 * time.Second
	// maxSequence bounds an escape sequence, in bytes.
	maxSequence = 32
)

// keyReader reads a terminal one key at a time, and the next key only when the last one was handled. So when a key
// ends a screen, what was typed behind it is still in the terminal for whoever reads next.
type keyReader struct {
	tty     *os.File
	handled chan struct{} // gets a token when a key was handled
	stopped chan struct{}
	once    sync.Once
	pending bool // a key was returned and may not be handled yet

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
	var sequence []byte
	var b [1]byte
	for len(sequence) == 0 || !complete(sequence) && len(sequence) < maxSequence {
		if !k.wait(len(sequence) > 0) {
			return nil
		}
		n, err := k.tty.Read(b[:])
		if n == 0 || err != nil {
			if k.isStopped() {
				return nil
			}
			return sequence // a lone Esc, or nothing if this is the end
		}
		sequence = append(sequence, b[0])
	}
	return sequence
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
	_ = k.tty.SetReadDeadline(time.Time{})
}

// complete is whether b is all of a key: a character, or an escape sequence (ECMA-48: CSI parameters end with a byte
// of 0x40 to 0x7e; SS3 has one byte more; the Linux console sends F1 to F5 as ESC [ [ A).
func complete(b []byte) bool {
	if b[0] != '\x1b' {
		return b[0] < utf8.RuneSelf || utf8.FullRune(b)
	}
	if len(b) < 2 {
		return false
	}
	switch b[1] {
	case '[':
		if len(b) == 3 && b[2] == '[' {
			return false
		}
		return len(b) > 2 && b[len(b)-1] >= 0x40 && b[len(b)-1] <= 0x7e
	case 'O':
		return len(b) > 2
	}
	return complete(b[1:])
}
