package site

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// Announce is what announces cost.
type Announce struct {
	// Kept says that each node keeps its connection; else each announce has a new one, as a node's first one has.
	Kept bool `json:"kept_connections"`
	// Known is how many peers the tracker knew at the end.
	Known int `json:"peers_known"`
	// PerSecond is how many were answered a second; CPU is what one cost the seeder, in microseconds of one processor.
	PerSecond float64 `json:"announces_per_second"`
	CPU       float64 `json:"cpu_microseconds"`
	// Median, Most are how long an answer took, in milliseconds.
	Median float64 `json:"median_ms"`
	Most   float64 `json:"most_ms"`
	// Resident is the seeder's memory then, in MiB.
	Resident float64 `json:"resident_mib"`
}

// workers is how many requests are on their way at a time.
const workers = 32

// announces has all nodes announce themselves, on new connections and on kept ones.
func (g *rig) announces(ctx context.Context, nodes int, each time.Duration) (all []Announce, err error) {
	crowd := g.nodes(nodes)
	defer closeAll(crowd)
	for _, keep := range []bool{false, true} {
		// All are known, and connected if they are to be, before it is measured.
		if _, err := g.announce(ctx, crowd, keep, 0); err != nil {
			return nil, err
		}
		a, err := g.announce(ctx, crowd, keep, each)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

// announce has the nodes announce in turn: for as long as it says, or each once if that is 0.
func (g *rig) announce(ctx context.Context, crowd []*node, keep bool, each time.Duration) (a Announce, err error) {
	times := make([]latencies, workers)
	began := readClock(g.seeder.Pid())
	all, ctx := errgroup.WithContext(ctx)
	for w := range workers {
		all.Go(func() error {
			for i := w; each > 0 || i < len(crowd); i += workers {
				if i >= len(crowd) {
					i = w
				}
				if each > 0 && time.Since(began.at) >= each {
					return nil
				}
				n := crowd[i] // no other worker's
				status, took, err := n.ask(ctx, http.MethodGet, g.announcePath(n), nil, io.Discard)
				if err != nil || status != http.StatusOK {
					return fmt.Errorf("announce: status %d: %w", status, err)
				}
				if times[w] = append(times[w], took); !keep {
					n.close()
				}
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		return a, err
	}
	now, spread := readClock(g.seeder.Pid()), slices.Concat(times...)
	a = Announce{
		Kept: keep, PerSecond: round(float64(len(spread)) / now.at.Sub(began.at).Seconds()),
		CPU:    round(float64((now.process - began.process).Microseconds()) / float64(len(spread))),
		Median: spread.median(), Most: spread.most(), Resident: resident(g.seeder.Pid()),
	}
	a.Known, err = g.known(ctx)
	return a, err
}

// known is how many incomplete peers the tracker knows (BEP 48).
func (g *rig) known(ctx context.Context) (int, error) {
	n := &node{host: g.crowd, to: g.seeder}
	defer n.close()
	var answer bytes.Buffer
	if _, _, err := n.ask(context.WithoutCancel(ctx), http.MethodGet, catalog.PathScrape+"?info_hash="+url.QueryEscape(string(g.torrent[:])), nil, &answer); err != nil {
		return 0, err
	}
	m := regexp.MustCompile(`10:incompletei(\d+)e`).FindSubmatch(answer.Bytes())
	if m == nil {
		return 0, fmt.Errorf("the tracker answered %q to a scrape", answer.String())
	}
	return strconv.Atoi(string(m[1]))
}

func (g *rig) nodes(count int) (crowd []*node) {
	for i := range count {
		crowd = append(crowd, &node{number: i, host: g.crowd, to: g.seeder})
	}
	return crowd
}

func closeAll(crowd []*node) {
	for _, n := range crowd {
		n.close()
	}
}

// announcePath is what a node that begins asks the tracker, as internal/swarm does.
func (g *rig) announcePath(n *node) string {
	q := url.Values{
		"info_hash": {string(g.torrent[:])}, "peer_id": {fmt.Sprintf("-BT0100-%012d", n.number)}, "port": {"6881"}, "uploaded": {"0"}, "downloaded": {"0"},
		"left": {"1048576"}, "compact": {"1"}, "numwant": {"200"},
	}
	return catalog.PathAnnounce + "?" + q.Encode()
}
