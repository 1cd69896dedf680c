package metrics

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/need"
)

// monitoring is what operators get to watch seeders with.
const monitoring = "../../docs/monitoring"

// names are all metrics there are, by the names under which queries find them.
func names(t *testing.T) map[string]bool {
	t.Helper()
	families, err := used().registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for _, f := range families {
		all[f.GetName()] = true
		if f.GetType().String() == "HISTOGRAM" {
			for _, ending := range []string{"_bucket", "_sum", "_count"} {
				all[f.GetName()+ending] = true
			}
		}
	}
	return all
}

var named = regexp.MustCompile(`\b(boottorrent|go|process)_[a-z_]+`)

// What dashboard, alerts and their page name exists; and each metric of ours stands in the dashboard, and in the page.
func TestMonitoringNamesWhatExists(t *testing.T) {
	exist, shown := names(t), map[string]bool{}
	for _, file := range []string{"dashboard.json", "alerts.yml", "alerts_test.yml"} {
		text := read(t, filepath.Join(monitoring, file))
		for _, name := range named.FindAllString(text, -1) {
			if !exist[name] {
				t.Errorf("%s: there is no metric %s", file, name)
			}
			if file == "dashboard.json" {
				shown[strings.TrimSuffix(name, "_bucket")] = true
			}
		}
	}
	page := read(t, "../../docs/metrics.md")
	for name := range exist {
		if !strings.HasPrefix(name, namespace) || slices.ContainsFunc([]string{"_bucket", "_sum", "_count"}, func(e string) bool { return strings.HasSuffix(name, e) }) {
			continue
		}
		if !shown[name] && name != namespace+"_catalog_sequence" {
			t.Errorf("the dashboard does not show %s", name)
		}
		if !strings.Contains(page, strings.TrimPrefix(name, namespace+"_")) {
			t.Errorf("docs/metrics.md does not name %s", name)
		}
	}
}

// Prometheus takes the configuration and the rules, and each rule fires when it should and not otherwise.
func TestAlerts(t *testing.T) {
	need.Command(t, "promtool", "prometheus")
	for _, args := range [][]string{{"check", "config", "prometheus.yml"}, {"check", "rules", "alerts.yml"}, {"test", "rules", "alerts_test.yml"}} {
		cmd := exec.Command("promtool", args...)
		cmd.Dir = monitoring
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", cmd, err, out)
		}
	}
	tests := read(t, filepath.Join(monitoring, "alerts_test.yml"))
	for _, alert := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(read(t, filepath.Join(monitoring, "alerts.yml")), -1) {
		if n := strings.Count(tests, "alertname: "+alert[1]); n != 2 {
			t.Errorf("%s is tested %d times, want in a room that is well and in one that isn't", alert[1], n)
		}
	}
}

// Every query of the dashboard is one that Prometheus can read.
func TestDashboard(t *testing.T) {
	need.Command(t, "promtool", "prometheus")
	var dashboard struct {
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, filepath.Join(monitoring, "dashboard.json"))), &dashboard); err != nil {
		t.Fatal(err)
	}
	rules, n := "groups:\n  - name: dashboard\n    rules:\n", 0
	for _, p := range dashboard.Panels {
		if len(p.Targets) == 0 || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %q: %+v", p.Title, p)
		}
		for _, target := range p.Targets {
			// Grafana's variables stand for a regular expression and for a time.
			expr := strings.NewReplacer("$instance", ".+", "$__rate_interval", "1m").Replace(target.Expr)
			rules += fmt.Sprintf("      - {record: panel_%d, expr: %q}\n", n, expr)
			n++
		}
	}
	if n < 20 {
		t.Errorf("the dashboard has only %d queries", n)
	}
	file := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(file, []byte(rules), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("promtool", "check", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s\n%s", err, out, rules)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
