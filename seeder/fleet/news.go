package fleet

import (
	"context"
	"log/slog"
	"math"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/internal/report"
)

// logSteps logs what a report adds to the one before of the same boot (the zero Report if there was none): one line at
// info level for each step that has finished since, with its seconds; a warning for a failure; the start of a step at
// debug level. A step whose end was never reported itself, because the network was not up yet or a report got lost, is
// logged when its duration is first seen.
func logSteps(log *slog.Logger, old, rep report.Report) {
	for _, step := range report.Steps {
		seconds, finished := rep.Durations[step]
		if before, ok := old.Durations[step]; finished && (!ok || before != seconds) {
			logStep(log, slog.LevelInfo, "node: step done", rep, step, finishedAttrs(rep, step, seconds)...)
		}
	}
	if old.Step == rep.Step && old.State == rep.State && old.Error == rep.Error {
		return
	}
	switch _, timed := rep.Durations[rep.Step]; {
	case rep.Step == report.Give && old.Step != report.Give:
		logStep(log, slog.LevelInfo, "node: its system runs, and it gives that away", rep, rep.Step)
	case rep.State == report.Failed:
		logStep(log, slog.LevelWarn, "node: step failed", rep, rep.Step, slog.String("err", rep.Error))
	case rep.State == report.Done && !timed:
		logStep(log, slog.LevelInfo, "node: step done", rep, rep.Step)
	case rep.State == report.Running:
		logStep(log, slog.LevelDebug, "node: step begun", rep, rep.Step)
	}
}

// linesPerSecond and lineBurst bound the lines that reports add to the seeder's log. A room of 10,000 that boots in ten minutes has 140
// a second; one that is switched on at once is within the burst.
const linesPerSecond, lineBurst = 200, 50000

// logNews logs what a report adds to the one before of the same boot.
func (f *Fleet) logNews(old, rep report.Report) {
	// A report has some three new lines, at most one a step and three more.
	if !f.lines.AllowN(f.cfg.Now(), 3) {
		if f.quiet.allow(f.cfg.Now()) {
			f.log.Warn("nodes report more than is logged; GET /api/nodes has all of it", "client", rep.IP)
		}
		return
	}
	logSteps(f.log, old, rep)
	logOther(f.log, old, rep)
}

// warnOfDisk says that lines of a node's log can't be kept.
func (f *Fleet) warnOfDisk(mac string, err error) {
	if f.full.allow(f.cfg.Now()) {
		f.log.Warn("nodes' logs can't be kept; they are sent again later", "mac", mac, "err", err)
	}
}

// seldom is something that is said once a minute at most. The zero value is ready.
type seldom struct {
	mu   sync.Mutex
	last time.Time
}

func (s *seldom) allow(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if age := now.Sub(s.last); age >= 0 && age < time.Minute {
		return false
	}
	s.last = now
	return true
}

// logOther logs what a report says beside steps that the one before did not: how a system ended, the fallback to HTTP,
// peers that send wrong data, and the node's SSH host key.
func logOther(log *slog.Logger, old, rep report.Report) {
	if e := rep.Exit; e != nil && !reflect.DeepEqual(e, old.Exit) {
		last := ""
		if len(e.Lines) > 0 {
			last = e.Lines[len(e.Lines)-1]
		}
		level := slog.LevelInfo
		if e.Code != 0 {
			level = slog.LevelWarn
		}
		logStep(log, level, "node: system ended", rep, rep.Step, slog.String("ended", e.System), slog.Int("code", e.Code),
			slog.String("reason", e.Reason), slog.String("last_line", last))
	}
	if rep.Fallback && !old.Fallback {
		logStep(log, slog.LevelWarn, "node: BitTorrent brings it nothing: it fetches by HTTP", rep, rep.Step)
	}
	for _, peer := range rep.Banned {
		if !slices.Contains(old.Banned, peer) {
			logStep(log, slog.LevelWarn, "node: a peer sent it wrong data", rep, rep.Step, slog.String("peer", peer.String()))
		}
	}
	if rep.HostKey != "" && rep.HostKey != old.HostKey {
		logStep(log, slog.LevelInfo, "node: SSH server", rep, rep.Step, slog.String("host_key", rep.HostKey))
	}
}

// logStep writes a line: which step, which node, and more.
func logStep(log *slog.Logger, level slog.Level, message string, rep report.Report, step report.Step, more ...slog.Attr) {
	a := []slog.Attr{slog.String("step", string(step)), slog.String("ip", rep.IP), slog.String("mac", rep.MAC)}
	if rep.Name != "" {
		a = append(a, slog.String("name", rep.Name))
	}
	if rep.System != "" {
		a = append(a, slog.String("system", rep.System))
	}
	log.LogAttrs(context.Background(), level, message, append(a, more...)...)
}

// finishedAttrs say how long a step took and, for fetch, how many bytes came from whom, and how many a second on average.
func finishedAttrs(rep report.Report, step report.Step, seconds float64) []slog.Attr {
	a := []slog.Attr{slog.Float64("seconds", math.Round(seconds*1000)/1000)}
	if step != report.Fetch {
		return a
	}
	a = append(a, slog.Int64("from_seeder", rep.FromSeeder), slog.Int64("from_nodes", rep.FromNodes),
		slog.Int64("from_http", rep.FromHTTP))
	if seconds > 0 {
		rate := float64(rep.Received()) / seconds
		a = append(a, slog.Int64("bytes_per_second", int64(min(rate, 1<<53))))
	}
	return a
}
