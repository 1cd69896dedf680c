package swarm

import (
	"errors"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	pp "github.com/anacrolix/torrent/peer_protocol"
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

func TestHavesGoWithTheNextMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w writes
		b := newHaveBatcher(&w, nil)
		write(t, b, have(1), slices.Concat(have(2), have(3)))
		if synctest.Wait(); len(w.all) > 0 {
			t.Fatalf("%q was sent at once", w.all)
		}
		write(t, b, request(7), request(8))
		if want := slices.Concat(have(1), have(2), have(3), request(7), request(8)); !slices.Equal(w.bytes(), want) {
			t.Errorf("sent %q, want %q", w.bytes(), want)
		}
	})
}

func TestHavesDontWaitLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w writes
		b := newHaveBatcher(&w, nil)
		for i := range 3 {
			w.all = nil
			write(t, b, have(i))
			time.Sleep(haveTime)
			if synctest.Wait(); !slices.Equal(w.bytes(), have(i)) {
				t.Errorf("after %s %q was sent, want %q", haveTime, w.bytes(), have(i))
			}
			time.Sleep(10 * haveTime)
		}
	})
}

func TestManyHavesGoAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w writes
		b := newHaveBatcher(&w, nil)
		var want []byte
		for i := range haveMost {
			want = append(want, have(i)...)
			write(t, b, have(i))
		}
		if !slices.Equal(w.bytes(), want) {
			t.Errorf("sent %q, want %q", w.bytes(), want)
		}
	})
}

// TestHaveThatFails has a connection break while messages wait: the next write says so.
func TestHaveThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := writes{err: errors.New("broken")}
		b := newHaveBatcher(&w, nil)
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
