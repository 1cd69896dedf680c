package rfb

import (
	"io"
	"sync"
)

// maxPending is how many bytes may wait for a server that does not read: some thousand keys.
const maxPending = 16 << 10

// sender is a queue of messages and the goroutine that writes it, so that a guest that hangs delays nobody: the keys that
// leave it must be heard then above all.
type sender struct {
	to   io.Writer
	wake chan struct{} // holds one token when there is something to do
	done chan struct{}

	mu      sync.Mutex
	pending []byte
	spare   []byte // the buffer that is not being written
	closed  bool
	// request is the next update request, if asked: one stands for all that a server has not read yet.
	request [requestBytes]byte
	asked   bool
}

func newSender(to io.Writer) *sender {
	s := &sender{to: to, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go s.run()
	return s
}

// ask queues an update request, in the place of one that waits; a full one is not replaced by an incremental one.
func (s *sender) ask(request [requestBytes]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	full := s.asked && s.request[1] == 0
	s.request, s.asked = request, true
	if full {
		s.request[1] = 0
	}
	s.notify()
}

// put queues a message in any case. It is for what is bounded anyway: releases of what try pressed.
func (s *sender) put(message []byte) { s.queue(message, false) }

// try queues a message if there is room.
func (s *sender) try(message []byte) bool { return s.queue(message, true) }

func (s *sender) queue(message []byte, bounded bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || bounded && len(s.pending)+len(message) > maxPending {
		return false
	}
	s.pending = append(s.pending, message...)
	s.notify()
	return true
}

// idle queues a message if nothing else waits.
func (s *sender) idle(message []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed && len(s.pending) == 0 {
		s.pending = append(s.pending, message...)
		s.notify()
	}
}

func (s *sender) notify() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run writes what is queued. After an error everything is dropped: Run hears of the end by reading.
func (s *sender) run() {
	defer close(s.done)
	failed := false
	for range s.wake {
		message, closed := s.take()
		if len(message) > 0 && !failed {
			_, err := s.to.Write(message)
			failed = err != nil
		}
		if closed {
			return
		}
	}
}

// take swaps the two buffers and returns the full one.
func (s *sender) take() (message []byte, closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked {
		s.pending = append(s.pending, s.request[:]...)
		s.asked = false
	}
	message = s.pending
	s.pending, s.spare = s.spare[:0], message
	return message, s.closed
}

// finish writes what is queued and ends the goroutine. A write that hangs ends by the connection's deadline.
func (s *sender) finish() {
	s.mu.Lock()
	s.closed = true
	s.notify()
	s.mu.Unlock()
	<-s.done
}
