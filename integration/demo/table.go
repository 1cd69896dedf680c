package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/boottorrent/boottorrent/internal/report"
)

// table prints what came from whom, how long each step took, and how long the room would have taken from the seeder alone.
// Link is the seeder's upload in Mbit/s.
func table(w io.Writer, nodes []report.Node, link float64) {
	if len(nodes) == 0 {
		return
	}
	slices.SortFunc(nodes, func(a, b report.Node) int { return cmp.Compare(a.MAC, b.MAC) })
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "node\tsystem\tfrom seeder\tfrom nodes\tby HTTP\tgave away\t")
	for _, s := range report.Steps {
		fmt.Fprintf(t, "%s\t", s)
	}
	fmt.Fprintln(t)
	for _, n := range nodes {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t", n.IP, n.System, mib(n.FromSeeder), mib(n.FromNodes), mib(n.FromHTTP), mib(n.Uploaded))
		for _, s := range report.Steps {
			fmt.Fprintf(t, "%s\t", seconds(n.Durations, s))
		}
		fmt.Fprintln(t)
	}
	t.Flush()
	sums := bySystem(nodes)
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		sums[name].print(w, name, link)
	}
}

// sum is what all nodes together did to get one system. Nodes that have not got the whole of it count in received alone.
type sum struct {
	seeder, others int64 // bytes received
	nodes          int   // that have all of it
	size           int64 // bytes of those nodes' copies together: N × F
	began, ended   time.Time
}

// bySystem adds up the nodes that have received something of each system.
func bySystem(nodes []report.Node) map[string]*sum {
	sums := map[string]*sum{}
	for _, n := range nodes {
		if n.FromSeeder+n.FromHTTP+n.FromNodes == 0 || n.System == "" {
			continue
		}
		s := sums[n.System]
		if s == nil {
			s = &sum{}
			sums[n.System] = s
		}
		s.seeder += n.FromSeeder + n.FromHTTP
		s.others += n.FromNodes
		if n.FetchEnded.IsZero() || n.Percent() < 100 {
			continue
		}
		if s.nodes == 0 || n.FetchBegan.Before(s.began) {
			s.began = n.FetchBegan
		}
		if n.FetchEnded.After(s.ended) {
			s.ended = n.FetchEnded
		}
		s.nodes++
		s.size += n.Size
	}
	return sums
}

// print says it in words. The link carries headers as well, so the time from the seeder alone is the least that it could be.
func (s *sum) print(w io.Writer, system string, link float64) {
	all := s.seeder + s.others
	fmt.Fprintf(w, "\n%s: the nodes received %s MiB, %.0f %% of it from each other; the seeder sent %s MiB\n",
		system, mib(all), 100*float64(s.others)/float64(all), mib(s.seeder))
	if s.nodes == 0 {
		return
	}
	machines, they := "machines", "they"
	if s.nodes == 1 {
		machines, they = "machine", "it"
	}
	alone := float64(8*s.size) / (link * 1e6)
	fmt.Fprintf(w, "%s: from the seeder alone %d %s would have needed %.0f s (%d × %s MiB at %g Mbit/s); %s took %.0f s\n",
		system, s.nodes, machines, alone, s.nodes, mib(s.size/int64(s.nodes)), link, they, s.ended.Sub(s.began).Seconds())
	fmt.Fprint(w, "That is the system's files, from when the first machine began to fetch until the last had all.\n"+
		"Phase 1, which each machine loads before, is in neither time.\n")
}

func mib(bytes int64) string {
	if bytes == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", float64(bytes)/(1<<20))
}

func seconds(durations map[report.Step]float64, s report.Step) string {
	v, ok := durations[s]
	if !ok {
		return "-"
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0") + " s"
}
