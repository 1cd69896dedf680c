package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/seeder/selftest"
	"github.com/boottorrent/boottorrent/seeder/status"
)

func gauge(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
}

// What is asked for at each scrape.
var (
	catalogCreated = gauge("catalog_created_timestamp_seconds", "When the catalog that is served was made, in seconds since 1970; 0: none is served yet.")
	catalogCounter = gauge("catalog_sequence", "Counter of the catalog that is served, which only grows.")
	catalogSystems = gauge("catalog_systems", "Systems in the catalog that is served.")
	nodes          = gauge("nodes", "Nodes by the step and state that they reported last; off: its system ran, and it has been silent since.", "step", "state")
	fetching       = gauge("nodes_in_fallback", "Nodes that fetch by HTTP now, as BitTorrent brings them nothing.")
	downloading    = gauge("nodes_download_bytes_per_second", "Sum of the speeds at which nodes report to download.")
	peers          = gauge("tracker_peers", "Peers that the tracker knows, by system and whether they have all of it.", "system", "complete")
	connections    = gauge("seed_connections", "Connections of the seed.")
	storeBytes     = gauge("store_size_bytes", "Disk space that stored versions of systems take; blocks that a copy shares with its original count as well.")
	storeFree      = gauge("store_free_bytes", "Free space where the store is.")
	storeVersions  = gauge("store_versions", "Stored versions of systems, boot parts and runtimes.")
	systems        = gauge("systems", "Folders of systems by what became of them.", "state")
	problems       = gauge("site_problems", "Problems of the site's files, of all systems and of the site as a whole.")
	findings       = gauge("selftest_findings", "What the self-test found, by severity.", "severity")
	phase1Bytes    = gauge("phase1_sent_bytes", "Bytes of phase 1 since the seeder was started: by HTTP from the seeder, and as helpers report them.", "source")
	phase1Loads    = gauge("phase1_loads", "Machines that said since the seeder was started that they had loaded phase 1, by where from; fallback: they left a helper.", "source")
	phase1Now      = gauge("phase1_machines", "Machines that load phase 1 or wait for that now, and nodes that give it away.", "state")
	serviceUp      = gauge("service_up", "1 if a service that the site has on has its port, 0 if that could not be had.", "service")

	all = []*prometheus.Desc{
		catalogCreated, catalogCounter, catalogSystems, nodes, fetching, downloading, peers, connections, storeBytes, storeFree, storeVersions,
		systems, problems, findings, phase1Bytes, phase1Loads, phase1Now, serviceUp,
	}
)

// states are those of nodes: what they report, and off.
var states = []string{string(report.Running), string(report.Done), string(report.Failed), "off"}

// folderStates are status's states as labels.
var folderStates = map[status.State]string{
	status.Published: "published", status.Kept: "kept", status.LeftOut: "left_out", status.Writing: "writing", status.Storing: "storing",
	status.Manual: "manual", status.Unfinished: "unfinished", status.Fetching: "fetching", status.Elsewhere: "not_carried",
}

// now collects what is true at this moment.
type now struct{ *Metrics }

// Describe implements prometheus.Collector.
func (n now) Describe(out chan<- *prometheus.Desc) {
	for _, d := range append(all, mirrorMetrics...) {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (n now) Collect(out chan<- prometheus.Metric) {
	set := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	n.catalog(set)
	n.nodes(set)
	n.torrents(set)
	n.store(set)
	n.site(set)
	n.mirrors(set, func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	})
}

type setter func(d *prometheus.Desc, v float64, labels ...string)

func (n now) catalog(set setter) {
	if n.cfg.Catalog == nil {
		return
	}
	cat := n.cfg.Catalog()
	if cat == nil {
		cat = &catalog.Catalog{Created: time.Unix(0, 0)}
	}
	set(catalogCreated, float64(cat.Created.Unix()))
	set(catalogCounter, float64(cat.Counter))
	set(catalogSystems, float64(len(cat.Systems)))
}

func (n now) nodes(set setter) {
	if n.cfg.Nodes == nil {
		return
	}
	type place struct{ step, state string }
	count := map[place]int{}
	slow, speed, at := 0, int64(0), n.cfg.Now()
	n.cfg.Nodes(func(node *report.Node) {
		p := place{string(node.Step), string(node.State)}
		if node.SwitchedOff(at) {
			p.state = "off"
		}
		count[p]++
		if node.Step == report.Fetch && node.State == report.Running && at.Sub(node.Seen) < report.Silence {
			speed += min(max(node.Down, 0), maxGain)
			if node.Fallback {
				slow++
			}
		}
	})
	for _, step := range report.Steps {
		for _, state := range states {
			if state == "off" && step != report.Give {
				continue // of a node that is booting, silence says something else
			}
			set(nodes, float64(count[place{string(step), state}]), string(step), state)
		}
	}
	set(fetching, float64(slow))
	set(downloading, float64(speed))
}

func (n now) torrents(set setter) {
	if n.cfg.Torrents == nil {
		return
	}
	torrents := n.cfg.Torrents()
	if n.cfg.Peers != nil {
		whole, part := map[string]int{}, map[string]int{}
		for _, t := range torrents {
			complete, incomplete := n.cfg.Peers(t.InfoHash)
			n.mu.Lock()
			label := n.label(t.Name)
			n.mu.Unlock()
			whole[label] += complete
			part[label] += incomplete
		}
		for label := range whole {
			set(peers, float64(whole[label]), label, "yes")
			set(peers, float64(part[label]), label, "no")
		}
	}
	sum := 0
	for _, t := range torrents {
		sum += t.Connections
	}
	set(connections, float64(sum))
}

// sample counts what the seed has given away since the last time.
func (m *Metrics) sample() {
	m.mu.Lock()
	defer m.mu.Unlock()
	torrents, uploaded := m.cfg.Torrents(), map[catalog.InfoHash]int64{}
	for _, t := range torrents {
		gain := t.Uploaded - m.uploaded[t.InfoHash]
		if gain < 0 { // it was taken away and is seeded again
			gain = t.Uploaded
		}
		uploaded[t.InfoHash], m.sizes[t.Name] = t.Uploaded, t.Size
		m.give(bitTorrent, t.Name, gain)
	}
	for name := range m.sizes {
		if !m.names[name] && len(m.sizes) > 2*len(torrents) {
			delete(m.sizes, name)
		}
	}
	m.uploaded = uploaded
}

// sampleTime is how often it is looked what the seed gives away, so that little of a version is missed that is retired.
const sampleTime = 5 * time.Second

// Run counts what the seed gives away until ctx ends, whether somebody asks or not.
func (m *Metrics) Run(ctx context.Context) {
	if m.cfg.Torrents == nil {
		return
	}
	tick := time.NewTicker(sampleTime)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			m.sample()
		}
	}
}

// lookTime is for how long is taken what the store took: finding that out looks at each of its files.
const lookTime = time.Minute

func (n now) store(set setter) {
	if n.cfg.Store == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if age := n.cfg.Now().Sub(n.looked); n.looked.IsZero() || age < 0 || age > lookTime {
		size, err := n.cfg.Store()
		if err != nil {
			n.cfg.Log.Warn("what the store takes can't be found out", "err", err)
			return
		}
		n.onDisk, n.looked = size, n.cfg.Now()
	}
	set(storeBytes, float64(n.onDisk.Bytes))
	set(storeFree, float64(n.onDisk.Free))
	set(storeVersions, float64(n.onDisk.Versions))
}

func (n now) site(set setter) {
	if n.cfg.Systems != nil {
		site, count := n.cfg.Systems(), map[status.State]int{}
		wrong := len(site.Problems)
		for _, s := range site.Systems {
			count[s.State]++
			wrong += len(s.Problems)
		}
		for state, label := range folderStates {
			set(systems, float64(count[state]), label)
		}
		set(problems, float64(wrong))
		if p := site.Phase1; p != nil {
			set(phase1Bytes, float64(p.FromSeeder), "seeder")
			set(phase1Bytes, float64(p.FromHelpers), "helpers")
			set(phase1Loads, float64(p.LoadsSeeder), "seeder")
			set(phase1Loads, float64(p.LoadsHelpers), "helpers")
			set(phase1Loads, float64(p.Fallbacks), "fallback")
			set(phase1Now, float64(p.Loading), "loading")
			set(phase1Now, float64(p.Waiting), "waiting")
			set(phase1Now, float64(p.Helpers), "helping")
		}
	}
	if n.cfg.Findings != nil {
		count := map[selftest.Severity]int{}
		for _, f := range n.cfg.Findings() {
			count[f.Severity]++
		}
		for _, s := range []selftest.Severity{selftest.Problem, selftest.Warning, selftest.Note} {
			set(findings, float64(count[s]), string(s))
		}
	}
	if n.cfg.Services != nil {
		for service, up := range n.cfg.Services() {
			v := 0.0
			if up {
				v = 1
			}
			set(serviceUp, v, service)
		}
	}
}
