package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/seeder/forward"
	"github.com/boottorrent/boottorrent/seeder/status"
)

// What a mirror says of the seeder that it follows, and a seeder of its mirrors. Addresses of mirrors are no labels, as anybody may say that he
// is one.
var (
	mirrorInStep  = gauge("mirror_in_step", "1 if the seeder that this mirror follows answers, 0 if it does not; missing: this is no mirror.")
	mirrorSince   = gauge("mirror_in_step_since_timestamp_seconds", "When the mirror came in step or ceased to be, in seconds since 1970.")
	forwarded     = gauge("forwarded_total", "What nodes told this mirror since its start and the seeder that it follows took (sent), refused, or had no room to be kept for it (dropped).", "what", "result")
	forwardKept   = gauge("forward_kept", "What waits for the seeder that this mirror follows: reports, and batches of lines of logs.", "what")
	forwardBytes  = gauge("forward_kept_bytes", "The same in bytes.", "what")
	mirrors       = gauge("mirrors", "Mirrors that follow this seeder: in_step, behind (with an older catalog or none), unlisted (not reached where they say).", "state")
	mirroredNodes = gauge("nodes_behind_mirrors", "Nodes whose reports a mirror has handed on.")
	elsewhere     = gauge("elsewhere_tracker_peers", "Peers that the trackers of the seeder that is followed and of the mirrors say that they know, by whether they have all of it.", "complete")

	mirrorMetrics = []*prometheus.Desc{mirrorInStep, mirrorSince, forwarded, forwardKept, forwardBytes, mirrors, mirroredNodes, elsewhere}
)

// mirrors says how the site's seeders stand.
func (n now) mirrors(set, count setter) {
	if n.cfg.Systems == nil {
		return
	}
	s := n.cfg.Systems()
	states, complete, incomplete := map[string]int{}, 0, 0
	for _, m := range s.Mirrors {
		switch {
		case !m.Listed:
			states["unlisted"]++
		case m.Counter < s.Counter:
			states["behind"]++
		default:
			states["in_step"]++
		}
		complete, incomplete = complete+m.Complete, incomplete+m.Incomplete
	}
	for _, state := range []string{"in_step", "behind", "unlisted"} {
		set(mirrors, float64(states[state]), state)
	}
	behind := 0
	if n.cfg.Nodes != nil {
		n.cfg.Nodes(func(node *report.Node) {
			if node.Via != "" {
				behind++
			}
		})
	}
	set(mirroredNodes, float64(behind))
	if m := s.Mirror; m != nil {
		complete, incomplete = complete+m.Complete, incomplete+m.Incomplete
		n.mirror(set, count, m)
	}
	set(elsewhere, float64(complete), "yes")
	set(elsewhere, float64(incomplete), "no")
}

// mirror says how a mirror stands with the seeder that it follows.
func (n now) mirror(set, count setter, m *status.Mirror) {
	step := 0.0
	if m.InStep {
		step = 1
	}
	set(mirrorInStep, step)
	if !m.Since.IsZero() {
		set(mirrorSince, float64(m.Since.Unix()))
	}
	for what, c := range map[string]forward.Counts{"reports": m.Forward.Reports, "logs": m.Forward.Logs} {
		count(forwarded, float64(c.Sent), what, "sent")
		count(forwarded, float64(c.Refused), what, "refused")
		count(forwarded, float64(c.Dropped), what, "dropped")
		set(forwardKept, float64(c.Kept), what)
		set(forwardBytes, float64(c.KeptBytes), what)
	}
}
