// Package status says what the seeder offers of each folder in a site's oss/, and why. It is one value, which the seeder's page,
// /api/systems and `seeder check` show.
package status

import (
	"fmt"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/internal/text"
	"github.com/boottorrent/boottorrent/seeder/helpers"
	"github.com/boottorrent/boottorrent/seeder/siblings"
)

// Path is where the seeder serves a [Site] as JSON.
const Path = "/api/systems"

// State is what became of a system's folder.
type State string

// The states.
const (
	// Published: nodes get the system as it is in its folder.
	Published State = "published"
	// Kept: the folder has problems, and nodes get the last version that had none.
	Kept State = "kept from before"
	// LeftOut: the folder has problems, and there was no version without.
	LeftOut State = "left out"
	// Writing: the folder is being written. Until that has ended, nodes get the version before, if there is one.
	Writing State = "being written"
	// Storing: the folder is at rest, and is being copied and hashed. Until that has ended, nodes get the version before, if there is one.
	Storing State = "being stored"
	// Manual: the folder has changed, and waits for `seeder publish`. Until then nodes get the version before, if there is one.
	Manual State = "manual"
	// Fetching: files of the system are on their way. Those that its config.yaml has from elsewhere (from:) are fetched whole before
	// nodes get any of them; until then they get the version before, if there is one. A mirror fetches a version that is listed already:
	// nodes that want its files get what is there, and wait for the rest.
	Fetching State = "being fetched"
	// Elsewhere: a mirror has not got the system's files. It fetches them when a node wants them.
	Elsewhere State = "not carried"
	// Unfinished: the folder has no config.yaml yet. Nodes get nothing.
	Unfinished State = "unfinished"
)

// Words says a state to a person, who may have to do something about it.
func (s State) Words() string {
	if s == Manual {
		return "has changed, and waits for '" + self.Seeder() + " publish'"
	}
	return string(s)
}

// Site is the status of a site.
type Site struct {
	// Counter is that of the catalog that is served; 0: none is yet.
	Counter uint64 `json:"counter,omitempty"`
	// Problems are those of the site as a whole, and those between systems. They stop no system.
	Problems []string `json:"problems,omitempty"`
	// Systems are those of all folders of oss/, by name; and by the runtime's name, QEMU's, if a system needs it.
	Systems []System `json:"systems"`
	// Mirror is how it stands with the seeder that this one follows; nil: it is the site's own. Mirrors are those that follow this one.
	Mirror  *Mirror           `json:"mirror,omitempty"`
	Mirrors []siblings.Mirror `json:"mirrors,omitempty"`
	// Phase1 is what was sent of phase 1 since the seeder was started, by whom, and who loads it now; nil: that is not known.
	Phase1 *helpers.Counts `json:"phase1,omitempty"`
}

// System is the status of one folder of oss/.
type System struct {
	Name  string `json:"name"`
	State State  `json:"state"`
	// Since is when the folder came into this state.
	Since time.Time `json:"since"`
	// InfoHash is that of the version nodes get; nil: none.
	InfoHash *catalog.InfoHash `json:"infohash,omitempty"`
	// Boot is that of its boot part; nil: it has none.
	Boot *catalog.InfoHash `json:"boot_infohash,omitempty"`
	// Fetch says how far the files are that come from elsewhere; nil: all are here, or there are none.
	Fetch *Fetch `json:"fetch,omitempty"`
	// Size is what a mirror has to fetch of the system's files, Done what it has, in bytes; both 0 elsewhere.
	Size int64 `json:"size,omitempty"`
	Done int64 `json:"done,omitempty"`
	// Problems say what is wrong and what to do, each as file:line:col: what; do, or as the words of a failed import.
	Problems []string `json:"problems,omitempty"`
}

// Fetch is how far the files of a system are that come from elsewhere.
type Fetch struct {
	// File is the one that is fetched now, the Number-th of Files, and From where it comes from, without what may be secret in a URL.
	File   string `json:"file,omitempty"`
	From   string `json:"from,omitempty"`
	Number int    `json:"number"`
	Files  int    `json:"files"`
	// Done is how much of all of them is here, and Total how much there is, in bytes; 0: that is not known yet.
	Done  int64 `json:"done"`
	Total int64 `json:"total,omitempty"`
	// Next is when what failed is tried again; nil: it is on its way.
	Next *time.Time `json:"next,omitempty"`
}

// Words says it to a person: 1.5 GiB of 4 GiB (37 %), root.squashfs from https://….
func (f Fetch) Words() string {
	s := text.Size(f.Done)
	if f.Total > 0 {
		s = fmt.Sprintf("%s of %s (%d %%)", s, text.Size(f.Total), 100*f.Done/f.Total)
	}
	if f.File != "" {
		s += fmt.Sprintf(", %s from %s", f.File, f.From)
	}
	if f.Next != nil {
		s += ", tried again at " + f.Next.Local().Format("15:04:05")
	}
	return s
}

// Says is what became of a system, in words.
func (s System) Says() string {
	if s.Fetch != nil {
		return s.State.Words() + ": " + s.Fetch.Words()
	}
	return s.State.Words()
}
