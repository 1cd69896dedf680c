package tftp

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// defaultTimeout is how long an acknowledgement is waited for before the window is sent again; it doubles up to
// maxTimeout. After maxTries in a row the client is taken for gone: 1+2+4+4+4+4 = 19 s; and in any case after maxSilence.
const (
	defaultTimeout = time.Second
	maxTimeout     = 4 * time.Second
	maxTries       = 6
	maxSilence     = 30 * time.Second
	// firstWait is how long a client has for its first acknowledgement. Until then it may be a made-up address, which gets one
	// packet for each of its own and nothing more: it is the client's to repeat its request if that packet is lost.
	firstWait = 10 * time.Second
)

// transfer sends one file to one client.
type transfer struct {
	// conn is connected to the client.
	conn net.Conn
	request
	file io.ReaderAt
	size int64
	// acked is the number of the last block the client has; sent that of the last one sent, and highest that of the last one ever
	// sent. Block numbers count from 1 without end; the 16 bits on the wire wrap to 0, as clients that take more than 65535
	// blocks expect.
	acked, sent, highest int64
	// ahead, if not nil, is how many blocks are sent without being asked for, instead of the window.
	ahead *ahead
	// resent is whether the window behind acked was sent again already because of a repeated acknowledgement.
	resent bool
	packet []byte
	// heard is whether the client has acknowledged anything; confirm, if not nil, is called then. again is set by repeat.
	heard   bool
	confirm func()
	again   atomic.Bool
}

// repeat sends the first packet once more, for the client has repeated its request. It may be called while the transfer runs.
func (t *transfer) repeat() {
	t.again.Store(true)
	_ = t.conn.SetReadDeadline(time.Unix(1, 0))
}

// errClient is wrapped by the error of a transfer that the client ended. Firmware does so when all it wanted was tsize.
var errClient = errors.New("the client ended the transfer")

// last is the number of the last block: the one that is shorter than a block, possibly empty.
func (t *transfer) last() int64 { return t.size/int64(t.blockSize) + 1 }

// run sends the file, until the client has it, gives up or is gone, or ctx is done.
func (t *transfer) run(ctx context.Context) error {
	t.packet = make([]byte, 4+t.blockSize)
	stop := context.AfterFunc(ctx, func() { _ = t.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	if oack := t.optionAck(t.size); oack != nil {
		if err := t.handshake(ctx, oack); err != nil {
			return err
		}
	}
	for t.acked < t.last() {
		if err := t.sendWindow(); err != nil {
			return err
		}
		resend := func() error {
			if t.ahead != nil {
				t.ahead.lost(t.acked, t.highest)
			}
			t.sent = t.acked
			return t.sendWindow()
		}
		if err := t.await(ctx, resend, t.advance); err != nil {
			return fmt.Errorf("block %d of %d: %w", t.acked+1, t.last(), err)
		}
	}
	return nil
}

// handshake sends the option acknowledgement until it is acknowledged itself, as block 0 (RFC 2347).
func (t *transfer) handshake(ctx context.Context, oack []byte) error {
	send := func() error { return t.write(oack) }
	if err := send(); err != nil {
		return fmt.Errorf("send option acknowledgement: %w", err)
	}
	if err := t.await(ctx, send, func(block uint16) (bool, error) { return block == 0, nil }); err != nil {
		return fmt.Errorf("options: %w", err)
	}
	return nil
}

// sendWindow sends the blocks of the window that were not sent yet.
func (t *transfer) sendWindow() error {
	window := t.window
	if t.ahead != nil {
		window = t.ahead.window
	}
	for t.sent < min(t.acked+int64(window), t.last()) {
		n, err := t.file.ReadAt(t.packet[4:], t.sent*int64(t.blockSize))
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read block %d: %w", t.sent+1, err)
		}
		if want := min(t.size-t.sent*int64(t.blockSize), int64(t.blockSize)); int64(n) < want {
			return fmt.Errorf("read block %d: the file became shorter while it was sent", t.sent+1)
		} else if int64(n) > want {
			n = int(want)
		}
		t.sent++
		binary.BigEndian.PutUint16(t.packet, opData)
		binary.BigEndian.PutUint16(t.packet[2:], uint16(t.sent))
		if err := t.write(t.packet[:4+n]); err != nil {
			return fmt.Errorf("send block %d: %w", t.sent, err)
		}
		if t.ahead != nil && t.sent > t.highest {
			t.ahead.sent(t.sent, time.Now())
		}
		t.highest = max(t.highest, t.sent)
	}
	return nil
}

// write sends a packet. One that the kernel could not send is a lost one, and is sent again in its time.
func (t *transfer) write(packet []byte) error {
	if _, err := t.conn.Write(packet); err != nil && !isLoss(err) {
		return err
	}
	return nil
}

// isLoss tells an error that means a lost packet from one that ends the transfer: a router in between that takes only smaller
// packets (EMSGSIZE; the kernel knows their size from then on and sends fragments), an interface or a route that is away for a
// moment, full buffers. They may be of an earlier packet than the one that is being sent or waited for.
func isLoss(err error) bool {
	for _, loss := range []error{syscall.EMSGSIZE, syscall.ENETDOWN, syscall.ENETUNREACH, syscall.EHOSTDOWN, syscall.EHOSTUNREACH, syscall.ENOBUFS, syscall.EPERM} {
		if errors.Is(err, loss) {
			return true
		}
	}
	return false
}

// advance takes an acknowledgement; ok if the window moved.
func (t *transfer) advance(block uint16) (ok bool, err error) {
	// How far behind the last acknowledged block it is, in 16 bits: right as long as a window is smaller than that.
	more := int64(block - uint16(t.acked))
	switch {
	case t.ahead != nil && more > 0 && more <= t.highest-t.acked:
		t.acked += more
		t.sent = max(t.sent, t.acked)
		t.ahead.acked(t.acked, int(more), t.highest, time.Now())
		return true, nil
	case t.ahead != nil && more == 0 && t.window > 1 && t.ahead.tellsLoss(t.acked) && t.highest > t.acked:
		// The first block of the window is missing.
		t.ahead.lost(t.acked, t.highest)
		t.sent = t.acked
		return false, t.sendWindow()
	case t.ahead != nil:
		return false, nil
	case more > 0 && more <= t.sent-t.acked:
		t.acked += more
		// With a window, an acknowledgement of less than all means that the rest did not arrive (RFC 7440 section 4).
		t.sent, t.resent = t.acked, false
		return true, nil
	case more == 0 && t.window > 1 && !t.resent:
		// The first block of the window is missing. Only once: one acknowledgement may come for each block behind the gap.
		t.sent, t.resent = t.acked, true
		return false, t.sendWindow()
	}
	// Without a window a repeated acknowledgement is never answered: RFC 1350's "sorcerer's apprentice" would send all
	// that follows twice.
	return false, nil
}

// await reads until accept takes an acknowledgement; on silence it calls resend. The client's error packet, too many
// timeouts and the end of ctx end it.
func (t *transfer) await(ctx context.Context, resend func() error, accept func(block uint16) (bool, error)) error {
	start, timeout, tries := time.Now(), t.timeout, 1
	switch {
	case !t.heard:
		timeout = firstWait
	case t.ahead != nil:
		timeout = t.ahead.silence()
	}
	deadline := start.Add(timeout)
	// Nothing a client sends is longer, but for the text of its errors.
	buf := make([]byte, 512)
	for {
		n, err := t.read(ctx, buf, deadline)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, errRepeated):
			if err := resend(); err != nil {
				return err
			}
			deadline = time.Now().Add(timeout)
			continue
		case errors.Is(err, os.ErrDeadlineExceeded):
			if tries++; tries > maxTries && t.ahead == nil || !t.heard || time.Since(start) >= maxSilence {
				return fmt.Errorf("no acknowledgement in %s", time.Since(start).Round(time.Second))
			}
			timeout = min(2*timeout, maxTimeout)
			if t.ahead == nil {
				timeout = max(t.timeout, timeout)
			}
			deadline = earlier(time.Now().Add(timeout), start.Add(maxSilence))
			if err := resend(); err != nil {
				return err
			}
			continue
		case err != nil && isLoss(err):
			continue
		case err != nil:
			return fmt.Errorf("read acknowledgement: %w", err)
		}
		block, err := parseAck(buf[:n])
		if errors.Is(err, errIgnore) {
			continue
		}
		if err != nil {
			return err
		}
		if !t.heard {
			t.heard = true
			if t.confirm != nil {
				t.confirm()
			}
		}
		if ok, err := accept(block); ok || err != nil {
			return err
		}
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// errRepeated is returned by read when the client has repeated its request.
var errRepeated = errors.New("the request was repeated")

// read reads one packet. Cancelling ctx ends it at once, and so does repeat, with errRepeated.
func (t *transfer) read(ctx context.Context, buf []byte, deadline time.Time) (int, error) {
	if err := t.conn.SetReadDeadline(deadline); err != nil {
		return 0, err
	}
	// A ctx that ends from here on ends the read, see run.
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	// repeat sets again before it ends the read, so that one of the two is seen here.
	if t.again.CompareAndSwap(true, false) {
		return 0, errRepeated
	}
	n, err := t.conn.Read(buf)
	if err != nil && t.again.CompareAndSwap(true, false) {
		return 0, errRepeated
	}
	return n, err
}

// parseAck returns the block of an acknowledgement, errClient with the client's reason if it is an error, and errIgnore
// for anything else.
func parseAck(packet []byte) (block uint16, err error) {
	if len(packet) < 4 {
		return 0, errIgnore
	}
	second := binary.BigEndian.Uint16(packet[2:])
	switch binary.BigEndian.Uint16(packet) {
	case opAck:
		return second, nil
	case opError:
		return 0, fmt.Errorf("%w: error %d %.100q", errClient, second, string(packet[4:]))
	}
	return 0, errIgnore
}
