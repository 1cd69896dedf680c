package siblings

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// looks are the base URLs that a book looked at; those in wrong don't serve the site.
type looks struct {
	mu    sync.Mutex
	at    []string
	wrong map[string]bool
	wait  time.Duration
}

func (l *looks) look(ctx context.Context, base string) error {
	l.mu.Lock()
	l.at = append(l.at, base)
	wrong, wait := l.wrong[base], l.wait
	l.mu.Unlock()
	select {
	case <-time.After(wait):
	case <-ctx.Done():
		return ctx.Err()
	}
	if wrong {
		return errors.New("it has another key")
	}
	return nil
}

func (l *looks) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.at)
}

func newBook(l *looks, file string) *Book {
	own := netip.MustParseAddrPort("10.0.0.1:8080")
	return New(Config{Look: l.look, Own: func(at netip.AddrPort) bool { return at == own }, File: file, Log: slog.New(slog.DiscardHandler), Now: time.Now})
}

var self = catalog.SeederAddress{HTTP: "http://10.0.0.1:8080", Torrent: netip.MustParseAddrPort("10.0.0.1:6881")}

func addressOf(base, torrent string) catalog.SeederAddress {
	return catalog.SeederAddress{HTTP: base, Torrent: netip.MustParseAddrPort(torrent)}
}

// A mirror is listed at the address that its request came from, after a look, and is forgotten 90 s after its last request.
func TestMirrorsComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &looks{wrong: map[string]bool{"http://10.0.0.66:80": true}}
		b := newBook(l, "")
		ask := func(addr string, h Hello) { b.Note(netip.MustParseAddr(addr), h.String()); synctest.Wait() }
		mirror := Hello{HTTP: 8080, Torrent: 6881, Counter: 4, Size: 100, Done: 50}
		ask("10.0.0.2", Hello{HTTP: 8080, Torrent: 6881})
		if n := l.count(); n != 0 {
			t.Errorf("a mirror without a catalog was looked at %d times", n)
		}
		ask("10.0.0.2", mirror)
		ask("10.0.0.66", Hello{HTTP: 80, Torrent: 1, Counter: 9})
		ask("10.0.0.1", mirror) // this seeder itself
		want := []catalog.SeederAddress{self, addressOf("http://10.0.0.2:8080", "10.0.0.2:6881")}
		if got := b.List(self).Seeders; !slices.Equal(got, want) {
			t.Errorf("%v is listed, want %v", got, want)
		}
		for addr, want := range map[string]string{"10.0.0.2": "http://10.0.0.2:8080", "10.0.0.66": "", "10.0.0.3": ""} {
			hello := mirror
			if addr == "10.0.0.66" {
				hello.HTTP = 80
			}
			if got, undecided := b.Known(netip.MustParseAddr(addr), hello.String()); got != want || undecided != (addr == "10.0.0.3") {
				t.Errorf("%s is known as %q (%t), want %q", addr, got, undecided, want)
			}
		}
		known := b.Mirrors()
		if len(known) != 2 || known[0].Counter != 4 || known[0].Done != 50 || known[1].Listed || known[1].Trouble == "" {
			t.Errorf("known are %+v", known)
		}
		for range 9 { // every 10 s
			time.Sleep(10 * time.Second)
			ask("10.0.0.2", mirror)
		}
		if n := l.count(); n != 2 {
			t.Errorf("there were %d looks, want one at each", n)
		}
		time.Sleep(forgetTime)
		if got := b.List(self).Seeders; len(got) != 1 {
			t.Errorf("after 90 s without a request %v is listed", got)
		}
	})
}

// A mirror that doesn't answer is looked at more and more rarely, and listed once it does.
func TestLooksBecomeRare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &looks{wrong: map[string]bool{"http://10.0.0.2:80": true}}
		b := newBook(l, "")
		hour := func() int {
			before := l.count()
			for range 360 {
				b.Note(netip.MustParseAddr("10.0.0.2"), Hello{HTTP: 80, Torrent: 1, Counter: 1}.String())
				time.Sleep(10 * time.Second)
			}
			return l.count() - before
		}
		if n := hour(); n < 8 || n > 16 {
			t.Errorf("%d looks in an hour", n)
		}
		l.mu.Lock()
		l.wrong = nil
		l.mu.Unlock()
		if n := hour(); n < 5 || n > 7 {
			t.Errorf("%d looks in an hour at one that answers", n)
		}
		if len(b.List(self).Seeders) != 2 {
			t.Error("it answers, and is not listed")
		}
	})
}

// However many ask, few are looked at at a time, one address has few entries, and the list has room for the rest.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &looks{wait: time.Second}
		b := newBook(l, "")
		for port := range 100 {
			b.Note(netip.MustParseAddr("10.0.0.2"), Hello{HTTP: uint16(1000 + port), Torrent: 1, Counter: 1}.String())
		}
		if n := len(b.Mirrors()); n != perAddress {
			t.Errorf("one address has %d entries", n)
		}
		synctest.Wait()
		if n := l.count(); n != maxLooks {
			t.Errorf("%d looks at a time", n)
		}
		for round := 0; round < 80; round++ {
			for host := range 200 {
				b.Note(netip.MustParseAddr(fmt.Sprintf("10.0.1.%d", host)), Hello{HTTP: 80, Torrent: 1, Counter: 1}.String())
			}
			time.Sleep(time.Second)
		}
		if n := len(b.Mirrors()); n > maxKnown {
			t.Errorf("%d are known", n)
		}
		if n := len(b.List(self).Seeders); n != catalog.MaxSeeders {
			t.Errorf("%d are listed", n)
		}
	})
}

// A mirror lists what the seeder that it follows lists before its own mirrors, without itself, and keeps that over a restart.
func TestListOfAMirror(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "seeders.json")
		b := newBook(&looks{}, file)
		above := []catalog.SeederAddress{addressOf("http://10.9.0.1:8080", "10.9.0.1:6881"), self, addressOf("http://10.9.0.7:8080", "10.9.0.7:6881")}
		ctx, cancel := context.WithCancel(t.Context())
		reads := 0
		changed := make(chan struct{}, 1)
		go b.Follow(ctx, changed, func(context.Context) (catalog.SeederList, error) {
			if reads++; reads == 1 {
				return catalog.SeederList{}, errors.New("nobody answers")
			}
			return catalog.SeederList{Seeders: above}, nil
		})
		time.Sleep(failedTime)
		b.Note(netip.MustParseAddr("10.0.0.2"), Hello{HTTP: 80, Torrent: 1, Counter: 1}.String())
		b.Note(netip.MustParseAddr("10.9.0.7"), Hello{HTTP: 8080, Torrent: 6881, Counter: 1}.String())
		synctest.Wait()
		asked := addressOf("http://mirror", "10.0.0.1:6881")
		want := []catalog.SeederAddress{asked, above[0], above[2], addressOf("http://10.0.0.2:80", "10.0.0.2:1")}
		if got := b.List(asked).Seeders; !slices.Equal(got, want) {
			t.Errorf("%v is listed, want %v", got, want)
		}
		changed <- struct{}{}
		synctest.Wait()
		if reads != 3 {
			t.Errorf("after a change the list was read %d times, want 3", reads)
		}
		time.Sleep(readTime)
		synctest.Wait()
		if reads != 4 {
			t.Errorf("after 30 s the list was read %d times, want 4", reads)
		}
		cancel()
		if got := newBook(&looks{}, file).List(asked).Seeders; !slices.Equal(got, want[:3]) {
			t.Errorf("after a restart %v is listed, want %v", got, want[:3])
		}
	})
}

func TestParseHello(t *testing.T) {
	for text, ok := range map[string]bool{
		"http=80; torrent=6881": true, "http=80;torrent=6881;counter=3;size=4;done=5;later=word": true,
		"": false, "http=80": false, "http=70000; torrent=1": false, "http=80; torrent=1; size=-1": false, "http=80; torrent=1; counter=99999999999999999999": false,
	} {
		if _, err := ParseHello(text); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzHello(f *testing.F) {
	f.Add("http=80; torrent=6881; counter=7; size=100; done=50")
	f.Add("http=;;")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := ParseHello(text)
		if err != nil {
			return
		}
		if again, err := ParseHello(h.String()); err != nil || again != h {
			t.Errorf("%+v becomes %+v: %v", h, again, err)
		}
	})
}
