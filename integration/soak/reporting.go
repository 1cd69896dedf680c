package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/report"
)

// reporting is what a seeder takes whose room reports: nodes that download send a report a second each, as real ones do.
type reporting struct {
	Date  string `json:"date"`
	Nodes int    `json:"nodes"`
	// Seconds is how long each phase took.
	Seconds float64 `json:"seconds"`
	// Rest is without a node; Reports with all nodes reporting; Page when a person has the page open besides, and Prometheus asks every five seconds.
	Rest    phase `json:"rest"`
	Reports phase `json:"reports"`
	Page    phase `json:"page"`
	// Sizes are what is fetched from the seeder in the end, by path.
	Sizes map[string]weight `json:"sizes"`
	// Events is bytes per second of the page's changes, as one browser gets them.
	Events float64 `json:"events"`
}

// phase is what the seeder took for a while.
type phase struct {
	// Cores is processor time by time, RSS resident memory and Heap what is in use at the end, in bytes.
	Cores float64 `json:"cores"`
	RSS   int64   `json:"rss"`
	Heap  int64   `json:"heap"`
	// Answered is how many reports were taken, Refused how many were not; Median and Worst are the seconds until an answer, the latter of 99 in 100.
	Answered int     `json:"answered"`
	Refused  int     `json:"refused"`
	Median   float64 `json:"median"`
	Worst    float64 `json:"worst"`
	// Why is how many reports were not taken for which reason: a status, or an error.
	Why map[string]int `json:"why,omitempty"`
	// Load is the machine's load average, other work included.
	Load float64 `json:"load"`
}

// weight is how many bytes a document has, and how many go over the wire to a browser, which takes gzip.
type weight struct {
	Bytes   int64   `json:"bytes"`
	Gzip    int64   `json:"gzip"`
	Seconds float64 `json:"seconds"`
}

// weighed are the documents that are weighed. Style sheet and script are found in the page.
var weighed = []string{"/", "/metrics", catalog.PathNodes, "/api/v1/nodes"}

// report measures with some nodes, a phase being as long as that.
func (r *room) report(ctx context.Context, nodes int, long time.Duration) (*reporting, error) {
	res := &reporting{Date: time.Now().UTC().Format(time.RFC3339), Nodes: nodes, Seconds: long.Seconds(), Sizes: map[string]weight{}}
	if err := r.phase(ctx, long, nil, &res.Rest); err != nil {
		return nil, err
	}
	c := &crowd{room: r, why: map[string]int{}}
	ctx, stop := context.WithCancel(ctx)
	var group sync.WaitGroup
	defer func() { stop(); group.Wait() }()
	for n := range nodes {
		// Not all in the same moment, as in a room.
		after := time.Duration(n) * time.Second / time.Duration(nodes)
		group.Go(func() { c.node(ctx, n, after) })
	}
	if err := r.phase(ctx, 2*time.Second, nil, &phase{}); err != nil { // until all have a connection
		return nil, err
	}
	if err := r.phase(ctx, long, c, &res.Reports); err != nil {
		return nil, err
	}
	var events int64
	look, end := context.WithCancel(ctx)
	group.Go(func() { events = r.listen(look) })
	group.Go(func() { r.scrape(look) })
	err := r.phase(ctx, long, c, &res.Page)
	end()
	if err != nil {
		return nil, err
	}
	if err := r.weigh(ctx, res.Sizes); err != nil {
		return nil, err
	}
	stop()
	group.Wait()
	res.Events = float64(events) / long.Seconds()
	return res, nil
}

// phase waits, and says what the seeder took meanwhile.
func (r *room) phase(ctx context.Context, long time.Duration, c *crowd, p *phase) error {
	before, err := r.measure()
	if err != nil {
		return err
	}
	c.take()
	began := time.Now()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-r.ended:
		return fmt.Errorf("the seeder ended: %w", err)
	case <-time.After(long):
	}
	took := time.Since(began).Seconds()
	cores := cpu(fmt.Sprintf("/proc/%d", r.seeder.Process.Pid)) - before.CPU
	times, why := c.take()
	refused := 0
	for _, n := range why {
		refused += n
	}
	after, err := r.measure()
	*p = phase{Cores: cores / took, RSS: after.RSS, Heap: after.Heap, Answered: len(times), Refused: refused, Why: why, Load: after.Load}
	if len(times) > 0 {
		slices.Sort(times)
		p.Median, p.Worst = times[len(times)/2].Seconds(), times[len(times)*99/100].Seconds()
	}
	return err
}

// crowd is the nodes; its methods take a nil crowd for none.
type crowd struct {
	room  *room
	mu    sync.Mutex
	times []time.Duration
	why   map[string]int
}

// take returns what was answered since the last call.
func (c *crowd) take() (times []time.Duration, why map[string]int) {
	if c == nil {
		return nil, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	times, why, c.times, c.why = c.times, c.why, nil, map[string]int{}
	return times, why
}

// node reports once a second from an address of its own until ctx ends.
func (c *crowd) node(ctx context.Context, n int, after time.Duration) {
	addr := netip.AddrFrom4([4]byte{10, 77, 128 + byte(n>>8), byte(n)})
	dialer := net.Dialer{Timeout: 20 * time.Second, LocalAddr: &net.TCPAddr{IP: addr.AsSlice()}}
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DialContext: dialer.DialContext}}
	defer client.CloseIdleConnections()
	rep := typical(n, addr)
	timer := time.NewTimer(after)
	defer timer.Stop()
	for next := time.Now().Add(after); ; {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		rep.FromSeeder += 1 << 16
		rep.FromNodes += 1 << 20
		rep.Done, rep.Uptime = rep.FromSeeder+rep.FromNodes, rep.Uptime+1
		body, _ := json.Marshal(rep) // of plain fields
		began := time.Now()
		status, err := ask(ctx, client, http.MethodPost, catalog.PathReport, bytes.NewReader(body))
		c.mu.Lock()
		if err == nil && status == http.StatusNoContent {
			c.times = append(c.times, time.Since(began))
		} else if ctx.Err() == nil {
			c.why[reason(status, err)]++
		}
		c.mu.Unlock()
		next = next.Add(time.Second)
		timer.Reset(max(0, time.Until(next)))
	}
}

// reason is why a report was not taken.
func reason(status int, err error) string {
	var timeout net.Error
	switch {
	case err == nil:
		return fmt.Sprint("status ", status)
	case errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time"
	}
	if cause := errors.Unwrap(err); cause != nil {
		err = cause // what is around it says which node
	}
	return err.Error()
}

// ask asks the seeder something, and reads the answer.
func ask(ctx context.Context, c *http.Client, method, path string, body io.Reader) (status int, err error) {
	r, err := http.NewRequestWithContext(ctx, method, base()+path, body)
	if err != nil {
		return 0, err
	}
	resp, err := c.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

func base() string { return "http://" + netip.AddrPortFrom(seederAddr, httpPort).String() }

// typical is a report as nodes send it while they download.
func typical(n int, addr netip.Addr) report.Report {
	rep := report.Report{
		Boot: fmt.Sprintf("%032x", n), MAC: net.HardwareAddr{0x52, 0x54, 0, byte(n >> 16), byte(n >> 8), byte(n)}.String(), IP: addr.String(),
		UUID: fmt.Sprintf("4c4c4544-0042-3510-8050-%012x", n), Name: fmt.Sprintf("desk-%d", n), Arch: "amd64", MemoryMiB: 8192,
		Vendor: "Dell Inc.", Model: "OptiPlex 7060", Serial: fmt.Sprintf("S%07d", n), Firmware: "uefi", LinkMbps: 1000, CPU: 20,
		Step: report.Fetch, State: report.Running, System: "steady", InfoHash: strings.Repeat("5", 40),
		Durations: map[report.Step]float64{report.Hardware: 0.8, report.Network: 2.5, report.Discover: 0.1, report.Catalog: 0.2, report.Choose: 5},
		Transfer:  report.Transfer{Size: 2 << 30, Down: 1 << 20, Up: 1 << 20, Peers: 40},
	}
	for i := range report.MaxSources {
		rep.Sources = append(rep.Sources, report.Source{Addr: netip.AddrFrom4([4]byte{10, 77, 128, byte(n + i)}), Bytes: 1 << 20})
	}
	return rep
}

// listen is a browser that has the page open: it returns the bytes of changes that it got until ctx ended.
func (r *room) listen(ctx context.Context) (n int64) {
	if _, err := ask(ctx, http.DefaultClient, http.MethodGet, "/", nil); err != nil {
		return 0
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base()+"/events", nil)
	if err != nil {
		return 0
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	n, _ = io.Copy(io.Discard, resp.Body) // it ends with ctx
	return n
}

// scrape is Prometheus, more often than it usually asks.
func (r *room) scrape(ctx context.Context) {
	for tick := time.NewTicker(5 * time.Second); ; {
		_, _ = ask(ctx, http.DefaultClient, http.MethodGet, "/metrics", nil)
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
	}
}

// weigh fetches documents as they are and packed.
func (r *room) weigh(ctx context.Context, sizes map[string]weight) error {
	plain := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	defer plain.CloseIdleConnections()
	fetch := func(path, encoding string) ([]byte, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, base()+path, nil)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Accept-Encoding", encoding)
		resp, err := plain.Do(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("GET %s: %s", path, resp.Status)
		}
		return io.ReadAll(resp.Body)
	}
	for _, path := range weighed {
		began := time.Now()
		whole, err := fetch(path, "identity")
		took := time.Since(began).Seconds()
		packed, err2 := fetch(path, "gzip")
		if err := errors.Join(err, err2); err != nil {
			return err
		}
		sizes[path] = weight{int64(len(whole)), int64(len(packed)), took}
		if path == "/" {
			for _, word := range strings.FieldsFunc(string(whole), func(c rune) bool { return c == '"' }) {
				if strings.HasPrefix(word, "/page/") && (strings.HasSuffix(word, ".css") || strings.HasSuffix(word, ".js")) {
					whole, err := fetch(word, "identity")
					packed, err2 := fetch(word, "gzip")
					if err := errors.Join(err, err2); err != nil {
						return err
					}
					sizes[filepath.Ext(word)[1:]] = weight{Bytes: int64(len(whole)), Gzip: int64(len(packed))}
				}
			}
		}
	}
	return nil
}

// print shows the result, as Markdown.
func (r *reporting) print(w io.Writer) {
	fmt.Fprintf(w, "%d nodes, a report a second each; %.0f s for each line.\n\n", r.Nodes, r.Seconds)
	fmt.Fprintln(w, "| the seeder | processor, cores | resident memory, MiB | heap, MiB | reports a second | not taken | answer after, ms (of 99 in 100) |")
	fmt.Fprintln(w, "|---|--:|--:|--:|--:|--:|--:|")
	for _, line := range []struct {
		name string
		phase
	}{{"at rest", r.Rest}, {"all nodes report", r.Reports}, {"the page is open, Prometheus asks every 5 s", r.Page}} {
		fmt.Fprintf(w, "| %s | %.3f | %.1f | %.1f | %.0f | %d | %.1f (%.1f) |\n", line.name, line.Cores, float64(line.RSS)/(1<<20), float64(line.Heap)/(1<<20),
			float64(line.Answered)/r.Seconds, line.Refused, 1000*line.Median, 1000*line.Worst)
	}
	for i, p := range []phase{r.Reports, r.Page} {
		for _, why := range slices.Sorted(maps.Keys(p.Why)) {
			fmt.Fprintf(w, "\nNot taken in line %d: %d (%s); the machine's load was %.0f.\n", i+2, p.Why[why], why, p.Load)
		}
	}
	fmt.Fprintln(w, "\n| document | KiB | KiB with gzip | made in, ms |\n|---|--:|--:|--:|")
	for _, path := range append(slices.Clone(weighed), "css", "js") {
		s := r.Sizes[path]
		name := map[string]string{"/": "the front page, `/`", "css": "its style sheet", "js": "its script"}[path]
		if name == "" {
			name = "`" + path + "`"
		}
		fmt.Fprintf(w, "| %s | %.1f | %.1f | %.0f |\n", name, float64(s.Bytes)/1024, float64(s.Gzip)/1024, 1000*s.Seconds)
	}
	fmt.Fprintf(w, "\nAn open page gets %.1f KiB of changes a second.\n", r.Events/1024)
}

// The marks between which a page has the result.
const beginMark, endMark = "<!-- reporting: go run ./integration/soak --reporting 1000 --results integration/soak/results --docs docs/metrics.md -->\n", "<!-- end -->\n"

// keep writes the result as JSON, and into a page between the marks.
func (r *reporting) keep(o options) error {
	if o.results != "" {
		text, err := json.MarshalIndent(r, "", " ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(o.results, "reporting.json"), append(text, '\n'), 0o644); err != nil {
			return err
		}
	}
	if o.docs == "" {
		return nil
	}
	page, err := os.ReadFile(o.docs)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(page), beginMark)
	_, after, ended := strings.Cut(rest, endMark)
	if !found || !ended {
		return fmt.Errorf("%s has no place for the result, which begins with %q and ends with %q", o.docs, beginMark, endMark)
	}
	var b strings.Builder
	r.print(&b)
	return os.WriteFile(o.docs, []byte(before+beginMark+b.String()+endMark+after), 0o644)
}
