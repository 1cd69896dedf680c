// Package metrics counts what the seeder does, for Prometheus: in go what services tell of each request, transfer and report, and, when
// somebody asks, what the seeder knows at that moment; out comes /metrics in Prometheus' text format or OpenMetrics.
//
// There is one registry and nothing global. Services know nothing of Prometheus: each has a function in its configuration that it
// calls, and the methods here are those functions.
//
// Labels have few values, all of them ours: a system's name is one as long as the catalog has it, everything else is "other". Nothing that
// strangers send becomes a label. What nodes report is theirs, though, and counted as they say it: whoever can reach the seeder can
// make those numbers larger.
package metrics

import (
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/swarm"
	"github.com/boottorrent/boottorrent/internal/version"
	"github.com/boottorrent/boottorrent/seeder/selftest"
	"github.com/boottorrent/boottorrent/seeder/status"
	"github.com/boottorrent/boottorrent/seeder/store"
)

// Path is where the seeder serves them.
const Path = "/metrics"

// other is the label of a system that the catalog doesn't have.
const other = "other"

// Config is what is asked when somebody wants to know. All functions must be safe for several goroutines; nil ones leave out what they tell.
type Config struct {
	Log *slog.Logger     // nil: nothing is logged
	Now func() time.Time // nil: time.Now
	// Catalog is the one that is served; nil: none is yet.
	Catalog func() *catalog.Catalog
	// Nodes calls its argument for each node, which must not keep it.
	Nodes func(func(*report.Node))
	// Torrents is what the seed gives away.
	Torrents func() []swarm.Torrent
	// Peers is how many peers the tracker knows of a torrent, of those that have all of it and of those that don't.
	Peers func(catalog.InfoHash) (complete, incomplete int)
	// Store is what the versions on the disk take.
	Store func() (store.Size, error)
	// Systems is what became of each system's folder, Findings what the self-test found.
	Systems  func() status.Site
	Findings func() []selftest.Finding
	// Services says of each service that the site has on whether its port could be had.
	Services func() map[string]bool
}

// Metrics is everything that is counted. Its methods may be called from any goroutine.
type Metrics struct {
	cfg      Config
	registry *prometheus.Registry
	began    time.Time

	httpRequests, httpBytes *prometheus.CounterVec
	dhcpRequests            *prometheus.CounterVec
	tftpRequests            *prometheus.CounterVec
	tftpBytes               prometheus.Counter
	announces               *prometheus.CounterVec
	sent, copies            *prometheus.CounterVec
	received                *prometheus.CounterVec
	steps                   *prometheus.HistogramVec
	failures                *prometheus.CounterVec
	boots, fallbacks, bans  prometheus.Counter

	mu sync.Mutex
	// names are the systems and runtimes of the catalog that named is, labels those that were used.
	named  *catalog.Catalog
	names  map[string]bool
	labels map[string]bool
	// uploaded is what the seed has given away of each torrent, as far as it is counted; sizes are those of torrents by their names.
	uploaded map[catalog.InfoHash]int64
	sizes    map[string]int64
	// onDisk is what the store took when it was last looked, at looked.
	onDisk store.Size
	looked time.Time
}

// stepBuckets are seconds: from what a step without work takes to somebody who chooses after lunch.
var stepBuckets = []float64{0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 120, 300, 600, 1800, 3600}

// New returns metrics that have counted nothing yet.
func New(cfg Config) *Metrics {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	m := &Metrics{
		cfg: cfg, registry: prometheus.NewRegistry(), began: cfg.Now(),
		names: map[string]bool{}, labels: map[string]bool{}, uploaded: map[catalog.InfoHash]int64{}, sizes: map[string]int64{},
	}
	m.httpRequests = m.counters("http_requests_total", "HTTP requests by kind and status code; 503 is told to who has to come again.", "kind", "code")
	m.httpBytes = m.counters("http_sent_bytes_total", "Bytes of HTTP answers without headers, by kind of request.", "kind")
	m.dhcpRequests = m.counters("dhcp_requests_total", "DHCP messages by type and outcome; ignored are those that are for nobody here.", "message", "outcome")
	m.tftpRequests = m.counters("tftp_requests_total", "TFTP requests by outcome.", "outcome")
	m.tftpBytes = m.counter("tftp_sent_bytes_total", "Bytes of files that were sent whole by TFTP.")
	m.announces = m.counters("tracker_announces_total", "Announces at the tracker by event and outcome.", "event", "outcome")
	m.sent = m.counters("seed_sent_bytes_total", "Payload of systems that this seeder sent, by protocol and system.", "protocol", "system")
	m.copies = m.counters("seed_sent_copies_total", "Copies of a system that this seeder sent: payload by its size. It should grow by little more than one when a room boots.", "system")
	m.received = m.counters("node_received_bytes_total", "Payload of systems that nodes report to have received, by source and system.", "source", "system")
	m.steps = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: "node_step_duration_seconds", Help: "Time that nodes report of finished steps; choose has the wait for a person in it.",
		Buckets: stepBuckets,
	}, []string{"step"})
	m.registry.MustRegister(m.steps)
	m.failures = m.counters("node_step_failures_total", "Steps that nodes reported as failed.", "step")
	m.boots = m.counter("node_boots_total", "Boots of which a first report came.")
	m.fallbacks = m.counter("node_fallbacks_total", "Times that a node reported to fetch by HTTP, as BitTorrent brought it nothing.")
	m.bans = m.counter("node_bans_total", "Peers that nodes reported to have banned, as they sent wrong data.")
	m.begin()
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), buildInfo(), now{m})
	return m
}

const namespace = "boottorrent"

func (m *Metrics) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help})
	m.registry.MustRegister(c)
	return c
}

func (m *Metrics) counters(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	m.registry.MustRegister(c)
	return c
}

// begin makes the series whose labels are known, so that the first event is an increase and not the beginning of a series.
func (m *Metrics) begin() {
	for _, s := range report.Steps {
		m.steps.WithLabelValues(string(s))
		m.failures.WithLabelValues(string(s))
	}
	for _, source := range sources {
		m.received.WithLabelValues(source, other)
	}
	for _, protocol := range []string{bitTorrent, overHTTP} {
		m.sent.WithLabelValues(protocol, other)
	}
	m.copies.WithLabelValues(other)
}

// buildInfo is the usual constant whose labels say which program this is.
func buildInfo() prometheus.Collector {
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "1, with the release of this seeder and the revision of its source as labels.",
		ConstLabels: prometheus.Labels{"release": version.Release, "revision": version.Revision()},
	})
	g.Set(1)
	return g
}

// Handler answers GET with all metrics.
func (m *Metrics) Handler() http.Handler {
	all := promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(m.cfg.Log.Handler(), slog.LevelWarn), ErrorHandling: promhttp.ContinueOnError, EnableOpenMetrics: true,
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m.cfg.Torrents != nil {
			m.sample() // before anything is collected: collectors run side by side
		}
		all.ServeHTTP(w, r)
	})
}
