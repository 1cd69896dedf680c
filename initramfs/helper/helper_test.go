package helper

import (
	"bytes"
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
	"sync"
	"testing"
	"time"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/initramfs/client"
	"github.com/boottorrent/boottorrent/initramfs/report"
	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/need"
	wire "github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/swarm"
)

// seeder is one that offers images: a catalog, torrents and a tracker over HTTP, the pieces by BitTorrent.
type seeder struct {
	t      *testing.T
	public minisign.PublicKey
	secret minisign.PrivateKey
	engine *swarm.Engine
	server *httptest.Server

	mu   sync.Mutex
	cat  catalog.Catalog
	docs map[string][]byte
}

func newSeeder(t *testing.T) *seeder {
	t.Helper()
	s := &seeder{t: t, docs: map[string][]byte{}, cat: catalog.Catalog{Version: catalog.Version, Site: "room", Created: time.Unix(1, 0), Counter: 10}}
	var err error
	if s.public, s.secret, err = minisign.GenerateKey(nil); err != nil {
		t.Fatal(err)
	}
	if s.engine, err = swarm.New(swarm.Config{Listen: netip.MustParseAddrPort("127.0.0.1:0")}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.engine.Close() })
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == catalog.PathAnnounce {
			port := s.engine.Port()
			fmt.Fprintf(w, "d8:intervali60e5:peers6:%se", []byte{127, 0, 0, 1, byte(port >> 8), byte(port)}) // BEP 23
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if doc, ok := s.docs[r.URL.Path]; ok {
			_, _ = w.Write(doc)
			return
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(s.server.Close)
	s.publish()
	return s
}

// publish signs the catalog as it is.
func (s *seeder) publish() {
	s.t.Helper()
	doc, err := s.cat.Encode()
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.docs[catalog.PathCatalog], s.docs[catalog.PathSignature] = doc, catalog.Sign(s.secret, doc)
}

// offer publishes an image with these two files in place of the one before.
func (s *seeder) offer(kernel, initramfs []byte) catalog.Runtime {
	s.t.Helper()
	const pieceLength = 16 << 10
	r := catalog.Runtime{System: catalog.System{Name: catalog.Phase1Name(arch.AMD64), Title: "Phase 1", Arch: "amd64", PieceLength: pieceLength}}
	dir := s.t.TempDir()
	var list catalog.FileList
	var entries []swarm.FileEntry
	for name, b := range map[string][]byte{image.Kernel: kernel, image.Initramfs: initramfs} {
		sum := sha256.Sum256(b)
		list = append(list, catalog.File{Path: name, Size: int64(len(b)), SHA256: hex.EncodeToString(sum[:])})
		path := filepath.Join(dir, r.Name, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, b, 0o644)); err != nil {
			s.t.Fatal(err)
		}
	}
	slices.SortFunc(list, func(a, b catalog.File) int { return strings.Compare(a.Path, b.Path) })
	for _, f := range list {
		entries = append(entries, swarm.FileEntry{Path: f.Path, Size: f.Size})
	}
	doc, err := r.SetFiles(list)
	if err != nil {
		s.t.Fatal(err)
	}
	var pieces []byte
	for piece := range slices.Chunk(slices.Concat(initramfs, kernel), pieceLength) {
		sum := sha1.Sum(piece)
		pieces = append(pieces, sum[:]...)
	}
	torrent, hash, err := swarm.EncodeMetainfo(r.Name, entries, pieceLength, pieces, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.engine.Seed(torrent, dir); err != nil {
		s.t.Fatal(err)
	}
	r.InfoHash, r.Unpacked = hash, r.Size
	s.mu.Lock()
	s.docs[catalog.TorrentPath(hash)], s.docs[catalog.FileListPath(hash)] = torrent, doc
	s.mu.Unlock()
	s.cat.Runtimes = []catalog.Runtime{r}
	s.publish()
	return r
}

// node is a helper of a node whose memory and log a test can see.
type node struct {
	*Helper
	t *testing.T

	mu     sync.Mutex
	lines  []string
	memory error
	least  uint64
}

func newNode(t *testing.T, s *seeder) *node {
	t.Helper()
	n := &node{t: t}
	n.Helper = New(Config{
		Seeder: func() *client.Client { return &client.Client{Base: s.server.URL, Key: s.public} },
		Newest: func(counter uint64, _ string) error {
			if counter < n.least {
				return errors.New("an old catalog")
			}
			return nil
		},
		Room:    func(int64) error { n.mu.Lock(); defer n.mu.Unlock(); return n.memory },
		Address: func() netip.Addr { return netip.MustParseAddr("127.0.0.1") },
		Engine: func() (*swarm.Engine, func(), error) {
			engine, err := swarm.New(swarm.Config{Listen: netip.MustParseAddrPort("127.0.0.2:0"), Seeders: []swarm.Seeder{{HTTP: s.server.URL, Torrent: netip.MustParseAddrPort("127.0.0.1:0")}}})
			return engine, func() { engine.Close() }, err
		},
		Dir: filepath.Join(t.TempDir(), "phase1"), Report: report.New(time.Now),
		Log: func(format string, args ...any) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.lines = append(n.lines, fmt.Sprintf(format, args...))
		},
	})
	t.Cleanup(func() {
		n.Stop("the test is over")
		if _, err := os.Stat(n.Dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("its folder is left: %v", err)
		}
	})
	return n
}

// await waits until something is so.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(need.Patience); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came: %s", what)
		}
	}
}

// helps waits until the node reports that it gives an image away, and returns where.
func (n *node) helps(r catalog.Runtime) string {
	n.t.Helper()
	var p *wire.Phase1
	await(n.t, "a report of "+r.InfoHash.String(), func() bool {
		p = n.Report.Snapshot().Phase1
		return p != nil && p.Image == r.InfoHash.String()
	})
	return fmt.Sprintf("127.0.0.1:%d", p.Port)
}

// said waits for a line of the log.
func (n *node) said(part string) {
	n.t.Helper()
	await(n.t, "a line with "+part, func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		return slices.ContainsFunc(n.lines, func(l string) bool { return strings.Contains(l, part) })
	})
}

// pathOf is where the seeder has a file of some bytes.
func pathOf(name string, b []byte) string {
	sum := sha256.Sum256(b)
	return catalog.BootPath(name, hex.EncodeToString(sum[:]))
}

// The seeder asks, and the node fetches the image, gives it away under the seeder's paths, says so and counts; for a new image it does
// so again; and asked to stop it frees all that it had.
func TestHelps(t *testing.T) {
	s := newSeeder(t)
	kernel, initramfs := data(300_000), data(700_000)
	first := s.offer(kernel, initramfs)
	n := newNode(t, s)
	n.Ask(first.InfoHash.String())
	n.said("it is still starting up")
	n.Resume()
	n.Ask(first.InfoHash.String())
	address := n.helps(first)
	for range 3 {
		n.Ask(first.InfoHash.String()) // which changes nothing
	}
	for name, want := range map[string][]byte{image.Kernel: kernel, image.Initramfs: initramfs} {
		if got, body := request(t, http.MethodGet, address, pathOf(name, want), ""); got.StatusCode != http.StatusOK || !bytes.Equal(body, want) {
			t.Errorf("%s: %s, %d bytes", name, got.Status, len(body))
		}
		if got, _ := request(t, http.MethodGet, address, catalog.PathBoot+name, ""); got.StatusCode != http.StatusNotFound {
			t.Errorf("%s without a hash: %s", name, got.Status)
		}
	}
	await(t, "a report of the bytes", func() bool { return n.Report.Snapshot().Phase1.Served == 1_000_000 })
	if _, err := os.Stat(n.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the files have names: %v", err)
	}

	changed := data(400_000)
	second := s.offer(changed, initramfs)
	n.Ask(second.InfoHash.String())
	address = n.helps(second)
	if got, body := request(t, http.MethodGet, address, pathOf(image.Kernel, changed), ""); !bytes.Equal(body, changed) {
		t.Errorf("the new kernel: %s, %d bytes", got.Status, len(body))
	}
	if got, _ := request(t, http.MethodGet, address, pathOf(image.Kernel, kernel), ""); got.StatusCode != http.StatusNotFound {
		t.Errorf("the old kernel: %s", got.Status)
	}
	if p := n.Report.Snapshot().Phase1; p.Served < 1_000_000 {
		t.Errorf("after that: %+v", p)
	}

	n.Ask(wire.HelpStop)
	await(t, "a report that it is over", func() bool { return n.Report.Snapshot().Phase1 == nil })
	n.Stop("")
	if got, err := http.Get("http://" + address + pathOf(image.Kernel, changed)); err == nil {
		t.Errorf("it still answers: %s", got.Status)
	}
	n.Ask(second.InfoHash.String())
	n.helps(second)
}

// What the node doesn't do, it says why in its log; and an ask that failed is not tried again with each answer.
func TestDoesNotHelp(t *testing.T) {
	s := newSeeder(t)
	r := s.offer(data(50_000), data(50_000))
	n := newNode(t, s)
	n.Resume()
	n.Ask("../etc")
	n.said("in an unknown way")
	n.Ask(strings.Repeat("ab", 20))
	n.said("which its catalog does not name")

	other := s.offer(data(50_000), data(60_000))
	n.Ask(r.InfoHash.String())
	n.said("asks for the image " + r.InfoHash.String())
	n.mu.Lock()
	n.memory = errors.New("too little memory")
	n.mu.Unlock()
	n.Ask(other.InfoHash.String())
	n.said("too little memory")
	n.mu.Lock()
	n.memory = nil
	lines := len(n.lines)
	n.mu.Unlock()
	n.Ask(other.InfoHash.String())
	n.now.wait()
	n.mu.Lock()
	if len(n.lines) != lines {
		t.Errorf("it tried again at once: %q", n.lines[lines:])
	}
	n.mu.Unlock()

	n.Refuse("it is about to leave")
	n.Ask(r.InfoHash.String())
	n.said("can't help the seeder with it now: it is about to leave")
	n.Resume()

	n.least = 11
	third := s.offer(data(60_000), data(60_000))
	n.Ask(third.InfoHash.String())
	n.said("an old catalog")
	n.least = 10
	s.public, _, _ = minisign.GenerateKey(nil) // so the catalog is signed by a foreign key
	fourth := s.offer(data(70_000), data(60_000))
	n.Ask(fourth.InfoHash.String())
	n.said("signature")
	if p := n.Report.Snapshot().Phase1; p != nil {
		t.Errorf("it reports %+v", p)
	}
}

// A system of the catalog is no image, whoever asks for it.
func TestOnlyImages(t *testing.T) {
	s := newSeeder(t)
	r := s.offer(data(50_000), data(50_000))
	s.cat.Runtimes[0].Name = "qemu"
	s.publish()
	n := newNode(t, s)
	n.Resume()
	n.Ask(r.InfoHash.String())
	n.said("which its catalog does not name")
}

// Stop in the middle of a fetch ends that, and frees what was there.
func TestStopDuringFetch(t *testing.T) {
	s := newSeeder(t)
	r := s.offer(data(50_000), data(50_000))
	s.engine.Remove(r.InfoHash) // nobody has it
	n := newNode(t, s)
	n.Resume()
	n.Ask(r.InfoHash.String())
	await(t, "the folder", func() bool { _, err := os.Stat(filepath.Join(n.Dir, r.Name)); return err == nil })
	n.Stop("its own system is being started")
	if _, err := os.Stat(n.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its folder is left: %v", err)
	}
	n.Ask(r.InfoHash.String())
	n.said("its own system is being started")
}
