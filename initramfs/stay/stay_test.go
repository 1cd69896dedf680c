package stay

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/swarm"
)

const pieceLength = 64 << 10

// newPlan makes a system of two images below dir, of random bytes, and the plan to give it away.
func newPlan(t testing.TB, dir string, sizes ...int) Plan {
	t.Helper()
	return planOf(t, dir, "debian", []string{"root.squashfs", "layers/more.squashfs"}, sizes...)
}

// planOf is newPlan for a system of that name, with files of these names.
func planOf(t testing.TB, dir, name string, names []string, sizes ...int) Plan {
	t.Helper()
	random := rand.NewChaCha8([32]byte{7})
	p := Plan{System: catalog.System{Name: name, Title: "Debian", Arch: "amd64", PieceLength: pieceLength}, Give: true}
	var entries []swarm.FileEntry
	var all []byte
	for i, size := range sizes {
		b := make([]byte, size)
		_, _ = random.Read(b)
		sum := sha256.Sum256(b)
		p.Files = append(p.Files, catalog.File{Path: names[i], Size: int64(size), SHA256: hex.EncodeToString(sum[:])})
		entries = append(entries, swarm.FileEntry{Path: names[i], Size: int64(size)})
		all = append(all, b...)
		path := filepath.Join(dir, p.System.Name, names[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o444); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.System.SetFiles(p.Files); err != nil {
		t.Fatal(err)
	}
	var pieces []byte
	for piece := range slices.Chunk(all, pieceLength) {
		sum := sha1.Sum(piece)
		pieces = append(pieces, sum[:]...)
	}
	var err error
	p.Torrent, p.System.InfoHash, err = swarm.EncodeMetainfo(p.System.Name, entries, pieceLength, pieces, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.Report = report.Report{Boot: "0123456789abcdef", MAC: "52:54:00:00:00:01", IP: "10.0.0.1", Step: report.Launch, State: report.Done}
	p.Report.FromNodes, p.Report.Uploaded = 1000, 500
	return p
}

// seeder is what the process meets of one: a tracker (BEP 3, BEP 23) and what takes reports.
type seeder struct {
	*httptest.Server
	mux *http.ServeMux
	// asks is the value of report.HelpHeader in its answers.
	asks    string
	mu      sync.Mutex
	events  []string
	peers   []netip.AddrPort
	reports []report.Report
}

func newSeeder(t testing.TB) *seeder {
	mux := http.NewServeMux()
	s := &seeder{mux: mux}
	mux.HandleFunc(catalog.PathAnnounce, s.announce)
	mux.HandleFunc(catalog.PathReport, func(w http.ResponseWriter, r *http.Request) {
		var rep report.Report
		if err := json.NewDecoder(r.Body).Decode(&rep); err != nil {
			t.Error(err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.reports = append(s.reports, rep)
		w.Header().Set(report.HelpHeader, s.asks)
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func (s *seeder) announce(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	var port uint16
	_ = json.Unmarshal([]byte(q.Get("port")), &port)
	from := netip.AddrPortFrom(netip.MustParseAddrPort(r.RemoteAddr).Addr(), port)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, q.Get("event")+" "+from.Addr().String()+" left="+q.Get("left"))
	var compact []byte
	for _, p := range s.peers {
		compact = append(compact, p.Addr().AsSlice()...)
		compact = binary.BigEndian.AppendUint16(compact, p.Port())
	}
	s.peers = append(s.peers, from)
	_, _ = w.Write([]byte("d8:intervali5e5:peers"))
	_, _ = w.Write([]byte(jsonInt(len(compact)) + ":" + string(compact) + "e"))
}

func jsonInt(n int) string { b, _ := json.Marshal(n); return string(b) }

// reported reports whether a report was posted of which so is true.
func (s *seeder) reported(so func(report.Report) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.reports {
		if so(r) {
			return true
		}
	}
	return false
}

func (s *seeder) heard(event string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e == event {
			return true
		}
	}
	return false
}

// await waits until something is so.
func await(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(need.Patience); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came: %s", what)
		}
	}
}

// ip runs ip(8) in the test's own namespace.
func ip(t testing.TB, words string) {
	t.Helper()
	if out, err := exec.Command(need.Command(t, "ip", "iproute2"), strings.Fields(words)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v\n%s", words, err, out)
	}
}

func readStatus(dir string) (s Status) {
	b, err := os.ReadFile(filepath.Join(dir, StatusName))
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err != nil {
		return Status{}
	}
	return s
}

// given is a Giver that runs in the test's own namespace, which has a card eth0, whose cable ends in sw0, and no address yet.
type given struct {
	t      *testing.T
	plan   Plan
	seeder *seeder
	// run is the folder of the status.
	run string
}

func newGiven(t *testing.T) *given { return newGivenWith(t, func(*given) {}) }

// newGivenWith is newGiven with something changed before it begins.
func newGivenWith(t *testing.T, change func(*given)) *given {
	t.Helper()
	ip(t, "link set lo up")
	ip(t, "link add eth0 type veth peer name sw0")
	g := &given{t: t, seeder: newSeeder(t), run: t.TempDir()}
	dir := t.TempDir()
	g.plan = newPlan(t, dir, 2_000_000, 300_000)
	g.plan.Seeder = g.seeder.URL
	old := t.TempDir()
	part := newPlan(t, old, 150_000)
	g.plan.Part = &Part{System: part.System, Files: part.Files, Torrent: part.Torrent, Dir: old}
	change(g)
	folder, err := os.Open(g.run)
	if err != nil {
		t.Fatal(err)
	}
	giver, err := New(Config{Plan: g.plan, Dir: dir, Status: folder, Log: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); giver.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ended
		if err := giver.Close(); err != nil {
			t.Error(err)
		}
		folder.Close()
	})
	// What is open is given away, whatever becomes of the names.
	if err := errors.Join(os.RemoveAll(filepath.Join(dir, g.plan.System.Name)), os.RemoveAll(old)); err != nil {
		t.Fatal(err)
	}
	return g
}

// givesFrom waits until the status says that the address gives away.
func (g *given) givesFrom(address string) {
	g.t.Helper()
	await(g.t, "giving away from "+address, func() bool {
		s := readStatus(g.run)
		return s.State == Giving && strings.HasPrefix(s.Address, address+":")
	})
}

// fetch has a node get all of the system and of its boot part, from where the tracker says.
func (g *given) fetch(addr string) {
	g.t.Helper()
	engine, err := swarm.New(swarm.Config{Listen: netip.AddrPortFrom(netip.MustParseAddr(addr), 0), Seeders: []swarm.Seeder{{Torrent: netip.MustParseAddrPort("127.0.0.1:0")}}})
	if err != nil {
		g.t.Fatal(err)
	}
	defer engine.Close()
	for _, p := range []Part{{System: g.plan.System, Files: g.plan.Files, Torrent: g.plan.Torrent}, *g.plan.Part} {
		src := swarm.Source{Torrent: p.Torrent, System: p.System, Files: p.Files, Dir: g.t.TempDir(), Trackers: []string{g.plan.Seeder + catalog.PathAnnounce}}
		if err := engine.Fetch(g.t.Context(), src, nil); err != nil {
			g.t.Fatal(err)
		}
	}
}

// The machine has no address when the process begins, gets one, loses it with its link, and comes back with another: it is given
// away again each time, and tracker, seeder and status are told.
func TestGivesFromWhateverAddressThereIs(t *testing.T) {
	if !need.OwnNamespaces(t) {
		return
	}
	g := newGiven(t)
	await(t, "a status without an address", func() bool { return readStatus(g.run).State == Waiting })

	ip(t, "address add 10.9.0.2/24 dev eth0")
	ip(t, "link set eth0 up")
	ip(t, "link set sw0 up")
	g.givesFrom("10.9.0.2")
	await(t, "the tracker hears of it", func() bool { return g.seeder.heard("started 10.9.0.2 left=0") })
	g.fetch("127.0.0.21")
	await(t, "a report that it gives away", func() bool {
		return g.seeder.reported(func(r report.Report) bool {
			return r.Boot == g.plan.Report.Boot && r.MAC == g.plan.Report.MAC && r.IP == "10.9.0.2" && r.Step == report.Give && r.State == report.Running &&
				r.Uploaded == 500+g.plan.System.Size && r.FromNodes == 1000 && r.Complete
		})
	})

	ip(t, "link set sw0 down") // the cable is out; the address stays
	await(t, "a status without a link", func() bool { s := readStatus(g.run); return s.State == Waiting && s.Address == "" })
	ip(t, "address flush dev eth0")
	ip(t, "address add 10.9.1.7/24 dev eth0")
	ip(t, "link set sw0 up")
	g.givesFrom("10.9.1.7")
	await(t, "the tracker hears of it", func() bool { return g.seeder.heard("started 10.9.1.7 left=0") })
	g.fetch("127.0.0.22")
	await(t, "a status with both", func() bool { return readStatus(g.run).Given >= 2*g.plan.System.Size })
	s := readStatus(g.run)
	if s.System != "debian" || s.InfoHash != g.plan.System.InfoHash || s.PID != os.Getpid() || s.Error != "" || time.Since(s.Since) > time.Hour {
		t.Errorf("the status is %+v", s)
	}
	if info, err := os.Stat(filepath.Join(g.run, StatusName)); err != nil || info.Mode() != 0o644 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// Of several addresses it is the one whose route leads to the seeder; without such a route the first global one.
func TestWhichAddress(t *testing.T) {
	if !need.OwnNamespaces(t) {
		return
	}
	ip(t, "link set lo up")
	for i, card := range []string{"eth0", "eth1"} {
		ip(t, "link add "+card+" type veth peer name sw"+card)
		ip(t, "link set "+card+" up")
		ip(t, "link set sw"+card+" up")
		ip(t, "address add 169.254.1.1/16 scope link dev "+card)
		ip(t, "address add 10.9."+jsonInt(i)+".2/24 dev "+card)
	}
	seeder := netip.MustParseAddr("10.9.1.1")
	is := func(what, want string) {
		t.Helper()
		var valid netip.Addr
		if want != "" {
			valid = netip.MustParseAddr(want)
		}
		if got, err := address(seeder); err != nil || got != valid {
			t.Errorf("%s: %v, %v; want %v", what, got, err, valid)
		}
	}
	is("both", "10.9.1.2")
	ip(t, "link set sweth1 down")
	is("the seeder's cable is out", "10.9.0.2")
	ip(t, "link set sweth1 up")
	ip(t, "link set eth1 down")
	is("the seeder's card is down", "10.9.0.2")
	ip(t, "route add default via 10.9.0.1")
	is("by a router", "10.9.0.2")
	ip(t, "link set eth0 down")
	is("none is up", "")
	ip(t, "link set eth1 up")
	is("back", "10.9.1.2")
	if got, err := address(netip.Addr{}); err != nil || got.String() != "10.9.1.2" {
		t.Errorf("without a seeder's address: %v, %v", got, err)
	}
}
