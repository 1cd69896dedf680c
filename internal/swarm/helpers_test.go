package swarm

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anacrolix/torrent/bencode"
	"golang.org/x/time/rate"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
)

// TestMain lets more tests run at a time than there are processors: they wait for timers, limits and foreign clients.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	m.Run()
}

// sampleSystem is a system with its files on disk below dir/NAME, its catalog entry and its torrent.
type sampleSystem struct {
	dir     string
	system  catalog.System
	files   catalog.FileList
	torrent []byte
	data    map[string][]byte
}

// newSample makes a system of files with random bytes of the given sizes, in pieces of pieceLength.
func newSample(t testing.TB, pieceLength int64, sizes ...int) *sampleSystem {
	t.Helper()
	names := []string{"vmlinuz", "live/root.squashfs", "initrd 2.img", "empty", "d"}
	random := rand.NewChaCha8([32]byte{1})
	var contents [][]byte
	for _, size := range sizes {
		b := make([]byte, size)
		_, _ = random.Read(b)
		contents = append(contents, b)
	}
	return sampleOf(t, pieceLength, names[:len(sizes)], contents)
}

// sampleOf makes a system of files with these names and contents.
func sampleOf(t testing.TB, pieceLength int64, names []string, contents [][]byte) *sampleSystem {
	t.Helper()
	s := &sampleSystem{dir: t.TempDir(), data: map[string][]byte{}}
	s.system = catalog.System{Name: "demo", PieceLength: pieceLength}
	var entries []FileEntry
	for i, b := range contents {
		sum := sha256.Sum256(b)
		s.files = append(s.files, catalog.File{Path: names[i], Size: int64(len(b)), SHA256: hex.EncodeToString(sum[:])})
		entries = append(entries, FileEntry{names[i], int64(len(b))})
		s.data[names[i]] = b
		writeFile(t, filepath.Join(s.dir, "demo", names[i]), b)
	}
	if _, err := s.system.SetFiles(s.files); err != nil {
		t.Fatal(err)
	}
	pieces := sums(bytes.Join(contents, nil), pieceLength)
	s.system.Zeros = Zeros(pieces, pieceLength, s.system.Size)
	var err error
	s.torrent, s.system.InfoHash, err = EncodeMetainfo("demo", entries, pieceLength, pieces, []string{"http://192.0.2.1/announce"})
	if err != nil {
		t.Fatal(err)
	}
	s.torrent, s.system.PieceSums, err = WithPieceSums(s.torrent, sums256(bytes.Join(contents, nil), pieceLength))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// withoutPieceSums is the sample as a seeder offers it that knows no SHA-256 sums of pieces.
func (s *sampleSystem) withoutPieceSums(t testing.TB) *sampleSystem {
	t.Helper()
	without := *s
	without.system.PieceSums = ""
	var mi metainfoFile
	err := bencode.Unmarshal(s.torrent, &mi)
	mi.PieceSums = nil
	if err == nil {
		without.torrent, err = bencode.Marshal(mi)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &without
}

func sums256(b []byte, pieceLength int64) (out []byte) {
	for piece := range slices.Chunk(b, int(pieceLength)) {
		sum := sha256.Sum256(piece)
		out = append(out, sum[:]...)
	}
	return out
}

func sums(b []byte, pieceLength int64) (out []byte) {
	for len(b) > 0 {
		n := min(int64(len(b)), pieceLength)
		sum := sha1.Sum(b[:n])
		out, b = append(out, sum[:]...), b[n:]
	}
	return out
}

func writeFile(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// checkFiles compares what was fetched below dir with the sample.
func (s *sampleSystem) checkFiles(t testing.TB, dir string) {
	t.Helper()
	for name, want := range s.data {
		got, err := os.ReadFile(filepath.Join(dir, "demo", name))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(got, want) {
			t.Errorf("%s differs from what was seeded", name)
		}
	}
}

// newEngine starts an engine on a loopback address of its own, so that peers are told apart as on a network.
func newEngine(t testing.TB, addr string, cfg Config) *Engine {
	t.Helper()
	cfg.Listen = netip.AddrPortFrom(netip.MustParseAddr(addr), 0)
	cfg.tick = 50 * time.Millisecond
	if cfg.Log == nil && testing.Verbose() {
		cfg.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
	}
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

func (e *Engine) addrPort() netip.AddrPort {
	return netip.AddrPortFrom(e.cfg.Listen.Addr(), uint16(e.Port()))
}

// seederAddr is where tests put the seeder.
const seederAddr = "127.0.0.9"

// knownSeeders is what nodes know of the seeder.
func knownSeeders() []Seeder {
	return []Seeder{{Torrent: netip.AddrPortFrom(netip.MustParseAddr(seederAddr), 0)}}
}

// newSeeder starts an engine that seeds the sample.
func newSeeder(t testing.TB, s *sampleSystem, cfg Config) *Engine {
	t.Helper()
	e := newEngine(t, seederAddr, cfg)
	if _, err := e.Seed(s.torrent, s.dir); err != nil {
		t.Fatal(err)
	}
	return e
}

// newNode starts an engine that knows the seeder's address.
func newNode(t testing.TB, addr string) *Engine {
	t.Helper()
	return newEngine(t, addr, Config{Seeders: knownSeeders()})
}

// source is what a node needs to fetch the sample into dir from the seeder.
func (s *sampleSystem) source(dir string, peers ...netip.AddrPort) Source {
	return Source{Torrent: s.torrent, System: s.system, Files: s.files, Dir: dir, Peers: peers, GiveUpAfter: need.Patience}
}

// testTracker is a tracker as small as can be (BEP 3, BEP 23): it names all peers, the given ones from the start.
type testTracker struct {
	*httptest.Server
	mu     sync.Mutex
	peers  []netip.AddrPort
	events []string
	// incomplete is what it says of the number of incomplete peers.
	incomplete int
}

func newTracker(t testing.TB, peers ...netip.AddrPort) *testTracker {
	tr := &testTracker{peers: peers}
	tr.Server = httptest.NewServer(http.HandlerFunc(tr.announce))
	t.Cleanup(tr.Close)
	return tr
}

func (tr *testTracker) announce(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	host := netip.MustParseAddrPort(r.RemoteAddr).Addr()
	port, _ := strconv.ParseUint(q.Get("port"), 10, 16)
	self := netip.AddrPortFrom(host, uint16(port))
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if event := q.Get("event"); event != "" {
		tr.events = append(tr.events, event)
	}
	var compact []byte
	known := false
	for _, p := range tr.peers {
		known = known || p == self
		compact = append(compact, p.Addr().AsSlice()...)
		compact = binary.BigEndian.AppendUint16(compact, p.Port())
	}
	if !known && q.Get("far") == "" {
		tr.peers = append(tr.peers, self)
	}
	b, _ := bencode.Marshal(map[string]any{"interval": 5, "incomplete": tr.incomplete, "peers": string(compact)})
	_, _ = w.Write(b)
}

// add has it name one more peer.
func (tr *testTracker) add(p netip.AddrPort) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.peers = append(tr.peers, p)
}

// heard is how often it heard of an event.
func (tr *testTracker) heard(event string) (n int) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, e := range tr.events {
		if e == event {
			n++
		}
	}
	return n
}

func (tr *testTracker) url() string { return tr.URL + "/announce" }

// webServer serves the sample's folder as the seeder does, and counts the bytes. With a link it is no faster than that.
type webServer struct {
	*httptest.Server
	link *rate.Limiter // in bytes
	// places are as many as are served at a time; nil: everybody is. Others are refused, as the seeder does.
	places  chan struct{}
	refused atomic.Int32
	mu      sync.Mutex
	sent    int64
}

// total is the bytes sent so far.
func (ws *webServer) total() int64 {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	return ws.sent
}

func newWebServer(t testing.TB, s *sampleSystem) *webServer {
	ws := &webServer{}
	prefix := catalog.WebSeedPath(s.system.InfoHash)
	files := http.StripPrefix(prefix, http.FileServer(http.Dir(s.dir)))
	ws.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ws.places != nil {
			select {
			case ws.places <- struct{}{}:
				defer func() { <-ws.places }()
			default:
				ws.refused.Add(1)
				http.Error(w, "come again", http.StatusServiceUnavailable)
				return
			}
		}
		files.ServeHTTP(&countingWriter{w, ws}, r)
	}))
	t.Cleanup(ws.Close)
	return ws
}

func (ws *webServer) base(s *sampleSystem) string {
	return ws.URL + catalog.WebSeedPath(s.system.InfoHash)
}

type countingWriter struct {
	http.ResponseWriter
	ws *webServer
}

func (w *countingWriter) Write(b []byte) (int, error) {
	w.ws.mu.Lock()
	w.ws.sent += int64(len(b))
	w.ws.mu.Unlock()
	if w.ws.link != nil {
		if err := w.ws.link.WaitN(context.Background(), len(b)); err != nil {
			return 0, err
		}
	}
	return w.ResponseWriter.Write(b)
}

// waitFor waits until something is so.
func waitFor(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(need.Patience); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came: %s", what)
		}
	}
}
