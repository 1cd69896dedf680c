package catalog

import (
	"errors"
	"fmt"
	"math"
)

// Seeding is when a node that has everything starts the system. It then leaves the swarm, where the system takes the
// machine over.
type Seeding struct {
	// Until is UntilTime, UntilSwarm or UntilRatio. A word that a node doesn't know means UntilTime to it.
	Until string `json:"until"`
	// Ratio is for UntilRatio: how much is given away, in sizes of the system.
	Ratio float64 `json:"ratio,omitempty"`
	// Limit is how long the node gives away at most, in seconds, whatever the swarm would like.
	Limit int `json:"limit"`
}

// The values of Seeding.Until.
const (
	// UntilTime is when the time is over: for Limit.
	UntilTime = "time"
	// UntilSwarm is when no other node lacks anything that this one has.
	UntilSwarm = "swarm"
	// UntilRatio is when the node has given away Ratio times the system.
	UntilRatio = "ratio"
)

// Leaving returns when nodes leave. Of a catalog without Seed, or with a word of a later release, it is after SeedTime.
func (d Defaults) Leaving() Seeding {
	switch d.Seed.Until {
	case UntilSwarm, UntilRatio:
		return d.Seed
	}
	return Seeding{Until: UntilTime, Limit: d.SeedTime}
}

func (s Seeding) validate() error {
	if s.Limit < 0 || s.Ratio < 0 || math.IsNaN(s.Ratio) || math.IsInf(s.Ratio, 0) {
		return fmt.Errorf("catalog: a limit of %d seconds and a ratio of %v for seeding", s.Limit, s.Ratio)
	}
	return nil
}

// Limits is the most that each node may take of its link, in bytes of payload per second; 0 is no limit.
type Limits struct {
	Upload   int64 `json:"upload,omitempty"`
	Download int64 `json:"download,omitempty"`
}

func (l Limits) validate() error {
	if l.Upload < 0 || l.Download < 0 {
		return errors.New("catalog: a limit below zero")
	}
	return nil
}
