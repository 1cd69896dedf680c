package swarm

import (
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/swarm/lsd"
)

// newSubnet gives the test's own namespace a card eth0 whose link is up, with these addresses in one subnet.
func newSubnet(t *testing.T, addrs ...string) {
	t.Helper()
	lines := []string{"link set lo up", "link add eth0 type veth peer name sw0", "link set eth0 up", "link set sw0 up"}
	for _, a := range addrs {
		lines = append(lines, "address add "+a+"/24 dev eth0")
	}
	for _, words := range lines {
		if out, err := exec.Command(need.Command(t, "ip", "iproute2"), strings.Fields(words)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v\n%s", words, err, out)
		}
	}
}

// deadTracker is a tracker where nobody listens.
const deadTracker = "http://127.0.0.1:1/announce"

func newLocal(t *testing.T, addr string) *Engine {
	t.Helper()
	return newEngine(t, addr, Config{Seeders: knownSeeders(), Local: true})
}

// The seeder is switched off: a node gets all from one that gives away, and one that begins later from both.
func TestNodesFindEachOtherWithoutATracker(t *testing.T) {
	if !need.OwnNamespaces(t) {
		return
	}
	newSubnet(t, "10.9.0.1", "10.9.0.2", "10.9.0.3")
	s := newSample(t, 64<<10, 300_000, 1_000_000)
	giver := newLocal(t, "10.9.0.1")
	if _, err := giver.Give(s.torrent, s.openFiles(t), []string{deadTracker}); err != nil {
		t.Fatal(err)
	}
	web := newWebServer(t, s)
	dead := web.base(s)
	web.Close()
	for _, addr := range []string{"10.9.0.2", "10.9.0.3"} {
		dir := t.TempDir()
		src := s.source(dir)
		src.Trackers, src.WebSeeds, src.StallAfter = []string{deadTracker}, []string{dead}, time.Millisecond
		if err := newLocal(t, addr).Fetch(t.Context(), src, nil); err != nil {
			t.Fatalf("%s: %v", addr, err)
		}
		s.checkFiles(t, dir)
	}
}

// Two nodes of which each has what the other lacks find each other, by whichever searches.
func TestLocalSearchIsHeardByFetchers(t *testing.T) {
	if !need.OwnNamespaces(t) {
		return
	}
	newSubnet(t, "10.9.0.1", "10.9.0.2")
	s := newSample(t, 64<<10, 1_000_000)
	first := newLocal(t, "10.9.0.1")
	dir := t.TempDir()
	fetched := make(chan error, 1)
	go func() {
		src := s.source(dir)
		src.Trackers = []string{deadTracker}
		fetched <- first.Fetch(t.Context(), src, nil)
	}()
	waitFor(t, "the first node searches", func() bool {
		f := first.entry(s.system.InfoHash)
		return f != nil && f.told.silent(time.Now(), time.Now())
	})
	second := newLocal(t, "10.9.0.2")
	if _, err := second.Give(s.torrent, s.openFiles(t), []string{deadTracker}); err != nil {
		t.Fatal(err)
	}
	if err := <-fetched; err != nil { // by the second's own search: the first's was before it
		t.Fatal(err)
	}
	s.checkFiles(t, dir)
}

// A room with its seeder hears no search, and one without it no more than one at a time.
func TestWhoSearches(t *testing.T) {
	if !need.OwnNamespaces(t) {
		return
	}
	newSubnet(t, "10.9.0.1", "10.9.0.2", "10.9.0.3")
	s := newSample(t, 64<<10, 300_000)
	heard, err := lsd.Listen(netip.MustParseAddr("10.9.0.3"))
	if err != nil {
		t.Fatal(err)
	}
	searches := make(chan netip.Addr, 100)
	go func() {
		for {
			_, from, err := heard.Receive()
			if err != nil {
				close(searches)
				return
			}
			searches <- from
		}
	}()
	quiet := newLocal(t, "10.9.0.1")
	tracker := newTracker(t)
	if _, err := quiet.Give(s.torrent, s.openFiles(t), []string{tracker.url(), deadTracker}); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the tracker hears of it", func() bool {
		tracker.mu.Lock()
		defer tracker.mu.Unlock()
		return len(tracker.peers) == 1
	})
	searching := newLocal(t, "10.9.0.2")
	if _, err := searching.Give(s.torrent, s.openFiles(t), []string{deadTracker}); err != nil {
		t.Fatal(err)
	}
	if from := <-searches; from.String() != "10.9.0.2" {
		t.Errorf("%s searches, although a tracker answers", from)
	}
	f := searching.entry(s.system.InfoHash)
	if f.searchPause() != giveTime {
		t.Errorf("who has everything searches every %s", f.searchPause())
	}
	time.Sleep(3 * searchTick) // time in which none may come
	if err := heard.Close(); err != nil {
		t.Fatal(err)
	}
	for from := range searches {
		t.Errorf("another search, of %s", from)
	}
}

// What comes from another subnet, or can't be read, is not followed.
func TestSearchesOfOthersAreDropped(t *testing.T) {
	if !need.OwnNamespaces(t) {
		return
	}
	newSubnet(t, "10.9.0.1", "10.9.0.2", "10.8.0.1")
	heard, err := lsd.Listen(netip.MustParseAddr("10.9.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	defer heard.Close()
	var senders []*lsd.Conn
	for _, a := range []string{"10.8.0.1", "10.9.0.2"} {
		c, err := lsd.Listen(netip.MustParseAddr(a))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		senders = append(senders, c)
	}
	raw, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(10, 9, 0, 2)}, net.UDPAddrFromAddrPort(lsd.Group))
	if err == nil {
		_, err = raw.Write([]byte("M-SEARCH * HTTP/1.1\r\n\r\n"))
		raw.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	s := lsd.Search{Port: 1, Cookie: "x"}
	s.InfoHashes = append(s.InfoHashes, newSample(t, 64<<10, 1000).system.InfoHash)
	for _, c := range senders {
		if err := c.Send(s); err != nil {
			t.Fatal(err)
		}
	}
	got, from, err := heard.Receive()
	if err != nil || from.String() != "10.9.0.2" || got.Port != 1 {
		t.Errorf("%+v from %s, %v", got, from, err)
	}
	if _, err := lsd.Listen(netip.MustParseAddr("10.7.0.1")); err == nil {
		t.Error("it takes part with an address that this machine hasn't got")
	}
}
