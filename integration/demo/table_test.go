package main

import (
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/report"
)

func TestTable(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	node := func(mac, system string, seeder, others int64, began, ended int) report.Node {
		n := report.Node{Report: report.Report{MAC: mac, IP: "10.0.0." + mac, System: system, Durations: map[report.Step]float64{report.Fetch: 2.5}}}
		n.Size, n.Done, n.FromSeeder, n.FromNodes = 10<<20, 10<<20, seeder<<20, others<<20
		n.FetchBegan = start.Add(time.Duration(began) * time.Second)
		n.FetchEnded = start.Add(time.Duration(ended) * time.Second)
		return n
	}
	unfinished := node("4", "tiny", 1, 1, 0, 0)
	unfinished.Done, unfinished.FetchEnded = 2<<20, time.Time{}
	none := node("5", "", 0, 0, 0, 0)
	for _, tt := range []struct {
		name  string
		nodes []report.Node
		want  []string
	}{
		{"three", []report.Node{node("3", "tiny", 3, 7, 2, 14), node("1", "tiny", 4, 6, 0, 12), node("2", "tiny", 3, 7, 1, 13)}, []string{
			"10.0.0.1    tiny          4.0         6.0",
			"tiny: the nodes received 30.0 MiB, 67 % of it from each other; the seeder sent 10.0 MiB\n",
			"tiny: from the seeder alone 3 machines would have needed 31 s (3 × 10.0 MiB at 8 Mbit/s); they took 14 s\n",
		}},
		{"one is not done", []report.Node{node("1", "tiny", 9, 1, 0, 12), unfinished, none}, []string{
			"tiny: the nodes received 12.0 MiB, 17 % of it from each other; the seeder sent 10.0 MiB\n",
			"tiny: from the seeder alone 1 machine would have needed 10 s (1 × 10.0 MiB at 8 Mbit/s); it took 12 s\n",
		}},
		{"two systems", []report.Node{node("1", "tiny", 10, 0, 0, 12), node("2", "debian", 10, 0, 0, 13)}, []string{
			"debian: the nodes received 10.0 MiB, 0 %", "tiny: the nodes received 10.0 MiB, 0 %",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b strings.Builder
			table(&b, tt.nodes, 8)
			for _, want := range tt.want {
				if !strings.Contains(b.String(), want) {
					t.Errorf("the table lacks %q:\n%s", want, b.String())
				}
			}
		})
	}
	var b strings.Builder
	if table(&b, nil, 8); b.Len() > 0 {
		t.Errorf("without nodes the table is %q, want nothing", b.String())
	}
}
