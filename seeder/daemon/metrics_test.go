package daemon

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/seeder/api"
	"github.com/boottorrent/boottorrent/seeder/metrics"
	"github.com/boottorrent/boottorrent/seeder/web"
)

// What a running seeder counts is what was asked of it; Prometheus finds it and takes all of it.
func TestMetricsOfARunningSeeder(t *testing.T) {
	t.Parallel()
	r := start(t, newSite(t))
	sys := r.catalog().Systems[0]
	path := ""
	var files catalog.FileList
	must(t, json.Unmarshal(r.get(catalog.FileListPath(sys.InfoHash)), &files))
	for _, f := range files {
		if f.Size > 0 {
			path = sys.FilePath(f.Path)
		}
	}
	sent := len(r.get(path))
	body, err := json.Marshal(report.Report{
		Boot: "1", MAC: "52:54:00:00:00:01", Step: report.Fetch, State: report.Running, System: sys.Name,
		Transfer: report.Transfer{FromNodes: 4242, Fallback: true}, Durations: map[report.Step]float64{report.Network: 3},
	})
	must(t, err)
	resp, err := http.Post(r.base+catalog.PathReport, "application/json", bytes.NewReader(body))
	must(t, err)
	resp.Body.Close()
	if resp, err = http.Get(r.base + catalog.PathAnnounce); err == nil {
		resp.Body.Close()
	}

	text := string(r.get(metrics.Path))
	lines := strings.Split(text, "\n")
	for _, want := range []string{
		`boottorrent_node_received_bytes_total{source="nodes",system="` + sys.Name + `"} 4242`,
		`boottorrent_node_step_duration_seconds_sum{step="network"} 3`,
		`boottorrent_nodes{state="running",step="fetch"} 1`,
		`boottorrent_node_fallbacks_total 1`,
		`boottorrent_tracker_announces_total{event="regular",outcome="refused"} 1`,
		`boottorrent_http_requests_total{code="204",kind="reports"} 1`,
		`boottorrent_http_requests_total{code="200",kind="files"} 1`,
		`boottorrent_catalog_systems 1`, `boottorrent_service_up{service="http"} 1`, `boottorrent_store_versions 1`,
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if want := `boottorrent_seed_sent_bytes_total{protocol="http",system="` + sys.Name + `"}`; sent == 0 || !strings.Contains(text, want) {
		t.Errorf("%d bytes were sent, and there is no %s", sent, want)
	}

	var targets []api.Target
	must(t, json.Unmarshal(r.get(api.Path+"targets"), &targets))
	if len(targets) != 1 || !slices.Equal(targets[0].Targets, []string{strings.TrimPrefix(r.base, "http://")}) {
		t.Errorf("targets of %s: %+v", r.base, targets)
	}
	need.Command(t, "promtool", "prometheus")
	check := exec.Command("promtool", "check", "metrics")
	check.Stdin = strings.NewReader(text)
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	r := start(t, newSite(t))
	if text := string(r.get(web.PathHealth)); text != "alive\n" {
		t.Errorf("health: %q", text)
	}
	if text := string(r.get(web.PathReady)); text != "ready\n" {
		t.Errorf("ready: %q", text)
	}
}
