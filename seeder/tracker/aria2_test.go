package tracker

import (
	"bytes"
	"crypto/sha1"
	"math/rand/v2"
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
			seedPort, nodePort := need.Port(t), need.Port(t)
			cfg := Config{Interval: time.Second}
			if !seedAnnounces {
				seed := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(seedPort))
				cfg.Seeds = func(netip.Addr) netip.AddrPort { return seed }
			}
			tracker, stopped := New(cfg), make(chan string, 10)
			server := httptest.NewServer(observed(tracker, stopped))
			defer server.Close()
			h, metainfo := makeTorrent(server.URL+"/announce", data)
			tracker.SetTorrents([]catalog.InfoHash{h})

			seedDir, nodeDir := t.TempDir(), t.TempDir()
			torrent := filepath.Join(seedDir, "data.torrent")
			write(t, filepath.Join(seedDir, "data.bin"), data)
			write(t, torrent, metainfo)
			startAria2(t, aria2c, seedDir, seedPort, "--seed-ratio=0.0", "--check-integrity=true", torrent)
			startAria2(t, aria2c, nodeDir, nodePort, "--seed-time=0", torrent)
			select {
			case port := <-stopped: // it has everything
				if port != strconv.Itoa(nodePort) {
					t.Fatalf("the aria2c at port %s stopped, want the one at %d", port, nodePort)
				}
			case <-time.After(need.Patience):
				t.Fatal("aria2c has not finished within 40 s")
			}
			if got, _ := os.ReadFile(filepath.Join(nodeDir, "data.bin")); !bytes.Equal(got, data) {
				t.Errorf("downloaded %d bytes that are not the %d given", len(got), len(data))
			}
			checkScrape(t, server.URL+"/scrape?"+query(h, ""), h)
		})
	}
}

// startAria2 runs an aria2c until the test ends.
func startAria2(t *testing.T, aria2c, dir string, port int, args ...string) {
	t.Helper()
	cmd := exec.Command(aria2c, aria2Args(dir, port, args...)...)
	cmd.Stdout = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
}

// observed serves both handlers and tells the port of a client that has said it stops.
func observed(t *Tracker, stopped chan<- string) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/scrape", t.Scrape())
	mux.HandleFunc("/announce", func(w http.ResponseWriter, r *http.Request) {
		t.Announce().ServeHTTP(w, r)
		if q := r.URL.Query(); q.Get("event") == eventStopped {
			stopped <- q.Get("port")
		}
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

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
