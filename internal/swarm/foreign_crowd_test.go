package swarm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/boottorrent/boottorrent/internal/swarm/pick"
)

// recorder keeps what goes over the connections of some engines.
type recorder struct {
	mu    sync.Mutex
	conns []*recordedConn
}

type recordedConn struct {
	net.Conn
	mu             sync.Mutex
	hello, written []byte
}

func (r *recorder) wire(c net.Conn) net.Conn {
	recorded := &recordedConn{Conn: c}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns = append(r.conns, recorded)
	return recorded
}

func (c *recordedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hello = append(c.hello, p[:min(n, helloLen-len(c.hello))]...)
	return n, err
}

func (c *recordedConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	c.written = append(c.written, p...)
	c.mu.Unlock()
	return c.Conn.Write(p)
}

// requests returns how many requests went to foreign clients and to our own kind, and the largest of each.
func (r *recorder) requests() (foreign, own struct{ count, largest int }) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		c.mu.Lock()
		if len(c.hello) == helloLen && len(c.written) >= helloLen {
			to := &own
			if !strings.HasPrefix(string(c.hello[helloLen-20:]), clientID) {
				to = &foreign
			}
			for m := c.written[helloLen:]; len(m) >= 5 && len(m)-4 >= int(binary.BigEndian.Uint32(m)); m = m[4+binary.BigEndian.Uint32(m):] {
				if binary.BigEndian.Uint32(m) == requestLen-4 && m[4] == msgRequest {
					to.count++
					to.largest = max(to.largest, int(binary.BigEndian.Uint32(m[13:])))
				}
			}
		}
		c.mu.Unlock()
	}
	return foreign, own
}

// TestBothKindsShare has nodes and foreign clients fetch at once from a slow seeder. All become complete, and only nodes are asked for
// more than a block at a time.
func TestBothKindsShare(t *testing.T) {
	t.Parallel()
	s := newSample(t, 256<<10, 1000, 6<<20+17)
	seeder := newSeeder(t, s, Config{UploadLimit: 4 << 20})
	var seen recorder
	tracker := newTracker(t, seeder.addrPort())
	var folders []string
	for i, c := range []foreignClient{aria2Client(), libtorrentClient("none")} {
		host := netip.AddrFrom4([4]byte{127, 0, 0, byte(180 + i)})
		at, dir := c.start(t, s, host.String(), false, tracker.url(), seeder.addrPort())
		tracker.add(at)
		folders = append(folders, dir)
	}
	var nodes errgroup.Group
	for i := range 3 {
		node, dir := newEngine(t, netip.AddrFrom4([4]byte{127, 0, 0, byte(185 + i)}).String(), Config{Seeders: knownSeeders(), wire: seen.wire}), t.TempDir()
		src := s.source(dir)
		src.Trackers = []string{tracker.url()}
		folders = append(folders, dir)
		nodes.Go(func() error { return node.Fetch(t.Context(), src, nil) })
	}
	if err := nodes.Wait(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "all that the foreign clients fetch", func() bool { return s.isIn(folders[0]) && s.isIn(folders[1]) })
	for _, dir := range folders {
		s.checkFiles(t, dir)
	}
	foreign, own := seen.requests()
	if foreign.count == 0 || foreign.largest > pick.BlockSize || own.largest != int(pick.RequestSize(256<<10)) {
		t.Errorf("requests to foreign clients %+v, want some of %d bytes at most; to our own kind %+v", foreign, pick.BlockSize, own)
	}
}

// isIn reports whether the sample's files are in a folder, whole.
func (s *sampleSystem) isIn(dir string) bool {
	for name, want := range s.data {
		if got, err := os.ReadFile(filepath.Join(dir, "demo", name)); errors.Is(err, os.ErrNotExist) || !bytes.Equal(got, want) {
			return false
		}
	}
	return true
}
