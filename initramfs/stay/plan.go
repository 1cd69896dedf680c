// Package stay is the process that stays when a system of the method root has taken the machine over: it gives the system's images
// away as long as that runs.
package stay

import (
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/report"
)

// Plan is what boot tells the process that stays, as JSON in PlanFile.
type Plan struct {
	System catalog.System   `json:"system"`
	Files  catalog.FileList `json:"files"`
	// Torrent is the metainfo file (BEP 3).
	Torrent []byte `json:"torrent"`
	// PublicKey is the site's, by which orders and catalogs are believed; empty: none are. Counter is that of the catalog that boot took.
	PublicKey string `json:"public_key,omitempty"`
	Counter   uint64 `json:"counter,omitempty"`
	// Seeder is the base URL of the seeder, Seeders are those that the node knows, that one first.
	Seeder  string                  `json:"seeder"`
	Seeders []catalog.SeederAddress `json:"seeders,omitempty"`
	Limits  catalog.Limits          `json:"limits"`
	// Port is where it listens for other nodes (TCP).
	Port uint16 `json:"port"`
	// Report is the last one of boot, which those of this process go on from.
	Report report.Report `json:"report"`
	// Part is the boot part of the system, which is given away too; nil: it is not here.
	Part *Part `json:"part,omitempty"`
	// Give is false where nothing is to be given away: then the process only removes the old root file system, and ends.
	Give bool `json:"give"`
}

// Part is one more torrent to give away: its files are Dir/NAME/PATH, in the old root file system, which the process opens before it
// empties that.
type Part struct {
	System  catalog.System   `json:"system"`
	Files   catalog.FileList `json:"files"`
	Torrent []byte           `json:"torrent"`
	Dir     string           `json:"dir"`
}

// How init starts the process, before it moves any mount and becomes the system's init itself: the program [Program] with the
// arguments [Args], the folder that the system's files are in (System.Name/PATH below it) as its working directory, a session of its
// own (setsid(2)), and the descriptors below. It sees the old root file system for as long as it lives.
const (
	// Program is the command, which is one of many in one busybox.
	Program = "/bbin/stay"
	// Name is how it is seen by ps. systemd leaves processes alone whose name begins with @
	// (https://systemd.io/ROOT_STORAGE_DAEMONS).
	Name = "@boottorrent"
	// PlanName is the file in the folder of StatusFD in which boot writes the plan, PlanFile its path before the mounts move.
	PlanName = "stay.json"
	PlanFile = "/run/boottorrent/" + PlanName
	// StartedFD is the reading end of a pipe that is closed when the system's init runs: then the old root file system may be
	// removed. A byte in it says that init could not be run; then nothing may be.
	StartedFD = 3
	// StatusFD is the folder /run/boottorrent, as an open directory, which the process can't name once the system has started.
	StatusFD = 4
	// ReadyFD is the writing end of a pipe, which the process closes once it has opened what it can't name later: the images, the
	// kernel's log, /proc. Init moves the mounts after that, or after ReadyTime.
	ReadyFD   = 5
	ReadyTime = 5 * time.Second
)

// Args are the arguments to start it with (argv). A busybox that doesn't know the first takes the second for the command.
func Args() []string { return []string{Name, "stay"} }
