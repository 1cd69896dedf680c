package swarm

import (
	"errors"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	pp "github.com/anacrolix/torrent/peer_protocol"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// writes records what was written at a time.
type writes struct {
	net.Conn
	all [][]byte
	err error
}

func (w *writes) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	w.all = append(w.all, slices.Clone(p))
	return len(p), nil
}

func (w *writes) bytes() []byte { return slices.Concat(w.all...) }

// have is a have message as the library writes it.
func have(piece int) []byte {
	return pp.Message{Type: pp.Have, Index: pp.Integer(piece)}.MustMarshalBinary()
}

func request(piece int) []byte {
	return pp.Message{Type: pp.Request, Index: pp.Integer(piece), Length: 16 << 10}.MustMarshalBinary()
}

func write(t *testing.T, c net.Conn, messages ...[]byte) {
	t.Helper()
	for _, m := range messages {
		if n, err := c.Write(m); n != len(m) || err != nil {
			t.Fatalf("wrote %d of %d bytes: %v", n, len(m), err)
		}
	}
}

// batcher batches for a torrent of which few others have the pieces below 100.
func batcher(t *testing.T, w *writes) *haveBatcher {
	t.Helper()
	hello := slices.Concat([]byte(protocol), make([]byte, 8), []byte("the torrent's infohash"[:20]), make([]byte, 20))
	b := newHaveBatcher(w, nil, func(h catalog.InfoHash, piece int) bool {
		if h != catalog.InfoHash([]byte("the torrent's infohash")[:20]) {
			t.Errorf("was asked for torrent %s", h)
		}
		return piece < 100
	})
	write(t, b, hello)
	if !slices.Equal(w.bytes(), hello) {
		t.Fatalf("sent %q, want the handshake", w.all)
	}
	w.all = nil
	return b
}

func TestHavesGoWithTheNextMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w writes
		b := batcher(t, &w)
		write(t, b, have(1), slices.Concat(have(2), have(103)))
		if synctest.Wait(); len(w.all) > 0 {
			t.Fatalf("%q was sent at once", w.all)
		}
		write(t, b, request(7), request(8))
		if want := slices.Concat(have(1), have(2), have(103), request(7), request(8)); !slices.Equal(w.bytes(), want) {
			t.Errorf("sent %q, want %q", w.bytes(), want)
		}
	})
}

// TestHavesDontWaitLong has a message wait by itself: shortly if it is news, and longer if several others have the piece.
func TestHavesDontWaitLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w writes
		b := batcher(t, &w)
		for i, c := range []struct {
			piece int
			wait  time.Duration
		}{{1, haveTime}, {2, haveTime}, {100, laterTime}, {3, haveTime}, {101, laterTime}} {
			w.all = nil
			write(t, b, have(c.piece))
			time.Sleep(c.wait - time.Millisecond)
			if synctest.Wait(); len(w.all) > 0 {
				t.Errorf("message %d was sent within %s", i, c.wait)
			}
			time.Sleep(time.Millisecond)
			if synctest.Wait(); !slices.Equal(w.bytes(), have(c.piece)) {
				t.Errorf("message %d: after %s %q was sent, want %q", i, c.wait, w.bytes(), have(c.piece))
			}
			time.Sleep(10 * laterTime)
		}
	})
}

// TestNewsTakeOthersAlong has what could wait longer go with news, and news not wait for what came before.
func TestNewsTakeOthersAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w writes
		b := batcher(t, &w)
		write(t, b, have(100))
		time.Sleep(laterTime / 2)
		write(t, b, have(1), have(101))
		time.Sleep(haveTime)
		synctest.Wait()
		if want := slices.Concat(have(100), have(1), have(101)); !slices.Equal(w.bytes(), want) {
			t.Errorf("%s after news %q was sent, want %q", haveTime, w.bytes(), want)
		}
	})
}

func TestManyHavesGoAtOnce(t *testing.T) {
	for _, c := range []struct{ first, most int }{{0, haveMost}, {100, laterMost}} {
		synctest.Test(t, func(t *testing.T) {
			var w writes
			b := batcher(t, &w)
			var want []byte
			for range 3 { // the count begins anew
				for i := range c.most {
					if len(w.bytes()) != len(want)/(c.most*haveLen)*c.most*haveLen {
						t.Fatalf("sent %d messages before there were %d", len(w.bytes())/haveLen, c.most)
					}
					want = append(want, have(c.first+i)...)
					write(t, b, have(c.first+i))
				}
				if !slices.Equal(w.bytes(), want) {
					t.Errorf("sent %q, want %q", w.bytes(), want)
				}
			}
		})
	}
}

// TestHaveThatFails has a connection break while messages wait: the next write says so.
func TestHaveThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w writes
		b := batcher(t, &w)
		w.err = errors.New("broken")
		write(t, b, have(1))
		time.Sleep(2 * haveTime)
		synctest.Wait()
		if _, err := b.Write(have(2)); !errors.Is(err, w.err) {
			t.Errorf("%v, want %v", err, w.err)
		}
	})
}

func TestOnlyHaves(t *testing.T) {
	for _, c := range []struct {
		name string
		p    []byte
		want bool
	}{
		{"one", have(1 << 20), true},
		{"two", slices.Concat(have(0), have(1)), true},
		{"a request", request(1), false},
		{"a have and a request", slices.Concat(have(1), request(1)), false},
		{"a request and a have", slices.Concat(request(1), have(1)), false},
		{"a part", have(1)[:5], false},
		{"a handshake", []byte("\x13BitTorrent protocol"), false},
	} {
		if got := onlyHaves(c.p); got != c.want {
			t.Errorf("%s: %t, want %t", c.name, got, c.want)
		}
	}
}
