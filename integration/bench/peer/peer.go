// Package peer is a peer of the benchmark that is written in Go: this project's engine, or the library below it alone. It is a program of
// its own (integration/bench/peer/cmd), so that it can be compiled as nodes' programs are, and has nothing in it that they don't have.
//
// In goes a [Job] as JSON; out come the files it names, and the lines of the protocol between the benchmark and its peers.
package peer

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"runtime/pprof"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// The roles of a peer.
const (
	Seeder = "seeder"
	Node   = "node"
)

// The engines.
const (
	Boottorrent = "boottorrent"
	Anacrolix   = "anacrolix"
)

// The lines that a node prints: when it waits for a line on its standard input, and when it has everything.
const (
	LineReady = "READY"
	LineDone  = "DONE"
)

// Job is what a peer is told.
type Job struct {
	Engine, Role string
	// Addr is the peer's own address, Seeder the seeder's, Port where everybody listens.
	Addr, Seeder netip.Addr
	Port         uint16
	// Dir is the folder with the files; Torrent is a torrent file.
	Dir, Torrent string
	Tracker      string
	System       catalog.System
	Files        catalog.FileList
	// Profile is a file for a CPU profile; empty for none.
	Profile string
}

// listen is where the peer listens.
func (j Job) listen() netip.AddrPort { return netip.AddrPortFrom(j.Addr, j.Port) }

// engine is a way to give and to fetch. Both give away until ctx ends. fetch calls begin when it is ready, done when it has everything.
type engine struct {
	seed  func(ctx context.Context, j Job) error
	fetch func(ctx context.Context, j Job, begin func() error, done func()) error
}

var engines = map[string]engine{Boottorrent: {seed, fetch}, Anacrolix: {seedBare, fetchBare}}

// Run does the job that the only argument holds as JSON, until ctx ends.
func Run(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want a job as the only argument, and %d arguments were given; bench starts this program by itself", len(args))
	}
	var j Job
	if err := json.Unmarshal([]byte(args[0]), &j); err != nil {
		return fmt.Errorf("read the job: %w", err)
	}
	e, ok := engines[j.Engine]
	if !ok {
		return fmt.Errorf("there is no engine %q in this program", j.Engine)
	}
	stop, err := j.profile()
	if err != nil {
		return err
	}
	defer stop()
	if j.Role == Seeder {
		return e.seed(ctx, j)
	}
	return e.fetch(ctx, j, awaitSignal, func() { fmt.Println(LineDone) })
}

// profile begins a CPU profile (for go tool pprof), if one is wanted; stop ends it.
func (j Job) profile() (stop func(), err error) {
	if j.Profile == "" {
		return func() {}, nil
	}
	f, err := os.Create(j.Profile)
	if err != nil {
		return nil, err
	}
	return pprof.StopCPUProfile, pprof.StartCPUProfile(f)
}

// awaitSignal says that a node is ready and waits until it may begin.
func awaitSignal() error {
	fmt.Println(LineReady)
	_, err := bufio.NewReader(os.Stdin).ReadString('\n')
	return err
}
