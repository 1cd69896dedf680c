package metrics

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/boottorrent/boottorrent/internal/report"
)

// HTTP counts an answered request: its kind, the answer's status and bytes.
func (m *Metrics) HTTP(kind string, code int, bytes int64) {
	m.httpRequests.WithLabelValues(kind, codeLabel(code)).Inc()
	add(m.httpBytes.WithLabelValues(kind), bytes)
}

// codeLabel is a status as a label; what is no status of HTTP is 0.
func codeLabel(code int) string {
	if code < 100 || code > 599 {
		return "0"
	}
	return strconv.Itoa(code)
}

// DHCP counts a message by its type and what became of it.
func (m *Metrics) DHCP(message, outcome string) {
	m.dhcpRequests.WithLabelValues(message, outcome).Inc()
}

// TFTP counts a request by what became of it, and the bytes of a file that was sent.
func (m *Metrics) TFTP(outcome string, bytes int64) {
	m.tftpRequests.WithLabelValues(outcome).Inc()
	add(m.tftpBytes, bytes)
}

// Announce counts an announce at the tracker.
func (m *Metrics) Announce(event, outcome string) { m.announces.WithLabelValues(event, outcome).Inc() }

// The protocols by which the seeder sends systems.
const bitTorrent, overHTTP = "bittorrent", "http"

// File counts bytes of a system's file that were sent by HTTP.
func (m *Metrics) File(system string, bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.give(overHTTP, system, bytes)
}

// give counts payload that was sent of a system. m.mu is held.
func (m *Metrics) give(protocol, system string, bytes int64) {
	label := m.label(system)
	add(m.sent.WithLabelValues(protocol, label), bytes)
	if size := m.sizes[system]; size > 0 && bytes > 0 {
		m.copies.WithLabelValues(label).Add(float64(bytes) / float64(size))
	}
}

// add adds to a counter what is not less than zero.
func add(c prometheus.Counter, n int64) {
	if n > 0 {
		c.Add(float64(n))
	}
}

// label is the label of a system. m.mu is held.
func (m *Metrics) label(system string) string {
	if m.cfg.Catalog != nil {
		if cat := m.cfg.Catalog(); cat != nil && cat != m.named {
			m.named, m.names = cat, map[string]bool{}
			for _, s := range cat.Systems {
				m.names[s.Name] = true
			}
			for _, r := range cat.Runtimes {
				m.names[r.Name] = true
			}
			m.forget()
		}
	}
	if !m.names[system] {
		return other
	}
	m.labels[system] = true
	return system
}

// forget ends the series of systems that the catalog no longer has.
func (m *Metrics) forget() {
	for system := range m.labels {
		if m.names[system] {
			continue
		}
		for _, c := range []*prometheus.CounterVec{m.sent, m.copies, m.received} {
			c.DeletePartialMatch(prometheus.Labels{"system": system})
		}
		delete(m.labels, system)
	}
}

// sources are from where nodes receive: the seeder and other nodes over BitTorrent, and HTTP.
var sources = []string{"seeder", "nodes", overHTTP}

// maxStep is the longest time of a step that is believed, maxGain the most bytes that a node can have got between two reports.
const (
	maxStep = 7 * 24 * time.Hour
	maxGain = 1 << 42
)

// Report counts what a node's report adds to the one before of the same boot; the zero Report: there was none.
func (m *Metrics) Report(old, rep report.Report) {
	if old.MAC == "" {
		// What a node did before this seeder was started has been counted by the one before, or by none.
		if rep.Uptime > m.cfg.Now().Sub(m.began).Seconds() {
			return
		}
		m.boots.Inc()
	}
	for step, seconds := range rep.Durations {
		if before, known := old.Durations[step]; (!known || before != seconds) && report.Index(step) >= 0 && seconds >= 0 && seconds <= maxStep.Seconds() {
			m.steps.WithLabelValues(string(step)).Observe(seconds)
		}
	}
	if rep.State == report.Failed && (old.State != report.Failed || old.Step != rep.Step) {
		m.failures.WithLabelValues(string(rep.Step)).Inc()
	}
	if rep.Fallback && !old.Fallback {
		m.fallbacks.Inc()
	}
	for _, peer := range rep.Banned {
		known := false
		for _, before := range old.Banned {
			known = known || before == peer
		}
		if !known {
			m.bans.Inc()
		}
	}
	m.gains(old, rep)
}

// gains counts what a node has received since the report before.
func (m *Metrics) gains(old, rep report.Report) {
	if old.InfoHash != rep.InfoHash {
		old.Transfer = report.Transfer{}
	}
	m.mu.Lock()
	label := m.label(rep.System)
	m.mu.Unlock()
	for i, pair := range [][2]int64{{old.FromSeeder, rep.FromSeeder}, {old.FromNodes, rep.FromNodes}, {old.FromHTTP, rep.FromHTTP}} {
		gain := pair[1] - pair[0]
		if gain < 0 { // it counts anew, as under another kernel
			gain = pair[1]
		}
		add(m.received.WithLabelValues(sources[i], label), min(gain, maxGain))
	}
}
