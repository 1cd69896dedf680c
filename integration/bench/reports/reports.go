// Package reports measures what a room costs its seeder that only reports and is looked at: in go a number of nodes and of open pages,
// out come processor time, memory, and bytes of the page, as JSON.
//
// A real seeder serves in a network namespace; its nodes are four hosts that send the reports of all, each once a second, as busy nodes
// do. Pages are HTTP clients that load the front page and then read its events.
package reports

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/boottorrent/boottorrent/integration/kit"
	"github.com/boottorrent/boottorrent/integration/lab"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/report"
)

// Result is what was measured.
type Result struct {
	Time  time.Time `json:"time"`
	CPUs  int       `json:"cpus"`
	Nodes int       `json:"nodes"`
	// Seconds is how long each load lasted.
	Seconds float64 `json:"seconds"`
	Loads   []Load  `json:"loads"`
	// Weights are the bytes of what a browser loads, plain and by gzip.
	Weights []Weight `json:"weights"`
}

// Load is what the seeder took under one load.
type Load struct {
	// Reports is how many came a second, Pages how many were open.
	Reports float64 `json:"reports_per_second"`
	Pages   int     `json:"pages"`
	// CPU is of one processor, in percent; Resident is in MiB, at the end.
	CPU      float64 `json:"cpu_percent"`
	Resident float64 `json:"resident_mib"`
	// Events is how many bytes a second each page got.
	Events float64 `json:"event_bytes_per_second"`
}

// Weight is a document's.
type Weight struct {
	Path    string `json:"path"`
	Plain   int    `json:"plain_bytes"`
	Gzipped int    `json:"gzip_bytes"`
}

// Command is bench reports.
func Command(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("bench reports", flag.ContinueOnError)
	nodes := flags.Int("nodes", 1000, "how many nodes report")
	seconds := flags.Int("seconds", 30, "how long each load lasts")
	results := flags.String("results", "integration/bench/results/reports", "folder to keep the results in")
	if err := flags.Parse(args); err != nil {
		return err
	}
	r, err := measure(ctx, *nodes, time.Duration(*seconds)*time.Second)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s\n", text)
	if err := os.MkdirAll(*results, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(*results, r.Time.Format("20060102-150405")+".json"), append(text, '\n'), 0o644)
}

// senders is how many hosts send the nodes' reports: one may send as many as a room behind one address may.
const senders = 4

// rig is a seeder with hosts that report.
type rig struct {
	seeder *kit.Seeder
	hosts  []*lab.Host
	nodes  int
	// sent is how many reports were taken, events how many bytes pages got.
	sent, events atomic.Int64
}

func measure(ctx context.Context, nodes int, each time.Duration) (r Result, err error) {
	dir, err := os.MkdirTemp("", "boottorrent-reports-")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(dir)
	k, err := kit.Build(ctx, filepath.Join(dir, "bin"), os.Stderr)
	if err != nil {
		return r, err
	}
	site, err := k.NewSite(ctx, filepath.Join(dir, "site"), "reports")
	if err != nil {
		return r, err
	}
	if err := errors.Join(site.MakeImage(ctx), site.AddTiny(ctx, "tiny", 1<<20), site.Configure("version: 1\nname: reports\ndhcp: {mode: \"off\"}\n")); err != nil {
		return r, err
	}
	room, err := lab.New(ctx, "reports")
	if err != nil {
		return r, err
	}
	defer room.Close()
	g := &rig{nodes: nodes}
	host, err := room.Host("seeder", lab.Addr("10.88.0.1/16"))
	if err != nil {
		return r, err
	}
	for i := range senders {
		h, err := room.Host(fmt.Sprint("nodes", i), lab.Addr(fmt.Sprintf("10.88.1.%d/16", i+1)))
		if err != nil {
			return r, err
		}
		g.hosts = append(g.hosts, h)
	}
	if g.seeder, err = site.Serve(ctx, host); err != nil {
		return r, err
	}
	defer g.seeder.Stop()
	r = Result{Time: time.Now().UTC(), CPUs: runtime.NumCPU(), Nodes: nodes, Seconds: each.Seconds()}
	for _, load := range []struct {
		report bool
		pages  int
	}{{false, 0}, {true, 0}, {true, 1}, {true, 10}} {
		l, err := g.load(ctx, load.report, load.pages, each)
		if err != nil {
			return r, err
		}
		r.Loads = append(r.Loads, l)
	}
	r.Weights, err = g.weights(ctx)
	return r, err
}

// load measures the seeder under one load, which it has had for a while before.
func (g *rig) load(ctx context.Context, reporting bool, pages int, each time.Duration) (l Load, err error) {
	ctx, cancel := context.WithCancel(ctx)
	all, running := errgroup.WithContext(ctx)
	defer func() {
		cancel()
		if ended := all.Wait(); ended != nil && !errors.Is(ended, context.Canceled) && err == nil {
			err = ended
		}
	}()
	if reporting {
		for n := range g.nodes {
			all.Go(func() error { return g.report(running, n) })
		}
	}
	for range pages {
		all.Go(func() error { return g.look(running) })
	}
	select {
	case <-running.Done():
		return l, context.Cause(running)
	case <-time.After(5 * time.Second):
	}
	cpu, sent, events, began := cpuTime(g.seeder.Pid()), g.sent.Load(), g.events.Load(), time.Now()
	select {
	case <-running.Done():
		return l, context.Cause(running)
	case <-time.After(each):
	}
	took := time.Since(began).Seconds()
	l = Load{Reports: round(float64(g.sent.Load()-sent) / took), Pages: pages, CPU: round(100 * (cpuTime(g.seeder.Pid()) - cpu).Seconds() / took),
		Resident: round(resident(g.seeder.Pid()))}
	if pages > 0 {
		l.Events = round(float64(g.events.Load()-events) / took / float64(pages))
	}
	return l, nil
}

func round(f float64) float64 { return float64(int64(f*10+0.5)) / 10 }

// report reports once a second as a node that downloads: an image in five minutes, and then again.
func (g *rig) report(ctx context.Context, n int) error {
	client := g.hosts[n%senders].HTTP()
	rep := report.Report{
		Boot: fmt.Sprint("boot-", n), MAC: fmt.Sprintf("02:00:00:00:%02x:%02x", n>>8, n&255), IP: fmt.Sprintf("10.88.%d.%d", 16+n/250, n%250+1), Name: fmt.Sprint("pc-", n+1),
		Arch: "amd64", MemoryMiB: 8192, Vendor: "ACME", Model: "Desk 3000", LinkMbps: 1000, CPU: 35, Step: report.Fetch, State: report.Running, System: "tiny",
		InfoHash: strings.Repeat("0", 40), Durations: map[report.Step]float64{report.Hardware: 2, report.Network: 3, report.Discover: 0.2, report.Catalog: 0.1, report.Choose: 10},
		Transfer: report.Transfer{Size: 1 << 30, Peers: 40, Writing: 900 << 20},
	}
	for i := range report.MaxSources {
		other := (n + 31*i + 1) % g.nodes
		rep.Sources = append(rep.Sources, report.Source{Addr: netip.AddrFrom4([4]byte{10, 88, byte(16 + other/250), byte(other%250 + 1)})})
	}
	// Spread over the second, as nodes are.
	for tick := time.NewTimer(time.Duration(n) * time.Second / time.Duration(g.nodes)); ; tick.Reset(time.Second) {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		rep.Uptime++
		rep.Done = (rep.Done + rep.Size/300) % rep.Size
		rep.Down, rep.FromSeeder, rep.FromNodes = rep.Size/300+int64(rep.Uptime)%7*int64(n%97+3)<<12, rep.Done/10, rep.Done-rep.Done/10
		for i := range rep.Sources {
			rep.Sources[i].Bytes = rep.FromNodes / int64(len(rep.Sources)+i)
		}
		body, err := json.Marshal(&rep)
		if err != nil {
			return err
		}
		req, err := http.NewRequestWithContext(ctx, "POST", g.seeder.Base+catalog.PathReport, bytes.NewReader(body))
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode == http.StatusNoContent {
			g.sent.Add(1)
		}
	}
}

// look opens the page and reads its events.
func (g *rig) look(ctx context.Context) error {
	for _, path := range []string{"/", "/events"} {
		req, err := http.NewRequestWithContext(ctx, "GET", g.seeder.Base+path, nil)
		if err != nil {
			return err
		}
		resp, err := g.hosts[0].HTTP().Do(req)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			resp.Body.Close()
			return fmt.Errorf("GET %s: %s", path, resp.Status)
		}
		_, err = io.Copy(counter{&g.events}, resp.Body)
		resp.Body.Close()
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// counter counts what is written to it.
type counter struct{ n *atomic.Int64 }

func (c counter) Write(b []byte) (int, error) { c.n.Add(int64(len(b))); return len(b), nil }

// asset is a document that the page loads.
var asset = regexp.MustCompile(`(?:href|src)="(/page/[^"?]+)`)

// weights are those of the page and of what it loads, with all nodes on it.
func (g *rig) weights(ctx context.Context) (all []Weight, err error) {
	_, plain, err := g.get(ctx, "/", "identity")
	if err != nil {
		return nil, err
	}
	paths, seen := []string{"/"}, sync.Map{}
	for _, m := range asset.FindAllStringSubmatch(plain, -1) {
		if _, twice := seen.LoadOrStore(m[1], true); !twice {
			paths = append(paths, m[1])
		}
	}
	for _, path := range paths {
		n, _, err1 := g.get(ctx, path, "identity")
		z, _, err2 := g.get(ctx, path, "gzip")
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		all = append(all, Weight{path, n, z})
	}
	return all, nil
}

func (g *rig) get(ctx context.Context, path, encoding string) (bytes int, text string, err error) {
	req, err := http.NewRequestWithContext(ctx, "GET", g.seeder.Base+path, nil)
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Accept-Encoding", encoding)
	resp, err := g.hosts[0].HTTP().Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s", path, resp.Status)
	}
	return len(body), string(body), err
}

// cpuTime is the user and system time of a process: fields 14 and 15 of /proc/PID/stat, in hundredths of a second (proc(5)).
func cpuTime(pid int) time.Duration {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// resident is a process's memory, in MiB.
func resident(pid int) float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmRSS:" {
			kib, _ := strconv.Atoi(f[1])
			return float64(kib) / 1024
		}
	}
	return 0
}
