package site

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/boottorrent/boottorrent/integration/kit"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/report"
)

// Reports is what nodes cost that report to a seeder or to a mirror, which forwards them.
type Reports struct {
	// To is whom they report to: seeder or mirror. Every is how often each does, in seconds.
	To    string  `json:"to"`
	Every float64 `json:"every_seconds"`
	// PerSecond is how many reports and LogsPerSecond how many parcels of logs were taken a second, Refused how many requests were not, in all;
	// Listed is how many nodes were in the list at the end, at whom they report to, and ListedFirst at the seeder.
	PerSecond     float64 `json:"reports_per_second"`
	LogsPerSecond float64 `json:"logs_per_second"`
	Refused       int64   `json:"refused"`
	// Statuses are those of what was refused: how many of each; 0 is no answer.
	Statuses    map[int]int `json:"refused_by_status,omitempty"`
	Listed      int         `json:"nodes_listed"`
	ListedFirst int         `json:"nodes_listed_at_the_seeder"`
	// Report is how long the answer to a report took, Page to GET / and List to GET /api/nodes, in milliseconds: the median and the most.
	Report Took `json:"report_ms"`
	Page   Took `json:"page_ms"`
	List   Took `json:"list_ms"`
	// Idle is what was used before the first node reported. Seeder and Mirror are what they used under the load; Mirror is zero without one.
	Idle   Used `json:"idle"`
	Seeder Used `json:"seeder"`
	Mirror Used `json:"mirror"`
}

// Took is how long answers took, in milliseconds.
type Took struct {
	Median float64 `json:"median"`
	Most   float64 `json:"most"`
}

// Used is what a program uses: processor time in percent of one processor, and memory in MiB.
type Used struct {
	CPU      float64 `json:"cpu_percent"`
	Resident float64 `json:"resident_mib"`
}

// reports has all nodes report to the seeder or to its mirror.
func (g *rig) reports(ctx context.Context, to string, nodes int, every, each time.Duration) ([]Reports, error) {
	crowd := g.nodes(nodes)
	defer closeAll(crowd)
	at := g.seeder
	if to == "mirror" {
		at = g.mirror
	}
	l := &load{every: every, nodes: nodes, torrent: g.torrent.String(), statuses: map[int]int{}}
	r := Reports{To: to, Every: every.Seconds(), Idle: Used{Resident: resident(at.Pid())}}
	loading, stop := context.WithCancel(ctx)
	defer stop()
	all, running := errgroup.WithContext(loading)
	for _, n := range crowd {
		n.to = at
		all.Go(func() error { return l.report(running, n) })
	}
	// Every node has reported, and its connection is open, before it is measured.
	if err := wait(running, 2*every+5*time.Second); err != nil {
		return nil, err
	}
	l.measuring.Store(true)
	before, beforeMirror := readClock(g.seeder.Pid()), g.mirrorClock()
	page, list, err := look(running, g, at, each)
	if err != nil {
		return nil, err
	}
	l.measuring.Store(false)
	seconds := time.Since(before.at).Seconds()
	now := readClock(g.seeder.Pid())
	r.PerSecond, r.LogsPerSecond, r.Refused = round(float64(l.taken.Load())/seconds), round(float64(l.logs.Load())/seconds), l.refused.Load()
	r.Seeder = Used{round(100 * (now.process - before.process).Seconds() / seconds), resident(g.seeder.Pid())}
	if g.mirror != nil {
		r.Mirror = Used{round(100 * (g.mirrorClock().process - beforeMirror.process).Seconds() / seconds), resident(g.mirror.Pid())}
	}
	r.Page, r.List = page.took(), list.took()
	stop()
	if err := all.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return nil, err
	}
	for _, n := range crowd {
		l.all = append(l.all, n.times...)
	}
	r.Report, r.Statuses = l.all.took(), l.statuses
	if r.Listed, err = listed(ctx, at); err == nil {
		r.ListedFirst, err = listed(ctx, g.seeder)
	}
	return []Reports{r}, err
}

func (l latencies) took() Took { return Took{l.median(), l.most()} }

func (g *rig) mirrorClock() clock {
	if g.mirror == nil {
		return clock{}
	}
	return readClock(g.mirror.Pid())
}

func listed(ctx context.Context, s *kit.Seeder) (int, error) {
	nodes, err := s.Nodes(ctx)
	return len(nodes), err
}

// wait waits, unless ctx ends before.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// look asks for the page and for the list of nodes, each once in two seconds, for so long. What does not come counts as requestTime.
func look(ctx context.Context, g *rig, at *kit.Seeder, each time.Duration) (page, list latencies, err error) {
	person := &node{number: 60_000, host: g.crowd, to: at}
	defer person.close()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for end := time.Now().Add(each); time.Now().Before(end); {
		for path, times := range map[string]*latencies{"/": &page, catalog.PathNodes: &list} {
			select {
			case <-ctx.Done():
				return nil, nil, context.Cause(ctx)
			case <-tick.C:
			}
			status, took, err := person.ask(ctx, http.MethodGet, path, nil, io.Discard)
			if err != nil && ctx.Err() == nil {
				took = requestTime // none came, or only a part
			} else if status != http.StatusOK {
				return nil, nil, fmt.Errorf("GET %s: status %d", path, status)
			}
			*times = append(*times, took)
		}
	}
	return page, list, nil
}

// load is what the nodes send, and what became of it while it was measured.
type load struct {
	every                time.Duration
	nodes                int
	torrent              string
	measuring            atomic.Bool
	taken, logs, refused atomic.Int64
	all                  latencies

	mu       sync.Mutex
	statuses map[int]int
}

// logEvery is with which of its reports a node sends lines of its log, and logLines are those.
const logEvery = 4

var logLines = strings.Split(strings.Repeat("kernel: e1000e 0000:00:1f.6 eth0: NIC Link is Up 1000 Mbps Full Duplex, Flow Control: Rx/Tx\n", 10), "\n")[:10]

// report reports as a node that downloads does, and sends lines of its log.
func (l *load) report(ctx context.Context, n *node) error {
	rep := report.Report{
		Boot: fmt.Sprint("boot-", n.number), MAC: fmt.Sprintf("02:00:00:00:%02x:%02x", n.number>>8, n.number&255), IP: nodeAddr(n.number).String(), Name: fmt.Sprint("pc-", n.number),
		Arch: "amd64", MemoryMiB: 8192, Vendor: "ACME", Model: "Desk 3000", LinkMbps: 1000, CPU: 35, Step: report.Fetch, State: report.Running, System: "tiny",
		InfoHash: l.torrent, Durations: map[report.Step]float64{report.Hardware: 2, report.Network: 3, report.Discover: 0.2, report.Catalog: 0.1, report.Choose: 10},
		Transfer: report.Transfer{Size: 1 << 30, Peers: 40, Writing: 900 << 20},
	}
	for i := range report.MaxSources {
		rep.Sources = append(rep.Sources, report.Source{Addr: nodeAddr((n.number + 31*i + 1) % l.nodes), Bytes: int64(i) << 20})
	}
	// Spread evenly, as nodes are.
	for tick := time.NewTimer(time.Duration(n.number) * l.every / time.Duration(l.nodes)); ; tick.Reset(l.every) {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		rep.Uptime += l.every.Seconds()
		rep.Done = (rep.Done + rep.Size/300) % rep.Size
		if err := l.send(ctx, n, catalog.PathReport, &rep, &l.taken); err != nil {
			return err
		}
		if round := int(rep.Uptime / l.every.Seconds()); (round+n.number)%logEvery == 0 {
			more := report.Log{Boot: rep.Boot, MAC: rep.MAC, First: int64(round/logEvery) * int64(len(logLines)), Lines: logLines}
			if err := l.send(ctx, n, catalog.PathLog, &more, &l.logs); err != nil {
				return err
			}
		}
	}
}

// send posts a document. What is refused, or fails, is counted; a node tries again the next time.
func (l *load) send(ctx context.Context, n *node, path string, document any, taken *atomic.Int64) error {
	body, err := json.Marshal(document)
	if err != nil {
		return err
	}
	status, took, err := n.ask(ctx, http.MethodPost, path, body, io.Discard)
	switch {
	case !l.measuring.Load() || ctx.Err() != nil:
	case err == nil && status < http.StatusMultipleChoices:
		taken.Add(1)
		n.times = append(n.times, took)
	default:
		l.refused.Add(1)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.statuses[status]++
	}
	return nil
}
