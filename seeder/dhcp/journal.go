package dhcp

import (
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

// change is something that must survive a restart: a lease given, a lease forgotten, or an address in quarantine.
type change struct {
	// lease is written, if its address is valid; its time is the wall clock's.
	lease Lease
	// forget is a machine whose lease is removed, if it is not nil.
	forget net.HardwareAddr
	// declined is an address left alone until the given time of the wall clock; a zero time removes it. It is the zero Addr otherwise.
	declined netip.Addr
	until    time.Time
}

// key is what a later change of the same thing replaces.
func (c change) key() string {
	switch {
	case c.declined.IsValid():
		return c.declined.String()
	case c.forget != nil:
		return string(c.forget)
	}
	return string(c.lease.MAC)
}

const (
	// retryTime is how long after a failed write it is tried again, if nothing else is to be written.
	retryTime = 30 * time.Second
	// maxQueue is how many changes may wait for a disk that is slower than the room; requests beyond are dropped, and repeated.
	maxQueue = 4096
)

// journal writes changes to the disk in groups: all that came while one write was under way go with the next. So a room that
// starts at once waits for a few flushes of the disk and not for one a machine.
type journal struct {
	save func([]change) error
	log  *slog.Logger

	mu sync.Mutex
	// waiting are changes to be written, done what is to be called then; unsaved are those that could not be written.
	waiting []change
	done    []func(error)
	closed  bool
	wake    chan struct{}
	ended   chan struct{}
}

// newJournal starts writing with save, which returns when everything is safe.
func newJournal(save func([]change) error, log *slog.Logger) *journal {
	j := &journal{save: save, log: log, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go j.run()
	return j
}

// write queues changes and calls done, which may be nil, on another goroutine when they are safe, or with the error that they
// are not. It reports false if the disk does not keep up; then nothing is queued.
func (j *journal) write(changes []change, done func(error)) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed || len(j.waiting) >= maxQueue {
		return false
	}
	j.waiting = append(j.waiting, changes...)
	if done != nil {
		j.done = append(j.done, done)
	}
	j.signal()
	return true
}

func (j *journal) signal() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// close writes what is queued, and ends.
func (j *journal) close() {
	j.mu.Lock()
	j.closed = true
	j.signal()
	j.mu.Unlock()
	<-j.ended
}

func (j *journal) run() {
	defer close(j.ended)
	unsaved := map[string]change{}
	for closed := false; !closed; {
		var retry <-chan time.Time
		if len(unsaved) > 0 {
			retry = time.After(retryTime)
		}
		select {
		case <-j.wake:
		case <-retry:
		}
		j.mu.Lock()
		changes, done := j.waiting, j.done
		j.waiting, j.done = nil, nil
		closed = j.closed
		j.mu.Unlock()
		err := j.flush(unsaved, changes)
		for _, f := range done {
			f(err)
		}
	}
}

// flush writes changes, and unsaved ones from before. What can't be written stays in unsaved.
func (j *journal) flush(unsaved map[string]change, changes []change) error {
	for _, c := range changes {
		unsaved[c.key()] = c
	}
	if len(unsaved) == 0 {
		return nil
	}
	all := make([]change, 0, len(unsaved))
	for _, c := range unsaved {
		all = append(all, c)
	}
	if err := j.save(all); err != nil {
		j.log.Error("leases can't be written to the disk: machines get their addresses all the same, but a restart of the seeder "+
			"forgets them; make room on that disk", "err", err, "leases", len(all))
		return err
	}
	clear(unsaved)
	return nil
}
