package tftp

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

const (
	// maxTransfers bounds the transfers at one time, and maxPerAddress those of one address: firmware has one, and a few that it
	// gave up.
	maxTransfers  = 512
	maxPerAddress = 8
	// maxTime bounds a transfer as a whole. A loader of 1 MiB in blocks of 512 bytes takes a second on a LAN.
	maxTime = 10 * time.Minute
)

// session is a transfer's place among the others.
type session struct {
	client netip.AddrPort
	packet string // the request as it came
	stop   context.CancelCauseFunc
	// repeat, if not nil, is called when the client repeats its request before it acknowledged anything.
	repeat func()
	// order counts sessions; confirmed: the client has acknowledged something, so that it is no made-up address.
	order     uint64
	confirmed bool
}

// sessions are the transfers under way. Nobody can take all places: an address has few, and where there are none left those go
// whose client was never heard of again.
type sessions struct {
	mu    sync.Mutex
	all   map[netip.AddrPort]*session
	count uint64
}

var (
	errReplaced = errors.New("the client asked for something else from the same port")
	errCrowded  = errors.New("others need the place, and the client has acknowledged nothing")
)

// open returns a place for the request, or nil if it is the repetition of one that is being answered. The error says that there
// is no place.
func (t *sessions) open(ctx context.Context, client netip.AddrPort, packet string) (context.Context, *session, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if old := t.all[client]; old != nil {
		if old.packet == packet && !old.confirmed {
			if old.repeat != nil {
				old.repeat()
			}
			return nil, nil, nil
		}
		t.end(old, errReplaced)
	}
	same := func(s *session) bool { return s.client.Addr() == client.Addr() }
	if err := t.makeRoom(same, maxPerAddress); err != nil {
		return nil, nil, fmt.Errorf("%d transfers of %s: %w", maxPerAddress, client.Addr(), err)
	}
	if err := t.makeRoom(func(*session) bool { return true }, maxTransfers); err != nil {
		return nil, nil, fmt.Errorf("%d transfers: %w", maxTransfers, err)
	}
	ctx, stop := context.WithCancelCause(ctx)
	t.count++
	s := &session{client: client, packet: packet, stop: stop, order: t.count}
	if t.all == nil {
		t.all = map[netip.AddrPort]*session{}
	}
	t.all[client] = s
	return ctx, s, nil
}

var errFull = errors.New("all of them are going on")

// makeRoom ends the oldest unconfirmed of the matching sessions if there are limit of them.
func (t *sessions) makeRoom(match func(*session) bool, limit int) error {
	n, oldest := 0, (*session)(nil)
	for _, s := range t.all {
		if !match(s) {
			continue
		}
		n++
		if !s.confirmed && (oldest == nil || s.order < oldest.order) {
			oldest = s
		}
	}
	if n < limit {
		return nil
	}
	if oldest == nil {
		return errFull
	}
	t.end(oldest, errCrowded)
	return nil
}

func (t *sessions) end(s *session, why error) {
	s.stop(why)
	delete(t.all, s.client)
}

// close gives the place back.
func (t *sessions) close(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.stop(nil)
	if t.all[s.client] == s {
		delete(t.all, s.client)
	}
}

// onRepeat has f called when the client repeats its request.
func (t *sessions) onRepeat(s *session, f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.repeat = f
}

// confirm notes that the client is there.
func (t *sessions) confirm(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.confirmed = true
}
