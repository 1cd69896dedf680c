package node

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/boot"
	"github.com/boottorrent/boottorrent/initramfs/network"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/swarm"
)

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestForget(t *testing.T) {
	n, _ := newNode(t, "")
	current, other := kexec("current"), kexec("other")
	current.InfoHash, other.InfoHash = catalog.InfoHash{1}, catalog.InfoHash{2}
	if err := n.download.forget(current); err != nil {
		t.Errorf("with nothing fetched yet: %v", err)
	}
	write(t, filepath.Join(n.Folder(current), "vmlinuz"), []byte("kernel"))
	write(t, filepath.Join(n.Folder(other), "vmlinuz"), []byte("kernel"))
	write(t, filepath.Join(n.Systems, "stray"), []byte("x"))
	if err := n.download.forget(current); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(n.Systems)
	if err != nil || len(left) != 1 || left[0].Name() != current.InfoHash.String() {
		t.Errorf("left are %v, %v", left, err)
	}
	if _, err := os.Stat(filepath.Join(n.Folder(current), "vmlinuz")); err != nil {
		t.Errorf("the current system was touched: %v", err)
	}
}

func TestOnDisk(t *testing.T) {
	dir := t.TempDir()
	if got, inodes := onDisk(filepath.Join(dir, "missing")); got != 0 || inodes != 0 {
		t.Errorf("of nothing: %d, %d", got, inodes)
	}
	write(t, filepath.Join(dir, "a", "full"), make([]byte, 64<<10))
	holes := filepath.Join(dir, "a", "holes")
	write(t, holes, nil)
	if err := os.Truncate(holes, 1<<30); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("full", filepath.Join(dir, "a", "link")); err != nil {
		t.Fatal(err)
	}
	if got, inodes := onDisk(dir); got < 64<<10 || got > 128<<10 || inodes != 5 {
		t.Errorf("64 KiB and a hole of 1 GiB, a link and two folders take %d bytes and %d inodes", got, inodes)
	}
}

// seeder offers one system: its torrent and a tracker over HTTP, the pieces by BitTorrent, all at 127.0.0.1.
type seeder struct {
	t      *testing.T
	mux    *http.ServeMux
	engine *swarm.Engine
	system catalog.System
	url    string
	// server is its HTTP side, torrent what that serves.
	server  *httptest.Server
	torrent []byte
}

func newSeeder(t *testing.T) *seeder {
	t.Helper()
	s := bareSeeder(t)
	s.system, s.torrent = s.offer(kexec("tiny"), offered{"vmlinuz", []byte(strings.Repeat("a kernel, for all the swarm knows\n", 5000))})
	return s
}

// offered is a file of a system.
type offered struct {
	path    string
	content []byte
}

// bareSeeder offers nothing yet.
func bareSeeder(t *testing.T) *seeder {
	t.Helper()
	s := &seeder{t: t, mux: http.NewServeMux()}
	var err error
	if s.engine, err = swarm.New(swarm.Config{Listen: netip.MustParseAddrPort("127.0.0.1:0")}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.engine.Close() })
	s.mux.HandleFunc(catalog.PathAnnounce, func(w http.ResponseWriter, _ *http.Request) {
		port := s.engine.Port()
		fmt.Fprintf(w, "d8:intervali60e5:peers6:%se", []byte{127, 0, 0, 1, byte(port >> 8), byte(port)}) // BEP 23
	})
	s.server = httptest.NewServer(s.mux)
	t.Cleanup(s.server.Close)
	s.url = s.server.URL
	return s
}

// offer adds a system of these files, and returns it with its torrent.
func (s *seeder) offer(sys catalog.System, files ...offered) (catalog.System, []byte) {
	s.t.Helper()
	sys.PieceLength = 16 << 10
	var all, pieces []byte
	var list catalog.FileList
	var entries []swarm.FileEntry
	dir := s.t.TempDir()
	for _, f := range files {
		sum := sha256.Sum256(f.content)
		all, list = append(all, f.content...), append(list, catalog.File{Path: f.path, Size: int64(len(f.content)), SHA256: hex.EncodeToString(sum[:])})
		entries = append(entries, swarm.FileEntry{Path: f.path, Size: int64(len(f.content))})
		write(s.t, filepath.Join(dir, sys.Name, f.path), f.content)
	}
	document, err := sys.SetFiles(list)
	if err != nil {
		s.t.Fatal(err)
	}
	for piece := range slices.Chunk(all, int(sys.PieceLength)) {
		sum := sha1.Sum(piece)
		pieces = append(pieces, sum[:]...)
	}
	torrent, hash, err := swarm.EncodeMetainfo(sys.Name, entries, sys.PieceLength, pieces, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.engine.Seed(torrent, dir); err != nil {
		s.t.Fatal(err)
	}
	s.mux.HandleFunc(catalog.TorrentPath(hash), func(w http.ResponseWriter, _ *http.Request) { w.Write(torrent) })
	s.mux.HandleFunc(catalog.FileListPath(hash), func(w http.ResponseWriter, _ *http.Request) { w.Write(document) })
	sys.InfoHash = hash
	return sys, torrent
}

// A system is fetched from the swarm, given away until somebody presses a key, and all of it is reported.
func TestFetchAndSeed(t *testing.T) {
	s := newSeeder(t)
	n, p := newNode(t, s.url)
	n.link.setLease(network.Lease{Interface: "lo", Addr: netip.MustParsePrefix("127.0.0.1/8")})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := n.Fetch(ctx, s.system); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(n.Folder(s.system), "vmlinuz")); err != nil {
		t.Error(err)
	}
	r := n.Report.Snapshot()
	if r.Percent() != 100 || r.FromSeeder < s.system.Size || r.FromNodes != 0 || r.System != "tiny" || r.InfoHash != s.system.InfoHash.String() {
		t.Errorf("report %+v", r)
	}
	p.see("System tiny")

	ended := make(chan error, 1)
	go func() { ended <- n.Seed(t.Context(), s.system, catalog.Seeding{Until: catalog.UntilTime, Limit: 3600}) }()
	p.see("Giving away System tiny")
	p.send(" ")
	if err := result(t, ended); err != nil {
		t.Error(err)
	}
	if err := n.Seed(t.Context(), s.system, catalog.Seeding{}); err != nil {
		t.Errorf("no time to seed: %v", err)
	}

	// The same once more, as after a failed launch: what is there is verified and not fetched again.
	if err := n.Fetch(ctx, s.system); err != nil {
		t.Fatal(err)
	}
	if r := n.Report.Snapshot(); r.Percent() != 100 || r.FromSeeder != 0 {
		t.Errorf("the second time: %+v", r)
	}
	n.download.stopEngine()
	if r := n.Report.Snapshot(); r.Peers != 0 || r.Up != 0 {
		t.Errorf("after the end: %+v", r)
	}
}

func TestFetchOfAStaleCatalog(t *testing.T) {
	s := newSeeder(t)
	n, _ := newNode(t, s.url)
	old := s.system
	old.InfoHash = catalog.InfoHash{1}
	if err := n.Fetch(t.Context(), old); !errors.Is(err, boot.ErrStale) {
		t.Errorf("error %v, want %v", err, boot.ErrStale)
	}
}

// A system of another method or size is refused before any of it is asked for.
func TestFetchRefuses(t *testing.T) {
	n, _ := newNode(t, "http://127.0.0.1:1")
	huge := kexec("huge")
	huge.Size = 1 << 50
	n.download.lists[huge.InfoHash] = catalog.FileList{{Path: "vmlinuz", Size: huge.Size}}
	if err := n.Fetch(t.Context(), huge); err == nil || !strings.Contains(err.Error(), "does not fit into memory") {
		t.Errorf("error %v", err)
	}
	later := kexec("later")
	later.Launch.Method = "hologram"
	if err := n.Fetch(t.Context(), later); err == nil || !strings.Contains(err.Error(), "hologram") {
		t.Errorf("error %v", err)
	}
}

// A cable that is pulled is seen.
func TestLinkLost(t *testing.T) {
	n, _ := newNode(t, "")
	if got := n.link.lost(); got != "" {
		t.Errorf("before there was a lease: %q", got)
	}
	n.link.setLease(network.Lease{Interface: "nosuch0", Addr: netip.MustParsePrefix("10.0.0.7/24"), Duration: time.Hour})
	if got := n.link.lost(); !strings.Contains(got, "nosuch0") || !strings.Contains(got, "cable") {
		t.Errorf("without the interface: %q", got)
	}
}
