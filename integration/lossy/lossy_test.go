// Package lossy shows rooms whose cables lose and delay frames: there is no netem in the kernels that we test on, so the
// cables are integration/lab's.
package lossy

import (
	"bufio"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/integration/lab"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/swarm"
)

const (
	nodes       = 8
	size        = 16 << 20
	pieceLength = 256 << 10
	link        = 30e6 // bits per second
)

// TestLoss has eight nodes fetch from one seeder, over cables with loss. Every copy is verified: Fetch returns nil only when each
// file has the catalog's SHA-256.
func TestLoss(t *testing.T) {
	need.Root(t)
	roomTime(t, writeSystem(t), lab.Cable{Down: link, Up: link, Delay: time.Millisecond, Loss: 0.01})
}

// BenchmarkLoss measures how much longer such a room takes with 1 % of loss in each direction of each cable: the time of the last
// node, in seconds.
func BenchmarkLoss(b *testing.B) {
	need.Root(b)
	dir := writeSystem(b)
	for name, loss := range map[string]float64{"none": 0, "1%": 0.01} {
		b.Run(name, func(b *testing.B) {
			var took time.Duration
			for b.Loop() {
				took += roomTime(b, dir, lab.Cable{Down: link, Up: link, Delay: time.Millisecond, Loss: loss})
			}
			b.ReportMetric(took.Seconds()/float64(b.N), "s/room")
		})
	}
}

// writeSystem makes a system, its torrent and its description in a folder.
func writeSystem(t testing.TB) string {
	t.Helper()
	dir, data := t.TempDir(), make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data)
	sum := sha256.Sum256(data)
	sys := catalog.System{Name: "demo", PieceLength: pieceLength}
	list, err := sys.SetFiles(catalog.FileList{{Path: "image", Size: size, SHA256: hex.EncodeToString(sum[:])}})
	if err != nil {
		t.Fatal(err)
	}
	var pieces []byte
	for at := 0; at < size; at += pieceLength {
		piece := sha1.Sum(data[at : at+pieceLength])
		pieces = append(pieces, piece[:]...)
	}
	torrent, hash, err := swarm.EncodeMetainfo("demo", []swarm.FileEntry{{Path: "image", Size: size}}, pieceLength, pieces, nil)
	if err != nil {
		t.Fatal(err)
	}
	sys.InfoHash = hash
	document, err := json.Marshal(sys)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"demo/image": data, "torrent": torrent, "system.json": document, "files.json": list} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// roomTime returns how long the last node took.
func roomTime(t testing.TB, dir string, c lab.Cable) time.Duration {
	t.Helper()
	r := lab.ForTest(t)
	defer r.Close()
	var hosts []*lab.Host
	for i := range nodes + 1 {
		h, err := r.Host(fmt.Sprintf("h%d", i), lab.Wire(c), lab.Addr(fmt.Sprintf("10.77.0.%d/24", 1+i)))
		if err != nil {
			t.Fatal(err)
		}
		hosts = append(hosts, h)
	}
	seeder := start(t, hosts[0], "seed", hosts[0], dir)
	if line := seeder.line(t); line != "ready\n" {
		t.Fatalf("the seeder says %q", line)
	}
	var room sync.WaitGroup
	var mu sync.Mutex
	var last float64
	for i, h := range hosts[1:] {
		p := start(t, h, "fetch", hosts[0], dir)
		room.Go(func() {
			var seconds float64
			var fromSeeder, fromNodes int64
			if line := p.line(t); !scan(line, &seconds, &fromSeeder, &fromNodes) {
				t.Errorf("node %d says %q", i, line)
			}
			t.Logf("loss %v: node %d: %.2f s, %d from the seeder, %d from nodes", c.Loss, i, seconds, fromSeeder, fromNodes)
			mu.Lock()
			defer mu.Unlock()
			last = max(last, seconds)
		})
	}
	room.Wait()
	return time.Duration(last * float64(time.Second))
}

func scan(line string, to ...any) bool {
	n, err := fmt.Sscanf(line, "done %f %d %d", to...)
	return n == len(to) && err == nil
}

// process is a peer that runs until the test ends.
type process struct {
	out *bufio.Reader
}

func start(t testing.TB, h *lab.Host, role string, seeder *lab.Host, dir string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := h.Command(t.Context(), self, "peer", role, h.IP().String(), seeder.IP().String(), dir)
	cmd.Stderr = t.Output()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
	})
	return &process{bufio.NewReader(out)}
}

func (p *process) line(t testing.TB) string {
	line, err := p.out.ReadString('\n')
	if err != nil {
		t.Errorf("a peer ended: %v", err)
	}
	return line
}
