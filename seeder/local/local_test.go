package local

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/rules"
)

const mac = "52:54:00:00:00:01"

var addr = netip.MustParseAddr("10.0.0.5")

func pointer[T any](v T) *T { return &v }

func TestEarly(t *testing.T) {
	group := func(s catalog.Settings) catalog.Rules {
		return catalog.Rules{Groups: []catalog.Group{{Name: "all", Settings: s}}}
	}
	for _, c := range []struct {
		name string
		cat  catalog.Catalog
		want Answer
		next string
	}{
		{"the site's default at once", catalog.Catalog{Defaults: catalog.Defaults{System: "local"}}, Answer{Disk: true, Why: "it is the default of the site"}, ""},
		{"a menu is shown", catalog.Catalog{Defaults: catalog.Defaults{System: "local", Timeout: 5}}, Answer{}, ""},
		{"a person is waited for", catalog.Catalog{Defaults: catalog.Defaults{System: "local", Timeout: -1}}, Answer{}, ""},
		{"another default", catalog.Catalog{Defaults: catalog.Defaults{System: "debian"}}, Answer{}, ""},
		{"hidden", catalog.Catalog{Defaults: catalog.Defaults{Timeout: 5}, Rules: group(catalog.Settings{Default: pointer("local"), Menu: catalog.MenuHidden})},
			Answer{Disk: true, Wait: 5, Why: "it is the default of group all"}, ""},
		{"the group's next", catalog.Catalog{Defaults: catalog.Defaults{Timeout: 5}, Rules: group(catalog.Settings{Next: "local"})},
			Answer{Disk: true, Why: "group all"}, ""},
		{"somebody wants the menu", catalog.Catalog{Defaults: catalog.Defaults{System: "local"}, Rules: catalog.Rules{Next: []catalog.Next{{ID: "a", MAC: mac, What: "menu"}}}},
			Answer{Why: "seeder next"}, "a"},
		{"for a group that is not known", catalog.Catalog{Defaults: catalog.Defaults{System: "local"}, Rules: catalog.Rules{Groups: []catalog.Group{
			{Name: "big", Match: catalog.Match{Memory: &catalog.MemoryBound{Op: ">=", Bytes: 8 << 30}}}, {Name: "all"}}}}, Answer{}, ""},
		{"for the machine, in a group that is not known", catalog.Catalog{Rules: catalog.Rules{
			Groups: []catalog.Group{{Name: "big", Match: catalog.Match{Memory: &catalog.MemoryBound{Op: ">=", Bytes: 8 << 30}}}},
			Next:   []catalog.Next{{ID: "b", MAC: mac, What: "local", Once: true}}}}, Answer{Disk: true, Why: "seeder next"}, "b"},
		{"once, and done", catalog.Catalog{Rules: catalog.Rules{Next: []catalog.Next{{ID: "b", MAC: mac, What: "local", Once: true, Done: []string{mac}}}}}, Answer{}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, next := Early(&c.cat, rules.Facts{MAC: mac, Addr: addr})
			if got != c.want || next != c.next {
				t.Errorf("%+v, %q; want %+v, %q", got, next, c.want, c.next)
			}
		})
	}
}

// book is one whose machine has the address addr.
func book(cat *catalog.Catalog, done func(id, mac string)) *Book {
	return New(Config{Log: slog.New(slog.DiscardHandler), Catalog: func() *catalog.Catalog { return cat }, Done: done, Now: time.Now,
		Has: func(m string, a netip.Addr) bool { return m == mac && a == addr }})
}

func TestWish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := book(&catalog.Catalog{}, nil)
		facts := rules.Facts{MAC: mac}
		if b.Possible() || b.Ask(facts).Disk {
			t.Error("without a wish the machine is sent to its disk")
		}
		if err := b.Wish(mac, netip.MustParseAddr("10.0.0.6")); err == nil || !strings.Contains(err.Error(), "10.0.0.6") {
			t.Errorf("a wish from another address: %v", err)
		}
		wish := func() {
			t.Helper()
			if err := b.Wish(mac, addr); err != nil {
				t.Fatal(err)
			}
		}
		wish()
		if !b.Possible() || b.Ask(rules.Facts{MAC: "52:54:00:00:00:02"}).Disk || !b.Ask(facts).Disk {
			t.Error("a wish is not followed, or for another machine")
		}
		if b.Ask(facts).Disk {
			t.Error("a wish is followed twice")
		}
		wish()
		time.Sleep(wishTime)
		if b.Ask(facts).Disk {
			t.Error("a wish is followed when it is over")
		}
	})
}

// A machine that comes back at once did not come to its disk: it gets phase 1, which can say why.
func TestComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := book(&catalog.Catalog{Defaults: catalog.Defaults{System: "local"}}, nil)
		var got []bool
		for range 3 {
			got = append(got, b.Ask(rules.Facts{MAC: mac}).Disk)
			time.Sleep(again * 2 / 3)
		}
		if !got[0] || got[1] || !got[2] {
			t.Errorf("sent to its disk: %v, want at first, not after 40 s, and again after 80 s", got)
		}
	})
}

func TestDone(t *testing.T) {
	var done []string
	cat := &catalog.Catalog{Rules: catalog.Rules{Next: []catalog.Next{{ID: "x", MAC: mac, What: "local", Once: true}}}}
	b := book(cat, func(id, mac string) { done = append(done, id+" "+mac) })
	if !b.Possible() || !b.Ask(rules.Facts{MAC: mac}).Disk || len(done) != 1 || done[0] != "x "+mac {
		t.Errorf("told %q, want x once", done)
	}
}

func TestHandler(t *testing.T) {
	b := book(&catalog.Catalog{}, nil)
	for _, c := range []struct {
		method, from, body string
		code               int
	}{
		{"GET", "10.0.0.5:1", "", http.StatusMethodNotAllowed},
		{"POST", "10.0.0.5:1", "{", http.StatusBadRequest},
		{"POST", "10.0.0.5:1", `{"mac":"nonsense"}`, http.StatusBadRequest},
		{"POST", "10.0.0.5:1", `{"mac":"` + strings.Repeat("5", 2000) + `"}`, http.StatusBadRequest},
		{"POST", "10.0.0.9:1", `{"mac":"52:54:00:00:00:01"}`, http.StatusForbidden},
		{"POST", "[::ffff:10.0.0.5]:1", `{"mac":"52-54-00-00-00-01"}`, http.StatusNoContent},
	} {
		r := httptest.NewRequest(c.method, catalog.PathLocal, strings.NewReader(c.body))
		r.RemoteAddr = c.from
		w := httptest.NewRecorder()
		b.Handler().ServeHTTP(w, r)
		if w.Code != c.code {
			t.Errorf("%s %.60s from %s: %d %s, want %d", c.method, c.body, c.from, w.Code, w.Body, c.code)
		}
	}
	if !b.Ask(rules.Facts{MAC: mac}).Disk {
		t.Error("the wish is not followed")
	}
}

func TestNeighbour(t *testing.T) {
	file := filepath.Join(t.TempDir(), "arp")
	text := "IP address       HW type     Flags       HW address            Mask     Device\n" +
		"10.0.0.5         0x1         0x2         52:54:00:00:00:01     *        br0\n" +
		"10.0.0.6         0x1         0x0         00:00:00:00:00:00     *        br0\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for a, want := range map[string]string{"10.0.0.5": mac, "10.0.0.6": "", "10.0.0.55": ""} {
		if got := neighbour(file, netip.MustParseAddr(a)); got != want {
			t.Errorf("%s is %q, want %q", a, got, want)
		}
	}
}
