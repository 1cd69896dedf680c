package sim

import (
	"math"
	"slices"
	"time"
)

// Result is how a run went. The names are those of the results of real runs, as far as both have them.
type Result struct {
	Scenario
	Engine string `json:"engine"`
	// TFirst, TMedian and TLast are when a node had the image, from the start of the first, and TMin the bound; seconds.
	TFirst  float64 `json:"t_first"`
	TMedian float64 `json:"t_median"`
	TLast   float64 `json:"t_last"`
	TMin    float64 `json:"t_min"`
	// Ratio is TLast / TMin.
	Ratio float64 `json:"ratio"`
	// SeederCopies and UplinkCopies are what the seeder sent, and what a rack took from outside on average, in images.
	SeederCopies float64 `json:"seeder_copies"`
	UplinkCopies float64 `json:"uplink_copies"`
	// UplinkIn and UplinkOut are the most that an uplink carried in each direction, and MirrorCopies the most that a mirror sent, in images.
	UplinkIn     float64 `json:"uplink_in_most"`
	UplinkOut    float64 `json:"uplink_out_most"`
	MirrorCopies float64 `json:"mirror_copies_most,omitempty"`
	// TMirror is when the last mirror had the image, if all had it before the last node; else 0.
	TMirror float64 `json:"t_mirror_last,omitempty"`
	// MirrorAnnounces is the most announces within a second at a mirror's tracker.
	MirrorAnnounces int `json:"mirror_announces_peak_per_s,omitempty"`
	// Announces is how many the seeder's tracker got, AnnouncesPeak the most within a second.
	Announces     int `json:"announces"`
	AnnouncesPeak int `json:"announces_peak_per_s"`
	// SeederPeers is the most connections the seeder had, SeederRefused how often it turned a node away.
	SeederPeers   int `json:"seeder_peers"`
	SeederRefused int `json:"seeder_refused"`
	// Waste is the part of what came in that had come already.
	Waste float64 `json:"waste"`
	// Events and WallS are the work of the simulation: events, and seconds of real time.
	Events int64   `json:"events"`
	WallS  float64 `json:"wall_s"`
}

// result is how the room did.
func (r *room) result() Result {
	var ends []time.Duration
	var came, wasted int64
	for _, d := range r.clients() {
		ends = append(ends, d.finished)
		came += d.blocks
		wasted += d.wasted
	}
	slices.Sort(ends)
	image := float64(r.pieces() * r.blocks())
	res := Result{
		Scenario: *r.Scenario, Engine: "boottorrent (simulated)",
		TFirst: ends[0].Seconds(), TMedian: ends[(len(ends)-1)/2].Seconds(), TLast: ends[len(ends)-1].Seconds(), TMin: r.Least().Seconds(),
		SeederCopies: float64(r.nodes[0].upload.blocks) / image, Announces: r.trackers[0].announces, AnnouncesPeak: r.trackers[0].peak(),
		SeederPeers: r.peers, SeederRefused: r.refused, Waste: float64(wasted) / float64(came), Events: r.events,
	}
	res.Ratio = res.TLast / res.TMin
	for _, k := range r.racks {
		res.UplinkCopies += float64(k.in.blocks) / image / float64(len(r.racks))
		res.UplinkIn, res.UplinkOut = max(res.UplinkIn, float64(k.in.blocks)/image), max(res.UplinkOut, float64(k.out.blocks)/image)
	}
	for _, m := range r.nodes[1:len(r.trackers)] {
		res.MirrorCopies = max(res.MirrorCopies, float64(m.upload.blocks)/image)
		res.MirrorAnnounces = max(res.MirrorAnnounces, r.trackers[m.index].peak())
		res.TMirror = max(res.TMirror, m.finished.Seconds())
		if !m.complete {
			res.TMirror = math.Inf(1)
		}
	}
	if math.IsInf(res.TMirror, 1) {
		res.TMirror = 0
	}
	return res
}
