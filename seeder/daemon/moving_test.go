package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/internal/swarm"
)

// setAddress makes room0 an interface that has this address and no other.
func setAddress(t *testing.T, text string) {
	t.Helper()
	link, err := netlink.LinkByName("room0")
	if err != nil {
		must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "room0"}, PeerName: "room1"}))
		link, err = netlink.LinkByName("room0")
		must(t, err)
	}
	old, err := netlink.AddrList(link, netlink.FAMILY_V4)
	must(t, err)
	for _, a := range old {
		must(t, netlink.AddrDel(link, &a))
	}
	if text != "" {
		addr, err := netlink.ParseAddr(text + "/24")
		must(t, err)
		must(t, netlink.AddrAdd(link, addr))
	}
	must(t, netlink.LinkSetUp(link))
}

// Strangers that open connections to the seed and say nothing neither use up the descriptors nor keep a node from it.
func TestSilentPeers(t *testing.T) {
	need.Descriptors(t, 3*torrentConnections())
	s := newSite(t)
	r := start(t, s)
	seed := fmt.Sprintf("127.0.0.1:%d", s.Ports.Torrent)
	silent := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	var first net.Conn
	for n := range torrentConnections() + 100 {
		conn, err := silent.Dial("tcp4", seed)
		must(t, err)
		defer conn.Close()
		if n == 0 {
			first = conn
		}
	}
	must(t, first.SetReadDeadline(time.Now().Add(need.Patience)))
	if _, err := first.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the oldest silent connection: %v, want it closed", err)
	}
	sys := r.catalog().Systems[0]
	engine, err := swarm.New(swarm.Config{Listen: netip.MustParseAddrPort("127.0.0.3:0")})
	must(t, err)
	defer engine.Close()
	var files catalog.FileList
	must(t, json.Unmarshal(r.get(catalog.FileListPath(sys.InfoHash)), &files))
	ctx, cancel := context.WithTimeout(t.Context(), need.Patience)
	defer cancel()
	must(t, engine.Fetch(ctx, swarm.Source{
		Torrent: r.get(catalog.TorrentPath(sys.InfoHash)), System: sys, Files: files, Dir: t.TempDir(), Peers: []netip.AddrPort{netip.MustParseAddrPort(seed)},
	}, nil))
}

// An interface that loses its address, gets another one, or is plugged in again is served where it is then.
func TestInterfaceMoves(t *testing.T) {
	need.Root(t)
	if !inOwnNetwork(t) {
		return
	}
	lo, err := netlink.LinkByName("lo")
	must(t, err)
	must(t, netlink.LinkSetUp(lo))
	setAddress(t, "10.98.0.1")
	s := newSiteAt(t, "10.98.0.1")
	ports := s.Ports
	config := fmt.Sprintf("version: 1\nname: room\nserve: {interfaces: [room0]}\ndhcp: {mode: proxy}\nports: {http: %d, tftp: 69, torrent: %d}\n",
		ports.HTTP, ports.Torrent)
	must(t, os.WriteFile(filepath.Join(s.Dir, site.ConfigFile), []byte(config), 0o644))
	s, problems := site.Load(s.Dir)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	r := start(t, s)
	served := func(at string) {
		t.Helper()
		r.base = fmt.Sprintf("http://%s:%d", at, ports.HTTP)
		r.await("a catalog that names "+at, func(c *catalog.Catalog) bool {
			return len(c.HTTP) == 1 && c.HTTP[0] == r.base && strings.HasPrefix(c.Trackers[0], r.base+"/")
		})
		conn, err := net.DialTimeout("tcp4", fmt.Sprintf("%s:%d", at, ports.Torrent), 5*time.Second)
		must(t, err)
		conn.Close()
		conn, err = net.Dial("udp4", at+":69")
		must(t, err)
		defer conn.Close()
		_, err = conn.Write([]byte("\x00\x02no writing\x00octet\x00"))
		must(t, err)
		must(t, conn.SetReadDeadline(time.Now().Add(need.Patience)))
		if _, err := conn.Read(make([]byte, 600)); err != nil {
			t.Errorf("TFTP at %s: %v", at, err)
		}
	}
	served("10.98.0.1")
	setAddress(t, "") // the cable is out
	setAddress(t, "10.98.0.1")
	served("10.98.0.1")
	setAddress(t, "10.98.0.2")
	r.awaitLog("DHCP service listens", "interface=room0 addr=10.98.0.2")
	r.awaitLog("has another address", "10.98.0.2")
	served("10.98.0.2")
	if conn, err := net.DialTimeout("tcp4", fmt.Sprintf("10.98.0.1:%d", ports.HTTP), time.Second); err == nil {
		conn.Close()
		t.Error("the old address is served")
	}
	link, err := netlink.LinkByName("room0")
	must(t, err)
	must(t, netlink.LinkDel(link))
	setAddress(t, "10.98.0.3")
	r.awaitLog("DHCP service listens", "interface=room0 addr=10.98.0.3")
	r.awaitLog("has another address", "10.98.0.3")
	served("10.98.0.3")
}
