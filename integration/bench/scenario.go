package main

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/boottorrent/boottorrent/internal/swarm"
)

// scenario is a room and what happens in it.
type scenario struct {
	Name  string `json:"scenario"`
	Nodes int    `json:"nodes"`
	// Link is the speed of a node's cable and Server that of the seeder's, both ways, in bits per second; 0 is as fast as
	// the machine can.
	Link   float64 `json:"link_bps"`
	Server float64 `json:"server_bps"`
	// Stagger is the time over which the nodes' beginnings are spread evenly.
	Stagger time.Duration `json:"stagger_ns"`
	// Image is the size of the image, in bytes.
	Image int64 `json:"image_bytes"`
	// Piece is the size of its pieces, in bytes.
	Piece int64 `json:"piece_bytes"`
}

// preset is a row of the project's table.
type preset struct {
	name, says string
	// nodes are the numbers of nodes if the caller names none; defaultNodes if it is empty.
	nodes []int
	// fixed says that no other numbers of nodes make sense.
	fixed bool
	// server is the seeder's speed as a multiple of a node's; 0 is no shaping at all.
	server float64
	// link is the speed of a node's link in Mbit/s if it is not one that leaves the processors time (linkFor).
	link float64
	// stagger spreads the beginnings over this part of the least possible time.
	stagger float64
	// image is the size in MiB if it is not defaultImage.
	image int64
	// processors says that they are the limit, and not the links.
	processors bool
}

var presets = []preset{
	{name: "equal", says: "the seeder's link is like a node's", server: 1},
	{name: "server10", says: "the seeder's link is ten times a node's", server: 10},
	{name: "quarter", says: "the seeder's link is a quarter of a node's", server: 0.25},
	{name: "stagger", says: "equal links, arrivals spread over half of the least possible time", server: 1, stagger: 0.5},
	{name: "single", says: "one node, the seeder's link like its own", nodes: []int{1}, fixed: true, server: 1},
	{name: "fast", says: "links of 1 Gbit/s, the seeder's too: processors are the limit", nodes: []int{4, 6, 8, 16}, server: 1, link: 1000, image: 256, processors: true},
	{name: "unshaped", says: "one or two nodes, as fast as the machine can", nodes: []int{1, 2}, fixed: true, image: 1024, processors: true},
}

// defaultNodes is how many nodes there are if neither the caller nor the scenario says so.
const defaultNodes = 8

// defaultImage is the size of an image in bytes.
const defaultImage = 64 << 20

// budget is how much a processor can take in all nodes together, in bits per second, before it is the limit itself: some
// 100 Mbit/s for the engine that needs most (SWARM.md: 26 CPU seconds for 8 × 64 MiB on two processors in 20 s).
const budget = 100e6

// choice is what the caller may choose of a scenario; zero values leave it to the preset.
type choice struct {
	nodes        []int
	link, server float64 // bits per second
	stagger      time.Duration
	image, piece int64 // bytes
}

// newScenarios returns a preset with the caller's choices, one scenario for each number of nodes.
func newScenarios(name string, c choice) (all []scenario, err error) {
	i := slices.IndexFunc(presets, func(p preset) bool { return p.name == name })
	if i < 0 {
		var known []string
		for _, p := range presets {
			known = append(known, p.name+" ("+p.says+")")
		}
		return nil, fmt.Errorf("unknown scenario %q: want some of %s", name, strings.Join(known, ", "))
	}
	p := presets[i]
	for _, n := range p.numbers(c.nodes) {
		all = append(all, p.scenario(n, c))
	}
	return all, nil
}

// numbers are the numbers of nodes to measure. Where the preset's are fixed, only those of the caller's count that are among them, or
// all if none is.
func (p preset) numbers(wanted []int) []int {
	if p.fixed {
		wanted = slices.DeleteFunc(slices.Clone(wanted), func(n int) bool { return !slices.Contains(p.nodes, n) })
	}
	switch {
	case len(wanted) > 0:
		return wanted
	case len(p.nodes) > 0:
		return p.nodes
	}
	return []int{defaultNodes}
}

// scenario is the preset with n nodes and the caller's choices.
func (p preset) scenario(n int, c choice) scenario {
	s := scenario{Name: p.name, Nodes: n, Link: cmp.Or(c.link, p.link*1e6), Server: c.server, Stagger: c.stagger, Image: cmp.Or(c.image, p.image<<20, defaultImage)}
	s.Piece = cmp.Or(c.piece, swarm.PieceLength(s.Image))
	switch {
	case p.server == 0:
		s.Link, s.Server = 0, 0
	case s.Link == 0:
		s.Link = linkFor(s.Nodes)
	}
	if s.Server == 0 {
		s.Server = p.server * s.Link
	}
	if s.Stagger == 0 {
		s.Stagger = time.Duration(p.stagger * float64(s.least()))
	}
	return s
}

// linkFor is a speed for the links of that many nodes at which the processors have time left, in bits per second: whole
// Mbit/s, at least 1 and at most 100.
func linkFor(nodes int) float64 {
	mbit := int(budget / 1e6 * float64(runtime.NumCPU()) / float64(nodes))
	return float64(min(max(mbit, 1), 100)) * 1e6
}

// least is the bound of the scenario: [leastTime] of its links.
func (s scenario) least() time.Duration {
	return leastTime(s.Image, s.Nodes, s.Server, s.Link, s.Link)
}

// bound is what each node's time is compared with. When all begin at once it is the room's bound. With arrivals spread
// it is that of a node alone, which a node may reach only if the others' uploads make up for what the seeder gives them.
func (s scenario) bound() time.Duration {
	if s.Stagger > 0 {
		return leastTime(s.Image, 1, s.Server, s.Link, s.Link)
	}
	return s.least()
}

// leastTime is the least time in which all nodes can have an image of size bytes if data were a fluid:
//
//	T_min = max(F/S, F/d, N·F/(S+N·u))
//
// S is the seeder's upload speed, d and u are a node's download and upload speed, in bits per second. The first is the
// seeder sending each byte once, the second a node receiving all, the third everybody's upload together. It is 0 if a
// speed is 0: unlimited links have no such bound.
func leastTime(size int64, nodes int, seeder, down, up float64) time.Duration {
	if seeder <= 0 || down <= 0 || up <= 0 || nodes < 1 {
		return 0
	}
	bits, n := float64(size)*8, float64(nodes)
	seconds := max(bits/seeder, bits/down, n*bits/(seeder+n*up))
	if nodes == 1 {
		seconds = max(bits/seeder, bits/down) // a single node has nobody to upload to
	}
	return time.Duration(seconds * float64(time.Second))
}

// String is for titles.
func (s scenario) String() string {
	links := "unshaped"
	if s.Link > 0 {
		links = fmt.Sprintf("links of %s, seeder %s Mbit/s", trim(s.Link/1e6), trim(s.Server/1e6))
	}
	text := fmt.Sprintf("%s, N=%d, %d MiB in pieces of %d KiB, %s", s.Name, s.Nodes, s.Image>>20, s.Piece>>10, links)
	if s.Stagger > 0 {
		text += fmt.Sprintf(", arrivals over %.1f s", s.Stagger.Seconds())
	}
	return text
}

// trim writes a number with as many digits after the point as it needs, at most two.
func trim(f float64) string {
	return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%.2f", f), "0"), ".")
}
