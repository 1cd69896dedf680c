package sim

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/boottorrent/boottorrent/internal/swarm/pick"
)

// blockSize is the unit of transfer, in bytes.
const blockSize = pick.BlockSize

// Scenario is a room, and what its nodes want. Default gives one to change.
type Scenario struct {
	// Name says in the results what this is.
	Name string `json:"scenario"`
	// Nodes is how many want the image, Racks how many racks they are spread over evenly; the seeder is in none.
	Nodes int `json:"nodes"`
	Racks int `json:"racks"`
	// Size is the image's, PieceLength a piece's, in bytes: at most 64 blocks of 16 KiB.
	Size        int64 `json:"size"`
	PieceLength int64 `json:"piece_length"`
	// Seeder is the seeder's link, Link a node's, Uplink a rack's, each in bits per second and in each direction. An
	// Uplink of 0 has no limit.
	Seeder int64 `json:"seeder_bps"`
	Link   int64 `json:"link_bps"`
	Uplink int64 `json:"uplink_bps"`
	// Delay is how long a message takes, besides what waits before it: a request to be heard, a piece to be known of.
	Delay time.Duration `json:"delay_ns"`
	// Spread is the time over which the nodes come up, at random.
	Spread time.Duration `json:"spread_ns"`
	// Interval, Numwant, Conns and SeederConns are the tracker's interval, the peers that a node asks it for, and the
	// most connections of a node and of the seeder.
	Interval    time.Duration `json:"interval_ns"`
	Numwant     int           `json:"numwant"`
	Conns       int           `json:"conns"`
	SeederConns int           `json:"seeder_conns"`
	// Near and Far are, for a tracker that knows the racks, the most peers in a list that are in the asker's own rack and
	// that are not. Both 0: it takes them at random.
	Near int `json:"near"`
	Far  int `json:"far"`
	// Mirrors has a mirror in each rack, with a link of its own: its rack's nodes have it for their seeder and tracker, and it fetches the
	// image from the seeder and the other mirrors while it gives. Kept says that it has the image from the start.
	Mirrors bool  `json:"mirrors,omitempty"`
	Mirror  int64 `json:"mirror_bps,omitempty"`
	Kept    bool  `json:"kept,omitempty"`
	// Rule is what a node makes of what an incomplete mirror has.
	Rule Rule `json:"mirror_rule,omitempty"`
	// Seed makes the run; the same one makes the same run.
	Seed uint64 `json:"seed"`
}

// Rule is what a node makes of the pieces that its mirror has before it has all.
type Rule string

const (
	// AsPeer takes the mirror for a node like others: what it has is out, and a share falls to it.
	AsPeer Rule = "peer"
	// AsSeeder takes it for the seeder: what it has is not out, and any piece may be chosen.
	AsSeeder Rule = "seeder"
	// AsOffered is AsSeeder, but only a piece that the mirror has is chosen. This is what internal/swarm does.
	AsOffered Rule = "offered"
)

// Default is a room of equal links with what nodes and seeder do as they come (internal/swarm, seeder/tracker).
func Default() Scenario {
	return Scenario{
		Nodes: 16, Racks: 1, Size: 64 << 20, PieceLength: 64 << 10,
		Seeder: 100e6, Link: 100e6,
		Delay: 2 * time.Millisecond, Spread: 100 * time.Millisecond,
		Interval: 5 * time.Second, Numwant: 200, Conns: 80, SeederConns: 500, Seed: 1, Rule: AsOffered,
	}
}

// check reports what cannot be simulated.
func (s *Scenario) check() error {
	switch {
	case s.Nodes < 1 || s.Racks < 1 || s.Racks > s.Nodes:
		return fmt.Errorf("%d nodes in %d racks: at least one node in each rack is needed", s.Nodes, s.Racks)
	case s.PieceLength < blockSize || s.PieceLength > 64*blockSize || s.PieceLength%blockSize != 0:
		return fmt.Errorf("pieces of %d bytes: 1 to 64 blocks of %d bytes can be simulated", s.PieceLength, blockSize)
	case s.Size < s.PieceLength || s.pieces() > 1<<16:
		return fmt.Errorf("%d bytes in pieces of %d: 1 to 65536 pieces can be simulated", s.Size, s.PieceLength)
	case s.Seeder <= 0 || s.Link <= 0 || s.Uplink < 0:
		return errors.New("the links of seeder and nodes need a speed")
	case s.Mirrors && s.Mirror <= 0:
		return errors.New("the links of mirrors need a speed")
	case s.Mirrors && s.Rule != AsPeer && s.Rule != AsSeeder && s.Rule != AsOffered:
		return fmt.Errorf("mirrors: the rule is %q, want %s, %s or %s", s.Rule, AsPeer, AsSeeder, AsOffered)
	case s.Conns < 1 || s.SeederConns < 1 || s.Numwant < 1 || s.Interval <= 0 || s.Delay < 0 || s.Spread < 0:
		return errors.New("connections, numwant and interval must be more than 0, times not negative")
	}
	return nil
}

// pieces is how many there are: the last one is as long as the others here.
func (s *Scenario) pieces() int { return int((s.Size + s.PieceLength - 1) / s.PieceLength) }

// blocks is how many a piece has.
func (s *Scenario) blocks() int { return int(s.PieceLength / blockSize) }

// Least is the least time in which all nodes can have the image, as a fluid (SWARM.md) and with uplinks: a rack gets the
// image at least once through its uplink, and what its n nodes need comes from there, from its mirror and from themselves.
func (s *Scenario) Least() time.Duration {
	f, n, seeder, node := float64(s.pieces())*float64(s.PieceLength)*8, float64(s.Nodes), float64(s.Seeder), float64(s.Link)
	t := max(f/seeder, f/node, n*f/(seeder+n*node))
	if in := math.Ceil(n / float64(s.Racks)); s.Mirrors {
		if t = max(f/node, in*f/(float64(s.Mirror)+in*node)); !s.Kept {
			t = max(t, f/seeder, f/float64(s.Mirror))
			if s.Uplink > 0 {
				t = max(t, f/float64(s.Uplink))
			}
		}
		return time.Duration(t * float64(time.Second))
	}
	if up := float64(s.Uplink); up > 0 {
		in := float64((s.Nodes + s.Racks - 1) / s.Racks)
		t = max(t, f/up, in*f/(up+in*node))
	}
	return time.Duration(t * float64(time.Second))
}
