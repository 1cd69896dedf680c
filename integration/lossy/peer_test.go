package lossy

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/swarm"
	"github.com/boottorrent/boottorrent/seeder/tracker"
)

// torrentPort and httpPort are the seeder's.
const torrentPort, httpPort = 6881, 8080

// TestMain makes this program the peers of a room as well: they are processes, as each lives in a namespace of its own.
func TestMain(m *testing.M) {
	if len(os.Args) < 2 || os.Args[1] != "peer" {
		os.Exit(m.Run())
	}
	if err := peer(os.Args[2], os.Args[3], os.Args[4], os.Args[5]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// peer seeds or fetches the system that dir describes, at the address own, until it is killed or has everything. A node
// prints the seconds it took, and what came from whom.
func peer(role, own, seeder, dir string) error {
	torrent, err := os.ReadFile(filepath.Join(dir, "torrent"))
	if err != nil {
		return err
	}
	document, err := os.ReadFile(filepath.Join(dir, "system.json"))
	if err != nil {
		return err
	}
	var sys catalog.System
	if err := json.Unmarshal(document, &sys); err != nil {
		return err
	}
	if role == "seed" {
		return seed(netip.MustParseAddr(own), torrent, dir)
	}
	list, err := os.ReadFile(filepath.Join(dir, "files.json"))
	if err != nil {
		return err
	}
	files, err := sys.OpenFiles(list)
	if err != nil {
		return err
	}
	return fetch(netip.MustParseAddr(own), netip.MustParseAddr(seeder), torrent, sys, files)
}

// seed serves the torrent and a tracker. It says when it is ready.
func seed(own netip.Addr, torrent []byte, dir string) error {
	at := netip.AddrPortFrom(own, torrentPort)
	e, err := swarm.New(swarm.Config{Listen: at})
	if err != nil {
		return err
	}
	h, err := e.Seed(torrent, dir)
	if err != nil {
		return err
	}
	track := tracker.New(tracker.Config{Seeds: func(netip.Addr) netip.AddrPort { return at }})
	track.SetTorrents([]catalog.InfoHash{h})
	l, err := net.Listen("tcp4", netip.AddrPortFrom(own, httpPort).String())
	if err != nil {
		return err
	}
	fmt.Println("ready")
	return http.Serve(l, track.Announce())
}

// fetch brings the system into a folder that goes afterwards. The node gives it on until its input ends.
func fetch(own, seeder netip.Addr, torrent []byte, sys catalog.System, files catalog.FileList) error {
	dir, err := os.MkdirTemp("", "lossy")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	e, err := swarm.New(swarm.Config{Listen: netip.AddrPortFrom(own, torrentPort), Seeders: []swarm.Seeder{{Torrent: netip.AddrPortFrom(seeder, 0)}}})
	if err != nil {
		return err
	}
	defer e.Close()
	began := time.Now()
	err = e.Fetch(context.Background(), swarm.Source{
		Torrent: torrent, System: sys, Files: files, Dir: dir,
		Trackers: []string{"http://" + netip.AddrPortFrom(seeder, httpPort).String() + catalog.PathAnnounce},
	}, nil)
	if err != nil {
		return err
	}
	s, _ := e.Stats(sys.InfoHash)
	fmt.Printf("done %.3f %d %d\n", time.Since(began).Seconds(), s.FromSeeder, s.FromNodes)
	_, err = os.Stdin.Read(make([]byte, 1))
	_ = err // its end is what was waited for
	return nil
}
