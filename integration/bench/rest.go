package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/boottorrent/boottorrent/integration/bench/kept"
	"github.com/boottorrent/boottorrent/mkimage/commands"
)

// restKind is the kind under which it is kept.
const restKind = "rest"

// rest is what the limits ask for beside the swarm's runs, as it is kept. What is 0 or empty was not measured.
type rest struct {
	Machine machine   `json:"machine"`
	Time    time.Time `json:"time"`
	// Alone and Slow are the seconds of the last of four nodes, of each room by itself and of the same with one more peer that claims to
	// have everything and gives 20 kB/s.
	Alone []float64 `json:"room_s,omitempty"`
	Slow  []float64 `json:"room_with_slow_peer_s,omitempty"`
	// Phase1 is the size of vmlinuz and initramfs.img together, in bytes.
	Phase1 int64 `json:"phase1_bytes,omitempty"`
}

// restCommand is bench rest.
func restCommand(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("bench rest", flag.ContinueOnError)
	results := flags.String("results", "integration/bench/results", "the folder to keep results in")
	image := flags.String("image", "", "a folder with vmlinuz and initramfs.img of amd64, as mkimage makes it; empty for none")
	runs := flags.Int("runs", 3, "how often to measure what a slow peer costs; 0 for not at all")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 || *runs < 0 || *runs == 0 && *image == "" {
		return errors.New("want --runs of at least 1 or an --image, and no other arguments; see bench rest --help")
	}
	r := rest{Machine: thisMachine(), Time: time.Now()}
	if *image != "" {
		for _, name := range []string{"vmlinuz", "initramfs.img"} {
			info, err := os.Stat(filepath.Join(*image, name))
			if err != nil {
				return fmt.Errorf("--image must name a folder that mkimage made: %w", err)
			}
			r.Phase1 += info.Size()
		}
	}
	for range *runs {
		if err := r.measureSlowPeer(ctx); err != nil {
			return err
		}
	}
	fmt.Printf("room of four: %v s, with a peer of 20 kB/s: %v s; phase 1: %d bytes\n", r.Alone, r.Slow, r.Phase1)
	return r.save(*results)
}

// measureSlowPeer runs the engine's own benchmark once, with and without the peer.
func (r *rest) measureSlowPeer(ctx context.Context) error {
	source, err := commands.FindSource("")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-run=^$", "-bench=^BenchmarkOddPeer$/^(none|20kB)$", "-benchtime=1x", "./internal/swarm")
	cmd.Dir = source
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("measure a slow peer (%s): %w\n%s", cmd, err, out)
	}
	alone, slow, err := parseSlowPeer(string(out))
	r.Alone, r.Slow = append(r.Alone, alone), append(r.Slow, slow)
	return err
}

// oddPeerLine is a line of go test -bench, "BenchmarkOddPeer/none-2  1  16500000000 ns/op  16.50 s/room".
var oddPeerLine = regexp.MustCompile(`(?m)^BenchmarkOddPeer/(none|20kB)\S*\s.*?([0-9.]+) s/room`)

func parseSlowPeer(out string) (alone, slow float64, err error) {
	seconds := map[string]float64{}
	for _, m := range oddPeerLine.FindAllStringSubmatch(out, -1) {
		if seconds[m[1]], err = strconv.ParseFloat(m[2], 64); err != nil {
			return 0, 0, fmt.Errorf("BenchmarkOddPeer printed %q: %w", m[0], err)
		}
	}
	if seconds["none"] <= 0 || seconds["20kB"] <= 0 {
		return 0, 0, fmt.Errorf("BenchmarkOddPeer printed no seconds for none and 20kB:\n%s", out)
	}
	return seconds["none"], seconds["20kB"], nil
}

func (r rest) save(dir string) error {
	_, err := kept.Write(dir, restKind, r.Time, r)
	return err
}

// loadRest is the newest of each figure that is kept in a folder; machine and time are those of the slow peer's.
func loadRest(dir string) (all rest, err error) {
	results, err := kept.Read[rest](dir, restKind)
	for _, r := range results {
		if len(r.Alone) > 0 && len(r.Alone) == len(r.Slow) {
			all.Alone, all.Slow, all.Machine, all.Time = r.Alone, r.Slow, r.Machine, r.Time
		}
		if r.Phase1 > 0 {
			all.Phase1 = r.Phase1
		}
	}
	return all, err
}

// slowPeer is how much longer a room takes with the peer, as a share: the median of the ratios within a run.
func (r rest) slowPeer() float64 {
	var ratios []float64
	for i := range r.Alone {
		ratios = append(ratios, r.Slow[i]/r.Alone[i])
	}
	return median(ratios, func(f float64) float64 { return f }) - 1
}
