package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"

	"github.com/boottorrent/boottorrent/integration/bench/peer"
)

// engine is a way to bring the image to the nodes. What it returns are command lines. Those of nodes keep to a small
// protocol, so that all engines are timed alike: the program gets ready, prints READY, waits for a line on its standard
// input, begins, prints DONE when it has everything, and goes on giving away until it gets a SIGTERM.
type engine interface {
	name() string
	// needs names what must be installed.
	needs() []dependency
	// seeder is the program that gives the image away; it can be used once it takes connections at port.
	seeder(p place) (args []string, err error)
	port() uint16
	node(p place) (args []string, err error)
}

// place is where a program runs, and what it must know.
type place struct {
	// addr is its own address, seeder is the seeder's.
	addr, seeder netip.Addr
	// dir is its own folder. The seeder's is the image's.
	dir string
	img *image
	// profile is a file for a CPU profile of a peer that is compiled here; empty for none.
	profile string
}

// dependency is a file that a Debian package brings.
type dependency struct{ file, pkg string }

// btPort is where every BitTorrent engine listens.
const btPort = 6881

// engines are all that can be measured, in the order of the tables.
func engines() []engine {
	return []engine{own{engine: peer.Boottorrent}, own{engine: peer.Anacrolix}, aria2{}, libtorrent{}, httpServer{}}
}

// choose returns the engines of the given names. One that is not installed is an error, or left out if skip is set; then
// skipped says what is missing.
func choose(names []string, skip bool) (chosen []engine, skipped []string, err error) {
	byName, known := map[string]engine{}, []string{}
	for _, e := range engines() {
		byName[e.name()] = e
		known = append(known, e.name())
	}
	for _, name := range names {
		e, ok := byName[name]
		if !ok {
			return nil, nil, fmt.Errorf("unknown engine %q: want some of %s", name, strings.Join(known, ","))
		}
		lack := missing(e)
		switch {
		case lack == nil:
			chosen = append(chosen, e)
		case skip:
			skipped = append(skipped, lack.Error())
		default:
			return nil, nil, fmt.Errorf("%w, or leave it out with --skip-missing", lack)
		}
	}
	if len(chosen) == 0 {
		return nil, skipped, errors.New("no engine is left to measure")
	}
	return chosen, skipped, nil
}

// missing says what an engine lacks.
func missing(e engine) error {
	for _, d := range e.needs() {
		var err error
		if strings.HasPrefix(d.file, "/") {
			_, err = os.Stat(d.file)
		} else {
			_, err = exec.LookPath(d.file)
		}
		if err != nil {
			return fmt.Errorf("the engine %s needs %s: apt-get install %s (or: make deps-bench)", e.name(), d.file, d.pkg)
		}
	}
	return nil
}

// gate makes a shell wait for the start signal before it runs a program in its own place.
func gate(script string, args ...string) []string {
	return append([]string{"/bin/sh", "-c", "echo " + peer.LineReady + "; read -r go; " + script, "sh"}, args...)
}
