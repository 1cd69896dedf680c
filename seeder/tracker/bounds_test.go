package tracker

import (
	"fmt"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// from announces from an address with a port and a peer ID made of it.
func (r *room) from(t testing.TB, h catalog.InfoHash, ip string, port int, more string) dict {
	t.Helper()
	return get(t, r.Announce(), ip+":4000", query(h, fmt.Sprintf("&peer_id=%08d%12d&port=%d&left=1%s", len(ip), port, port, more)))
}

// register records a peer without the way over HTTP.
func (r *room) register(h catalog.InfoHash, ip string, port int) {
	r.announce(announce{infoHash: h, peerID: fmt.Sprintf("%20d", port), addr: netip.AddrPortFrom(netip.MustParseAddr(ip), uint16(port))})
}

// One address that registers every port there is fills neither the memory nor the answers of others.
func TestManyPortsOfOneAddress(t *testing.T) {
	r := newRoom()
	for n := range 30 {
		r.node(t, n, "")
	}
	for port := 1; port < 1<<15; port++ {
		r.register(torrent, "10.0.99.99", port)
	}
	if _, incomplete := r.Swarm(torrent); incomplete != 30+maxOfAddress {
		t.Errorf("%d peers are known, want %d", incomplete, 30+maxOfAddress)
	}
	var theirs, real int
	for _, p := range compact(t, r.node(t, 31, "&numwant=200")) {
		if strings.HasPrefix(p, "10.0.99.99:") {
			theirs++
		} else {
			real++
		}
	}
	if theirs != maxTold || real != 31 {
		t.Errorf("an answer has %d of that address and %d others, want %d and 31", theirs, real, maxTold)
	}
}

// The bound is on all torrents together.
func TestManyInfohashesOfOneAddress(t *testing.T) {
	r := newRoom()
	var all []catalog.InfoHash
	for n := range 200 {
		all = append(all, catalog.InfoHash{1, byte(n)})
	}
	r.SetTorrents(all)
	known := func() (n int) {
		for _, h := range all {
			_, incomplete := r.Swarm(h)
			n += incomplete
		}
		return n
	}
	for _, h := range all {
		for port := range 3 {
			r.from(t, h, "10.0.99.99", 100+port, "")
		}
	}
	if n := known(); n != maxOfAddress {
		t.Errorf("%d peers are known, want %d", n, maxOfAddress)
	}
	r.SetTorrents(nil)
	if n := r.known.Len(); n != 0 {
		t.Errorf("%d peers of torrents that are gone are known", n)
	}
}

// A room behind one address gets all answers, and whoever announced last is known.
func TestRoomBehindNAT(t *testing.T) {
	r := newRoom()
	for port := 1; port <= 300; port++ {
		if d := r.from(t, torrent, "10.0.99.99", port, ""); d["failure reason"] != nil || compact(t, d)[0] != seed.String() {
			t.Fatalf("%d: %v", port, d)
		}
	}
	if got := compact(t, r.node(t, 1, "")); len(got) != 1+maxTold {
		t.Errorf("another node is told of %v", got)
	}
}

// However many addresses there are, the tracker's memory has an end.
func TestAllPeersAreBounded(t *testing.T) {
	r := newRoom()
	for n := range maxPeers/maxOfAddress + 10 {
		for port := range maxOfAddress {
			r.register(torrent, fmt.Sprintf("10.1.%d.%d", n>>8, n&255), 1+port)
		}
	}
	if n := r.known.Len(); n != maxPeers {
		t.Errorf("%d peers are known, want %d", n, maxPeers)
	}
	r.node(t, 1, "")
	if _, incomplete := r.Swarm(torrent); incomplete != maxPeers {
		t.Errorf("%d peers are known", incomplete)
	}
	if _, incomplete := r.swarms[torrent].counts(); len(r.swarms[torrent].byAddr) != maxPeers || incomplete != maxPeers {
		t.Error("lists and map differ")
	}
}

// What clients send beside what is needed changes nothing that it should not.
func TestParameters(t *testing.T) {
	for more, want := range map[string]string{ // complete, incomplete, peers in the answer of what is announced
		"&left=0":                           "2 0 0",
		"&left=00":                          "2 0 0",
		"&left=-1":                          "1 1 1",
		"&left=9223372036854775807":         "1 1 1",
		"&left=99999999999999999999999":     "1 1 1",
		"&left=zero":                        "1 1 1",
		"&left=":                            "1 1 1",
		"":                                  "1 1 1",
		"&left=1&event=paused":              "1 1 1",
		"&left=1&event=started&event=x":     "1 1 1",
		"&left=1&event=STOPPED":             "1 1 1",
		"&left=1&event=completed":           "2 0 0",
		"&left=1&event=stopped":             "1 0 0",
		"&left=1&numwant=99999999999999999": "1 1 1",
		"&left=1&numwant=-5":                "1 1 1",
		"&left=1&numwant=0":                 "1 1 0",
		"&left=1&compact=yes&key=%00%ff":    "1 1 1",
		"&left=1&ip=6.6.6.6&ipv6=::1":       "1 1 1",
		"&left=1&uploaded=-1&downloaded=x":  "1 1 1",
		"&left=1;event=stopped":             "1 1 1",
		"&left=1&port=7":                    "1 1 1",
	} {
		r := newRoom()
		d := get(t, r.Announce(), "10.0.9.9:1", query(torrent, "&peer_id=12345678901234567890&port=6881"+more))
		if d["failure reason"] != nil {
			t.Errorf("%s: %v", more, d)
			continue
		}
		if got := fmt.Sprint(d["complete"], " ", d["incomplete"], " ", len(compact(t, d))); got != want {
			t.Errorf("%s: %s, want %s", more, got, want)
		}
		for p := range r.swarms[torrent].byAddr {
			if p.String() != "10.0.9.9:6881" {
				t.Errorf("%s: the peer is %s", more, p)
			}
		}
	}
	for _, method := range []string{"POST", "PUT", "DELETE"} {
		w := httptest.NewRecorder()
		newRoom().Announce().ServeHTTP(w, httptest.NewRequest(method, "/announce", nil))
		if w.Code != 405 {
			t.Errorf("%s: %d", method, w.Code)
		}
	}
}

// A clock that jumps, either way, costs an announce or two and nothing for good.
func TestClockJumps(t *testing.T) {
	for _, jump := range []time.Duration{-365 * 24 * time.Hour, -time.Minute, time.Minute, 365 * 24 * time.Hour} {
		r := newRoom()
		for n := range 20 {
			r.node(t, n, "")
		}
		r.now = r.now.Add(jump)
		for n := range 10 { // the others have gone
			r.node(t, n, "")
		}
		r.now = r.now.Add(r.lifetime() - time.Second)
		if got := len(compact(t, r.node(t, 0, ""))); got != 10 {
			t.Errorf("after a jump of %s a node is told of %d others, want 10", jump, got)
		}
		if _, incomplete := r.Swarm(torrent); incomplete != 10 {
			t.Errorf("after a jump of %s %d nodes are known", jump, incomplete)
		}
	}
}
