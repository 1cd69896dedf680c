package main

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

// The two roles of a program in the room.
const (
	roleSeeder = "seeder"
	roleNode   = "node"
)

// job is what a peer that is this program itself is told, as JSON in its argument.
type job struct {
	Engine, Role string
	Addr, Seeder netip.Addr
	Dir, Torrent string
	Tracker      string
	System       catalog.System
	Files        catalog.FileList
	// Profile is a file for a CPU profile; empty for none.
	Profile string
}

// goEngine is an engine that runs in this program.
type goEngine interface {
	engine
	// seed gives away until ctx ends.
	seed(ctx context.Context, j job) error
	// fetch calls begin when it is ready, done when it has everything, and gives away until ctx ends.
	fetch(ctx context.Context, j job, begin func() error, done func()) error
}

// peerCommand is this program as a peer: `bench peer JOB`, for bench itself to call.
func peerCommand(ctx context.Context, args []string) error {
	var j job
	if len(args) != 1 {
		return fmt.Errorf("peer: want one argument, and %d were given", len(args))
	}
	if err := json.Unmarshal([]byte(args[0]), &j); err != nil {
		return fmt.Errorf("peer: %w", err)
	}
	stop, err := j.profile()
	if err != nil {
		return err
	}
	defer stop()
	for _, e := range engines() {
		g, ok := e.(goEngine)
		if !ok || e.name() != j.Engine {
			continue
		}
		if j.Role == roleSeeder {
			return g.seed(ctx, j)
		}
		return g.fetch(ctx, j, awaitSignal, func() { fmt.Println(lineDone) })
	}
	return fmt.Errorf("peer: no engine %q runs in this program", j.Engine)
}

// profile begins a CPU profile (for go tool pprof), if one is wanted; stop ends it.
func (j job) profile() (stop func(), err error) {
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
	fmt.Println(lineReady)
	_, err := bufio.NewReader(os.Stdin).ReadString('\n')
	return err
}
