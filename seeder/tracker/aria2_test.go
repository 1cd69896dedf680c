package tracker

import (
	"bytes"
	"context"
	"crypto/sha1"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
)

// aria2c is the referee: one downloads from another that it can know of from the tracker only.
func TestAria2(t *testing.T) {
	aria2c := need.Command(t, "aria2c", "aria2")
	data := make([]byte, 3<<20+12345)
	rand.NewChaCha8([32]byte{1}).Read(data)

	for name, seedAnnounces := range map[string]bool{
		"the seed announces itself":               true,
		"the seed is known by configuration only": false,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
			defer cancel()
			seedPort, announced := freePort(t), make(chan struct{}, 100)
			cfg := Config{Interval: time.Second}
			if !seedAnnounces {
				seed := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(seedPort))
				cfg.Seeds = func(netip.Addr) netip.AddrPort { return seed }
			}
			tracker := New(cfg)
			server := httptest.NewServer(observed(tracker, announced))
			defer server.Close()
			announce := server.URL + "/announce"
			h, metainfo := makeTorrent(announce, data)
			tracker.SetTorrents([]catalog.InfoHash{h})

			seedDir, nodeDir := t.TempDir(), t.TempDir()
			write(t, filepath.Join(seedDir, "data.bin"), data)
			write(t, filepath.Join(seedDir, "data.torrent"), metainfo)
			seeder := exec.CommandContext(ctx, aria2c, aria2Args(seedDir, seedPort, "--seed-ratio=0.0", "--check-integrity=true",
				filepath.Join(seedDir, "data.torrent"))...)
			if err := seeder.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = seeder.Process.Kill(); _ = seeder.Wait() }()
			for complete := 0; complete == 0; complete, _ = tracker.Swarm(h) {
				select {
				case <-announced:
				case <-ctx.Done():
					t.Fatal("the seeding aria2c never announced that it has everything")
				}
				if !seedAnnounces {
					break // it announced, but being the seed it isn't counted
				}
			}

			node := exec.CommandContext(ctx, aria2c, aria2Args(nodeDir, freePort(t), "--seed-time=0",
				filepath.Join(seedDir, "data.torrent"))...)
			if out, err := node.CombinedOutput(); err != nil {
				t.Fatalf("aria2c: %v\n%s", err, out)
			}
			if got, _ := os.ReadFile(filepath.Join(nodeDir, "data.bin")); !bytes.Equal(got, data) {
				t.Errorf("downloaded %d bytes that are not the %d given", len(got), len(data))
			}
			checkScrape(t, server.URL+"/scrape?"+query(h, ""), h)
		})
	}
}

// observed serves both handlers and says when an announce was answered.
func observed(t *Tracker, announced chan<- struct{}) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/scrape", t.Scrape())
	mux.HandleFunc("/announce", func(w http.ResponseWriter, r *http.Request) {
		t.Announce().ServeHTTP(w, r)
		announced <- struct{}{}
	})
	return mux
}

func aria2Args(dir string, port int, more ...string) []string {
	return append([]string{
		"--no-conf", "--dir=" + dir, "--listen-port=" + strconv.Itoa(port), "--interface=127.0.0.1", "--enable-dht=false",
		"--bt-enable-lpd=false", "--enable-peer-exchange=false", "--file-allocation=none", "--summary-interval=0",
		"--no-netrc", "--all-proxy=", "--allow-overwrite=true",
	}, more...)
}

func makeTorrent(announce string, data []byte) (catalog.InfoHash, []byte) {
	const pieceLength = 256 << 10
	var pieces strings.Builder
	for rest := data; len(rest) > 0; rest = rest[min(len(rest), pieceLength):] {
		sum := sha1.Sum(rest[:min(len(rest), pieceLength)])
		pieces.Write(sum[:])
	}
	info := dict{"name": "data.bin", "length": len(data), "piece length": pieceLength, "pieces": pieces.String()}
	return sha1.Sum(bencode(nil, info)), bencode(nil, dict{"announce": announce, "info": info})
}

func checkScrape(t *testing.T, url string, h catalog.InfoHash) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	v, _, err := bdecode(body.String())
	if err != nil {
		t.Fatalf("scrape %q: %v", body.String(), err)
	}
	counts := v.(dict)["files"].(dict)[string(h[:])].(dict)
	if counts["complete"] != 1 || counts["downloaded"] != 1 {
		t.Errorf("scrape says %v, want 1 complete and 1 downloaded", counts)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
