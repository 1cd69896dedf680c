package nodes

import (
	"context"
	"log/slog"
	"math"

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
			log.Info("node: step done", append(attrs(rep, step, report.Done), stepAttrs(rep, step, seconds)...)...)
		}
	}
	if old.Step == rep.Step && old.State == rep.State && old.Error == rep.Error {
		return
	}
	switch _, timed := rep.Durations[rep.Step]; {
	case rep.State == report.Failed:
		log.Warn("node: step failed", append(attrs(rep, rep.Step, rep.State), slog.String("err", rep.Error))...)
	case rep.State == report.Done && !timed:
		log.Info("node: step done", attrs(rep, rep.Step, rep.State)...)
	case rep.State == report.Running && log.Enabled(context.Background(), slog.LevelDebug):
		log.Debug("node: step begun", attrs(rep, rep.Step, rep.State)...)
	}
}

// attrs say which node, which step.
func attrs(rep report.Report, step report.Step, state report.State) []any {
	a := []any{slog.String("mac", rep.MAC), slog.String("ip", rep.IP)}
	if rep.Name != "" {
		a = append(a, slog.String("name", rep.Name))
	}
	if rep.System != "" {
		a = append(a, slog.String("system", rep.System))
	}
	return append(a, slog.String("step", string(step)), slog.String("state", string(state)))
}

// stepAttrs say how long it took and, for fetch, how many bytes came from whom, and how many a second on average.
func stepAttrs(rep report.Report, step report.Step, seconds float64) []any {
	a := []any{slog.Float64("seconds", math.Round(seconds*1000)/1000)}
	if step != report.Fetch {
		return a
	}
	a = append(a, slog.Int64("from_seeder", rep.FromSeeder), slog.Int64("from_nodes", rep.FromNodes),
		slog.Int64("from_http", rep.FromHTTP))
	if seconds > 0 {
		rate := float64(rep.FromSeeder+rep.FromNodes+rep.FromHTTP) / seconds
		a = append(a, slog.Int64("bytes_per_second", int64(min(rate, 1<<53))))
	}
	return a
}
