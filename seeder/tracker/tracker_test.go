package tracker

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// torrent has bytes that break careless parsers of queries: NUL, space, plus, percent, ampersand, equals, high ones.
var torrent = catalog.InfoHash{0, ' ', '+', '%', '&', '=', ';', '#', 0xff, 0x80, '\n', 11, 12, 13, 14, 15, 16, 17, 18, 19}

var seed = netip.MustParseAddrPort("10.0.0.1:6881")

// room is a tracker with one torrent, a seed and a clock that stands still.
type room struct {
	*Tracker
	now time.Time
}

func newRoom() *room {
	r := &room{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	r.Tracker = New(Config{
		Now: func() time.Time { return r.now },
		Seeds: func(local netip.Addr) netip.AddrPort {
			if !local.IsValid() {
				return netip.AddrPort{}
			}
			return netip.AddrPortFrom(local, seed.Port())
		},
	})
	r.SetTorrents([]catalog.InfoHash{torrent})
	return r
}

func query(h catalog.InfoHash, more string) string {
	return "info_hash=" + url.QueryEscape(string(h[:])) + more
}

// get makes a request from an address to 10.0.0.1 and decodes the answer.
func get(t testing.TB, h http.Handler, from, query string) dict {
	t.Helper()
	r := httptest.NewRequest("GET", "/x", nil)
	r.URL.RawQuery = query
	r.RemoteAddr = from
	local := net.TCPAddrFromAddrPort(netip.MustParseAddrPort("10.0.0.1:8080"))
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	v, rest, err := bdecode(w.Body.String())
	d, ok := v.(dict)
	if err != nil || rest != "" || !ok || w.Code != 200 {
		t.Fatalf("answer %d %q: %v", w.Code, w.Body, err)
	}
	return d
}

// announce is node number n's, with the peer ID "node…n" and port 6881.
func (r *room) node(t testing.TB, n int, more string) dict {
	t.Helper()
	return get(t, r.Announce(), fmt.Sprintf("10.0.%d.%d:4000", 1+n/250, n%250),
		query(torrent, fmt.Sprintf("&peer_id=node%016d&port=6881&left=100%s", n, more)))
}

// compact decodes BEP 23's string.
func compact(t testing.TB, d dict) (peers []string) {
	t.Helper()
	s, ok := d["peers"].(string)
	if !ok || len(s)%6 != 0 {
		t.Fatalf("no compact peers in %v", d)
	}
	for ; s != ""; s = s[6:] {
		ip := netip.AddrFrom4([4]byte([]byte(s[:4])))
		peers = append(peers, netip.AddrPortFrom(ip, binary.BigEndian.Uint16([]byte(s[4:6]))).String())
	}
	return peers
}

func TestAnnounceTellsOfOthers(t *testing.T) {
	r := newRoom()
	if got, want := compact(t, r.node(t, 1, "&event=started")), []string{seed.String()}; !slices.Equal(got, want) {
		t.Errorf("the first learns of %v, want %v", got, want)
	}
	if got, want := compact(t, r.node(t, 2, "")), []string{seed.String(), "10.0.1.1:6881"}; !slices.Equal(got, want) {
		t.Errorf("the second learns of %v, want %v", got, want)
	}
	d := r.node(t, 1, "&left=0&event=completed") // the first "left" counts: still 100
	if d["complete"] != 2 || d["incomplete"] != 1 || d["interval"] != 5 || d["min interval"] != 2 {
		t.Errorf("counts and intervals in %v", d)
	}
	if got, want := compact(t, d), []string{"10.0.1.2:6881"}; !slices.Equal(got, want) {
		t.Errorf("a complete peer learns of %v, want %v", got, want)
	}
	r.node(t, 2, "&event=completed")
	if got := compact(t, r.node(t, 2, "&event=completed")); len(got) != 0 {
		t.Errorf("a complete peer learns of other complete ones: %v", got)
	}
	if got := compact(t, r.node(t, 3, "")); len(got) != 3 || got[0] != seed.String() {
		t.Errorf("an incomplete peer learns of %v, want the seed first and both complete ones", got)
	}
	if got := compact(t, r.node(t, 1, "&event=stopped")); len(got) != 0 {
		t.Errorf("a leaving peer gets %v", got)
	}
	if c, i := r.Swarm(torrent); c != 1 || i != 1 {
		t.Errorf("Swarm = %d, %d, want 1, 1", c, i)
	}
}

func TestPeersAreForgotten(t *testing.T) {
	r := newRoom()
	r.node(t, 1, "")
	r.now = r.now.Add(10 * time.Second)
	r.node(t, 2, "")
	r.now = r.now.Add(5*time.Second + time.Millisecond)
	if got := compact(t, r.node(t, 3, "")); slices.Contains(got, "10.0.1.1:6881") || !slices.Contains(got, "10.0.1.2:6881") {
		t.Errorf("after 15 s of the first one's silence: %v", got)
	}
	r.now = r.now.Add(time.Hour)
	if c, i := r.Swarm(torrent); c != 0 || i != 0 {
		t.Errorf("after an hour Swarm = %d, %d", c, i)
	}
}

func TestNumwant(t *testing.T) {
	r := newRoom()
	for n := range 300 {
		r.node(t, n, "")
	}
	for more, want := range map[string]int{
		"": 50, "&numwant=0": 0, "&numwant=1": 1, "&numwant=7": 7, "&numwant=-1": 50, "&numwant=x": 50, "&numwant=99999": 200,
	} {
		got := compact(t, r.node(t, 5, more))
		if len(got) != want {
			t.Errorf("%q: %d peers, want %d", more, len(got), want)
		}
		if want > 0 && got[0] != seed.String() {
			t.Errorf("%q: the seed is not first of %v", more, got)
		}
		slices.Sort(got)
		if len(slices.Compact(got)) != want || slices.Contains(got, "10.0.1.5:6881") {
			t.Errorf("%q: a peer twice, or itself: %v", more, got)
		}
	}
}

// Over many announces everyone must be told of: a swarm of which some part is never told falls apart.
func TestChoiceReachesEveryone(t *testing.T) {
	r := newRoom()
	for n := range 40 {
		r.node(t, n, map[bool]string{true: "&event=completed"}[n%2 == 0])
	}
	seen := map[string]int{}
	for range 400 {
		for _, p := range compact(t, r.node(t, 99, "&numwant=11")) {
			seen[p]++
		}
	}
	if len(seen) != 41 {
		t.Errorf("told of %d of 41 peers", len(seen))
	}
	delete(seen, seed.String())
	for p, n := range seen { // 100 expected; 50 is over five standard deviations away
		if n < 50 || n > 150 {
			t.Errorf("%s was told of %d times, want about 100", p, n)
		}
	}
}

func TestDictionaryForm(t *testing.T) {
	r := newRoom()
	r.node(t, 1, "")
	want := []any{
		dict{"ip": "10.0.0.1", "port": 6881},
		dict{"ip": "10.0.1.1", "port": 6881, "peer id": "node0000000000000001"},
	}
	if got := r.node(t, 2, "&compact=0")["peers"]; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("peers %v, want %v", got, want)
	}
	delete(want[1].(dict), "peer id")
	if got := r.node(t, 2, "&compact=0&no_peer_id=1")["peers"]; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("with no_peer_id: %v, want %v", got, want)
	}
}

func TestWhoIsTold(t *testing.T) {
	announce := func(more string) string { return query(torrent, "&left=1"+more) }
	for name, c := range map[string]struct {
		from, query string
		// told is what another node learns of it.
		told []string
	}{
		"the ip parameter is ignored":    {"10.0.9.9:1", announce("&peer_id=12345678901234567890&port=99&ip=6.6.6.6"), []string{"10.0.9.9:99"}},
		"IPv4 in IPv6":                   {"[::ffff:10.0.9.9]:1", announce("&peer_id=12345678901234567890&port=99"), []string{"10.0.9.9:99"}},
		"IPv6 is answered, not told":     {"[fe80::1%eth0]:1", announce("&peer_id=12345678901234567890&port=99"), nil},
		"the seed's own announce":        {"10.0.0.1:1", announce("&peer_id=12345678901234567890&port=6881"), nil},
		"loopback is of no use to nodes": {"127.0.0.1:1", announce("&peer_id=12345678901234567890&port=99"), nil},
		"the same peer by another card":  {"10.0.9.9:1", announce("&peer_id=node0000000000000007&port=99"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoom()
			if d := get(t, r.Announce(), c.from, c.query); d["failure reason"] != nil {
				t.Fatalf("refused: %v", d)
			}
			want := append([]string{seed.String()}, c.told...)
			if got := compact(t, r.node(t, 7, "")); !slices.Equal(got, want) {
				t.Errorf("told of %v, want %v", got, want)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	good := query(torrent, "&peer_id=12345678901234567890&port=99&left=0")
	for name, c := range map[string]struct{ from, query, want string }{
		"nothing":         {"10.0.9.9:1", "", "info_hash"},
		"hex info_hash":   {"10.0.9.9:1", "info_hash=" + torrent.String(), "percent-encoded"},
		"bad escape":      {"10.0.9.9:1", "info_hash=%zz", "info_hash"},
		"other torrent":   {"10.0.9.9:1", query(catalog.InfoHash{1}, "&peer_id=12345678901234567890&port=99"), "not one of this site's"},
		"short peer_id":   {"10.0.9.9:1", query(torrent, "&peer_id=1&port=99"), "peer_id"},
		"no port":         {"10.0.9.9:1", query(torrent, "&peer_id=12345678901234567890"), "port"},
		"port 0":          {"10.0.9.9:1", query(torrent, "&peer_id=12345678901234567890&port=0"), "port"},
		"port 65536":      {"10.0.9.9:1", query(torrent, "&peer_id=12345678901234567890&port=65536"), "port"},
		"unknown address": {"@", good, "address"},
	} {
		t.Run(name, func(t *testing.T) {
			d := get(t, newRoom().Announce(), c.from, c.query)
			if reason, _ := d["failure reason"].(string); !strings.Contains(reason, c.want) || len(d) != 1 {
				t.Errorf("answer %v, want a failure reason with %q", d, c.want)
			}
		})
	}
}

func TestScrape(t *testing.T) {
	r := newRoom()
	other := catalog.InfoHash{7}
	r.SetTorrents([]catalog.InfoHash{torrent, other})
	r.node(t, 1, "")
	r.node(t, 2, "")
	r.node(t, 2, "&event=completed")
	r.node(t, 2, "&event=completed")
	mine := dict{"complete": 2, "incomplete": 1, "downloaded": 1}
	others := dict{"complete": 1, "incomplete": 0, "downloaded": 0}
	for name, c := range map[string]struct {
		query string
		want  dict
	}{
		"one":                {query(torrent, ""), dict{string(torrent[:]): mine}},
		"two and an unknown": {query(torrent, "&") + query(other, "&") + query(catalog.InfoHash{9}, ""), dict{string(torrent[:]): mine, string(other[:]): others}},
		"all":                {"", dict{string(torrent[:]): mine, string(other[:]): others}},
	} {
		if got := get(t, r.Scrape(), "10.0.9.9:1", c.query)["files"]; fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if d := get(t, r.Scrape(), "10.0.9.9:1", "info_hash=short"); d["failure reason"] == nil {
		t.Errorf("short info_hash: %v", d)
	}
}

func TestSetTorrents(t *testing.T) {
	r := newRoom()
	r.node(t, 1, "")
	r.SetTorrents([]catalog.InfoHash{torrent, {1}})
	if _, i := r.Swarm(torrent); i != 1 {
		t.Errorf("a torrent that stays lost its peers")
	}
	r.SetTorrents([]catalog.InfoHash{{1}})
	if d := r.node(t, 1, ""); d["failure reason"] == nil {
		t.Errorf("a dropped torrent is answered: %v", d)
	}
	if _, i := r.Swarm(torrent); i != 0 {
		t.Errorf("a dropped torrent has peers")
	}
}

func TestManyAtOnce(t *testing.T) {
	r := newRoom()
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for n := range 500 {
				r.node(t, worker*500+n, "&event="+[]string{"started", "completed", "stopped", ""}[n%4])
				r.Swarm(torrent)
			}
		})
	}
	wg.Wait()
	if c, i := r.Swarm(torrent); c != 500 || i != 1000 {
		t.Errorf("Swarm = %d, %d, want 500, 1000", c, i)
	}
}

func BenchmarkAnnounce10kPeers(b *testing.B) {
	r := newRoom()
	for n := range 10_000 {
		r.node(b, n, "")
	}
	b.ResetTimer()
	for n := range b.N {
		r.node(b, n%10_000, "")
	}
}

func FuzzAnnounce(f *testing.F) {
	f.Add("10.0.9.9:1", query(torrent, "&peer_id=12345678901234567890&port=99&left=0"))
	f.Add("[::1]:1", query(torrent, "&peer_id=12345678901234567890&port=99&compact=0&numwant=3"))
	f.Add("", "info_hash=%&;&+=%00&port="+strconv.Itoa(1<<20))
	f.Fuzz(func(t *testing.T, from, query string) {
		r := newRoom()
		r.node(t, 1, "")
		// get fails on an answer that isn't a well-formed dictionary.
		if d := get(t, r.Announce(), from, query); d["failure reason"] == nil {
			if _, ok := d["peers"]; !ok {
				t.Errorf("neither peers nor a reason in %v", d)
			}
		}
		get(t, r.Scrape(), from, query)
	})
}
