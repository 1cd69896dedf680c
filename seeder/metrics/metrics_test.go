package metrics

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/swarm"
	"github.com/boottorrent/boottorrent/seeder/selftest"
	"github.com/boottorrent/boottorrent/seeder/status"
	"github.com/boottorrent/boottorrent/seeder/store"
)

// seeder is what metrics ask.
type seeder struct {
	now      time.Time
	catalog  *catalog.Catalog
	nodes    []report.Node
	torrents []swarm.Torrent
	stored   error
}

func newSeeder() (*seeder, *Metrics) {
	s := &seeder{now: time.Unix(1_800_000_000, 0), catalog: catalogOf("debian", "live")}
	return s, New(Config{
		Now: func() time.Time { return s.now }, Catalog: func() *catalog.Catalog { return s.catalog },
		Nodes: func(do func(*report.Node)) {
			for i := range s.nodes {
				do(&s.nodes[i])
			}
		},
		Torrents: func() []swarm.Torrent { return s.torrents },
		Peers:    func(h catalog.InfoHash) (int, int) { return int(h[0]), 2 * int(h[0]) },
		Store:    func() (store.Size, error) { return store.Size{Versions: 2, Bytes: 4096, Free: 1 << 30}, s.stored },
		Systems: func() status.Site {
			return status.Site{Mirror: &status.Mirror{InStep: true, Since: time.Unix(1000, 0)}, Problems: []string{"one"}, Systems: []status.System{{Name: "debian", State: status.Published}, {Name: "x", State: status.LeftOut, Problems: []string{"two"}}}}
		},
		Findings: func() []selftest.Finding { return []selftest.Finding{{Severity: selftest.Warning}} },
		Services: func() map[string]bool { return map[string]bool{"http": true, "dhcp": false} },
	})
}

func catalogOf(names ...string) *catalog.Catalog {
	cat := &catalog.Catalog{Created: time.Unix(1_700_000_000, 0), Counter: 7}
	for _, n := range names {
		cat.Systems = append(cat.Systems, catalog.System{Name: n})
	}
	return cat
}

// used are metrics of which each was counted once at least.
func used() *Metrics {
	s, m := newSeeder()
	s.torrents = []swarm.Torrent{{Name: "debian", InfoHash: catalog.InfoHash{1}, Size: 100, Uploaded: 250, Connections: 3}}
	s.nodes = []report.Node{{Report: fetchReport(1), Seen: s.now}}
	m.HTTP("boot", 200, 10)
	m.DHCP("discover", "answered")
	m.TFTP("sent", 20)
	m.Announce("started", "answered")
	m.Report(report.Report{}, fetchReport(1))
	return m
}

func fetchReport(seeder int64) report.Report {
	return report.Report{
		MAC: "52:54:00:00:00:01", Step: report.Fetch, State: report.Running, System: "debian", InfoHash: "1", Durations: map[report.Step]float64{report.Network: 2},
		Transfer: report.Transfer{FromSeeder: seeder, FromNodes: 2 * seeder, FromHTTP: 3 * seeder, Down: 50},
	}
}

// scrape is what Prometheus gets, by the series.
func scrape(t *testing.T, m *Metrics) map[string]string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", Path, nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%d: %s", w.Code, w.Body)
	}
	series := map[string]string{}
	for line := range strings.Lines(w.Body.String()) {
		if at := strings.LastIndexByte(line, ' '); !strings.HasPrefix(line, "#") {
			series[line[:at]] = strings.TrimSpace(line[at:])
		}
	}
	return series
}

func expect(t *testing.T, m *Metrics, want map[string]string) {
	t.Helper()
	got := scrape(t, m)
	for series, value := range want {
		if got[series] != value {
			t.Errorf("%s is %q, want %q", series, got[series], value)
		}
	}
}

// Names, units and help are as Prometheus wants them, says its own linter, and its own tool.
func TestLint(t *testing.T) {
	m := used()
	problems, err := testutil.GatherAndLint(m.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	need.Command(t, "promtool", "prometheus")
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", Path, nil))
	check := exec.Command("promtool", "check", "metrics")
	check.Stdin = w.Body
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

func TestServices(t *testing.T) {
	m := used()
	m.HTTP("boot", 503, -1)
	m.HTTP("boot", 1<<40, 0)
	expect(t, m, map[string]string{
		`boottorrent_http_requests_total{code="200",kind="boot"}`:                 "1",
		`boottorrent_http_requests_total{code="503",kind="boot"}`:                 "1",
		`boottorrent_http_requests_total{code="0",kind="boot"}`:                   "1",
		`boottorrent_http_sent_bytes_total{kind="boot"}`:                          "10",
		`boottorrent_dhcp_requests_total{message="discover",outcome="answered"}`:  "1",
		`boottorrent_tftp_requests_total{outcome="sent"}`:                         "1",
		`boottorrent_tftp_sent_bytes_total`:                                       "20",
		`boottorrent_tracker_announces_total{event="started",outcome="answered"}`: "1",
		`boottorrent_catalog_sequence`:                                            "7",
		`boottorrent_catalog_created_timestamp_seconds`:                           "1.7e+09",
		`boottorrent_catalog_systems`:                                             "2",
		`boottorrent_store_size_bytes`:                                            "4096",
		`boottorrent_store_versions`:                                              "2",
		`boottorrent_systems{state="left_out"}`:                                   "1",
		`boottorrent_systems{state="manual"}`:                                     "0",
		`boottorrent_site_problems`:                                               "2",
		`boottorrent_selftest_findings{severity="warning"}`:                       "1",
		`boottorrent_selftest_findings{severity="problem"}`:                       "0",
		`boottorrent_service_up{service="dhcp"}`:                                  "0",
		`boottorrent_service_up{service="http"}`:                                  "1",
		`boottorrent_tracker_peers{complete="no",system="debian"}`:                "2",
		`boottorrent_seed_connections`:                                            "3",
		`boottorrent_build_info{release="devel",revision=""}`:                     "1",
	})
	if got := scrape(t, m); got["go_goroutines"] == "" || got["process_cpu_seconds_total"] == "" {
		t.Error("nothing of Go and of the process")
	}
}

// Before a catalog is published, and where the store can't be read, the rest is there.
func TestWithoutCatalogAndStore(t *testing.T) {
	s, m := newSeeder()
	s.catalog, s.stored = nil, errors.New("gone")
	m.Report(report.Report{}, fetchReport(5))
	expect(t, m, map[string]string{
		`boottorrent_catalog_created_timestamp_seconds`:                        "0",
		`boottorrent_store_size_bytes`:                                         "",
		`boottorrent_node_received_bytes_total{source="nodes",system="other"}`: "10",
	})
}

// What the seed has sent is counted once, whatever is retired, seeded again or asked for, and as copies of the system's size.
func TestSeed(t *testing.T) {
	s, m := newSeeder()
	v1 := swarm.Torrent{Name: "debian", InfoHash: catalog.InfoHash{1}, Size: 100, Uploaded: 250}
	s.torrents = []swarm.Torrent{v1}
	m.sample()
	m.sample()
	m.File("debian", 50)
	m.File("../../etc/passwd", 5)
	expect(t, m, map[string]string{
		`boottorrent_seed_sent_bytes_total{protocol="bittorrent",system="debian"}`: "250",
		`boottorrent_seed_sent_bytes_total{protocol="http",system="debian"}`:       "50",
		`boottorrent_seed_sent_bytes_total{protocol="http",system="other"}`:        "5",
		`boottorrent_seed_sent_copies_total{system="debian"}`:                      "3",
	})
	s.torrents = []swarm.Torrent{{Name: "debian", InfoHash: catalog.InfoHash{2}, Size: 200, Uploaded: 200}} // v1 is retired
	m.sample()
	s.torrents[0].Uploaded = 100 // it was retired too, and is seeded again
	expect(t, m, map[string]string{
		`boottorrent_seed_sent_bytes_total{protocol="bittorrent",system="debian"}`: "550",
		`boottorrent_seed_sent_copies_total{system="debian"}`:                      "4.5",
	})
	s.catalog = catalogOf("live") // the operator has removed debian, which nodes still fetch
	s.torrents[0].Uploaded = 130
	expect(t, m, map[string]string{
		`boottorrent_seed_sent_bytes_total{protocol="bittorrent",system="debian"}`: "",
		`boottorrent_seed_sent_bytes_total{protocol="bittorrent",system="other"}`:  "30",
	})
}

func TestReports(t *testing.T) {
	s, m := newSeeder()
	first := fetchReport(1000)
	m.Report(report.Report{}, first)
	second := fetchReport(1500)
	second.Fallback, second.Banned = true, []netip.Addr{netip.MustParseAddr("10.0.0.9")}
	m.Report(first, second)
	m.Report(second, second)
	again := fetchReport(100) // under another kernel
	again.Durations = map[report.Step]float64{report.Network: 2, report.Fetch: 45}
	again.State, again.Error = report.Failed, "no"
	m.Report(second, again)
	m.Report(again, again)
	expect(t, m, map[string]string{
		`boottorrent_node_boots_total`:                                           "1",
		`boottorrent_node_fallbacks_total`:                                       "1",
		`boottorrent_node_bans_total`:                                            "1",
		`boottorrent_node_received_bytes_total{source="seeder",system="debian"}`: "1600",
		`boottorrent_node_received_bytes_total{source="nodes",system="debian"}`:  "3200",
		`boottorrent_node_received_bytes_total{source="http",system="debian"}`:   "4800",
		`boottorrent_node_step_duration_seconds_count{step="network"}`:           "1",
		`boottorrent_node_step_duration_seconds_sum{step="fetch"}`:               "45",
		`boottorrent_node_step_duration_seconds_bucket{step="fetch",le="40"}`:    "0",
		`boottorrent_node_step_duration_seconds_bucket{step="fetch",le="60"}`:    "1",
		`boottorrent_node_step_failures_total{step="fetch"}`:                     "1",
		`boottorrent_node_step_failures_total{step="launch"}`:                    "0",
	})
	// A node that booted before the seeder was started is none that boots now.
	old := fetchReport(1 << 30)
	old.Uptime = 3600
	m.Report(report.Report{}, old)
	expect(t, m, map[string]string{`boottorrent_node_boots_total`: "1", `boottorrent_node_received_bytes_total{source="seeder",system="debian"}`: "1600"})
	s.now = s.now.Add(2 * time.Hour)
	m.Report(report.Report{}, old)
	expect(t, m, map[string]string{`boottorrent_node_boots_total`: "2"})
}

// Reports are anybody's: none makes a label, a panic, or a number that is none.
func TestStrangers(t *testing.T) {
	_, m := newSeeder()
	before := len(scrape(t, m))
	bad := report.Report{
		MAC: "52:54:00:00:00:02", Step: report.Fetch, State: report.Running, InfoHash: "2", System: "evil\"} 1\n",
		Durations: map[report.Step]float64{"evil": 1, report.Fetch: -1, report.Choose: 1e308},
		Transfer:  report.Transfer{FromSeeder: -5, FromNodes: 1<<63 - 1, FromHTTP: -1 << 63},
	}
	m.Report(report.Report{}, bad)
	worse := bad
	worse.FromHTTP, worse.FromNodes = 1<<63-1, -1<<63
	m.Report(bad, worse)
	if after := len(scrape(t, m)); after != before {
		t.Errorf("%d series before, %d after", before, after)
	}
	expect(t, m, map[string]string{
		`boottorrent_node_received_bytes_total{source="seeder",system="other"}`: "0",
		`boottorrent_node_step_duration_seconds_count{step="fetch"}`:            "0",
		`boottorrent_node_step_duration_seconds_count{step="choose"}`:           "0",
	})
}

func TestNodes(t *testing.T) {
	s, m := newSeeder()
	at := func(step report.Step, state report.State, seen time.Duration, down int64) report.Node {
		return report.Node{Report: report.Report{Step: step, State: state, Transfer: report.Transfer{Down: down, Fallback: down == 7}}, Seen: s.now.Add(-seen)}
	}
	s.nodes = []report.Node{
		at(report.Fetch, report.Running, 0, 100), at(report.Fetch, report.Running, 0, 7), at(report.Fetch, report.Running, time.Hour, 1000),
		at(report.Give, report.Running, time.Minute, 0), at(report.Give, report.Running, time.Hour, 0), at(report.Launch, report.Failed, 0, 0),
	}
	expect(t, m, map[string]string{
		`boottorrent_nodes{state="running",step="fetch"}`: "3",
		`boottorrent_nodes{state="running",step="give"}`:  "1",
		`boottorrent_nodes{state="off",step="give"}`:      "1",
		`boottorrent_nodes{state="failed",step="launch"}`: "1",
		`boottorrent_nodes{state="done",step="launch"}`:   "0",
		`boottorrent_nodes_in_fallback`:                   "1",
		`boottorrent_nodes_download_bytes_per_second`:     "107",
	})
}

// Everything at once, for the race detector.
func TestConcurrent(t *testing.T) {
	m := used()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 50 {
				m.Report(fetchReport(int64(n)), fetchReport(int64(n+1)))
				m.File("live", 1)
				w := httptest.NewRecorder()
				m.Handler().ServeHTTP(w, httptest.NewRequest("GET", Path, nil))
				_, _ = io.Copy(io.Discard, w.Body)
				m.HTTP("boot", 200+i, 1)
			}
		})
	}
	all.Wait()
	expect(t, m, map[string]string{`boottorrent_seed_sent_bytes_total{protocol="http",system="live"}`: "400"})
}
