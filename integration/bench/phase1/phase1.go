// Package phase1 measures how long a room needs until all of its machines have loaded phase 1: in go the number of machines and the speed of the
// links, out come the time of the last one, and who sent how much.
//
// A real seeder serves in a network namespace, on a slow link; each machine is a process in a namespace of its own. It follows the seeder's boot script
// as iPXE does, stays away for as long as a node boots, and is a node then: with nodes' own code for reports, swarm and help.
package phase1

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/boottorrent/boottorrent/integration/bench/kept"
	"github.com/boottorrent/boottorrent/integration/kit"
	"github.com/boottorrent/boottorrent/integration/lab"
)

// Result is one run, as it is kept.
type Result struct {
	Time     time.Time `json:"time"`
	Machines int       `json:"machines"`
	// Helpers is the value of phase1.helpers.
	Helpers string `json:"helpers"`
	// SeederMbit and LinkMbit are the speeds of the seeder's link and of the machines', Bytes the size of phase 1, BootSeconds how long a machine
	// takes from having it until it reports.
	SeederMbit  float64 `json:"seeder_mbit"`
	LinkMbit    float64 `json:"link_mbit"`
	Bytes       int64   `json:"bytes"`
	BootSeconds float64 `json:"boot_seconds"`
	// Seconds are when each machine had loaded phase 1, in the order of the machines; Last is the last one's.
	Seconds []float64 `json:"seconds"`
	Last    float64   `json:"last_seconds"`
	// FromSeeder and FromHelpers are bytes of phase 1 that machines got; Fetched is what helpers fetched from whomever for it.
	FromSeeder  int64 `json:"from_seeder"`
	FromHelpers int64 `json:"from_helpers"`
}

// Alone is how long the seeder's link takes for all machines, N·F/S, in seconds.
func (r Result) Alone() float64 {
	return float64(r.Machines) * float64(r.Bytes) * 8 / (r.SeederMbit * 1e6)
}

// Bound is the least time if data were a fluid: the first machine has phase 1 after F/S, boots, and gets it once more from the seeder, F/S, to give it
// away; meanwhile the seeder serves others while that one boots. Those that are left then share what all links together carry.
func (r Result) Bound() float64 {
	each := float64(r.Bytes) * 8 / (r.SeederMbit * 1e6)
	first := 2*each + r.BootSeconds
	if served := first/each - 1; float64(r.Machines) <= served {
		return float64(r.Machines) * each
	}
	return min(r.Alone(), first+float64(r.Bytes)*8/(r.LinkMbit*1e6))
}

// Command is "bench phase1 ARGS".
func Command(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 2 && args[0] == "machine" {
		return machine(ctx, args[1])
	}
	f := flag.NewFlagSet("bench phase1", flag.ContinueOnError)
	r := Result{Time: time.Now().UTC().Truncate(time.Second)}
	f.IntVar(&r.Machines, "nodes", 16, "how many `machines`")
	f.StringVar(&r.Helpers, "helpers", "auto", "phase1.helpers: auto or off")
	f.Float64Var(&r.SeederMbit, "seeder", 20, "the seeder's link in `Mbit`/s")
	f.Float64Var(&r.LinkMbit, "link", 1000, "a machine's link in `Mbit`/s")
	f.Int64Var(&r.Bytes, "bytes", 16675308, "the size of phase 1 in `bytes`")
	boot := f.Duration("boot", 8*time.Second, "how long a machine takes from having loaded phase 1 until it reports")
	results := f.String("results", "integration/bench/results/phase1", "`folder` to keep the figures in; empty: nowhere")
	program := f.String("program", "", "the seeder's `program`; empty: it is compiled")
	logs := f.String("log", "", "`file` to keep the seeder's log in; empty: nowhere")
	docs := f.String("docs", "", "`document` to put the table of all results into, instead of measuring")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *docs != "" {
		return write(*results, *docs)
	}
	r.BootSeconds = boot.Seconds()
	if err := r.measure(ctx, *program, *logs); err != nil {
		return err
	}
	fmt.Fprintf(out, "N=%d helpers=%s: last %.1f s, N·F/S %.1f s (%.2f of it), fluid %.1f s; %.1f MB from the seeder, %.1f MB from helpers\n",
		r.Machines, r.Helpers, r.Last, r.Alone(), r.Last/r.Alone(), r.Bound(), float64(r.FromSeeder)/1e6, float64(r.FromHelpers)/1e6)
	if *results == "" {
		return nil
	}
	_, err := kept.Write(*results, kind, r.Time, r)
	return err
}

// measure runs a room once.
func (r *Result) measure(ctx context.Context, program, logs string) (err error) {
	dir, err := os.MkdirTemp("/dev/shm", "boottorrent-phase1-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	k := &kit.Kit{Seeder: program}
	if program == "" {
		if k, err = kit.Build(ctx, filepath.Join(dir, "bin"), os.Stderr); err != nil {
			return err
		}
	}
	s, err := k.NewSite(ctx, filepath.Join(dir, "site"), "phase1")
	if err != nil {
		return err
	}
	if err := errors.Join(r.fill(s.Path("image")), s.Configure("version: 1\nname: phase1\ndhcp: {mode: \"off\"}\nports: {tftp: 0}\nphase1: {helpers: \""+r.Helpers+"\"}\n")); err != nil {
		return err
	}
	room, err := lab.New(ctx, "phase1", lab.LogDir(filepath.Join(dir, "log")))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, room.Close()) }()
	host, err := room.Host("seeder", lab.Addr("10.79.0.1/16"), lab.Rate(r.SeederMbit*1e6))
	if err != nil {
		return err
	}
	hosts := []*lab.Host{host}
	for i := range r.Machines {
		h, err := room.Host(fmt.Sprint("m", i+1), lab.Addr(fmt.Sprintf("10.79.1.%d/16", i+1)), lab.Rate(r.LinkMbit*1e6))
		if err != nil {
			return err
		}
		hosts = append(hosts, h)
	}
	if err := room.Introduce(hosts...); err != nil {
		return err
	}
	seeder, err := host.Start(ctx, k.Seeder, "serve", s.Dir)
	if err != nil {
		return err
	}
	defer seeder.Stop()
	if _, err := seeder.Expect(ctx, `The catalog's counter is`); err != nil {
		return err
	}
	if err := r.run(ctx, s.Dir, host, hosts[1:], dir); err != nil {
		return fmt.Errorf("%w; the seeder's log ends with:\n%s", err, seeder.Tail(30))
	}
	if logs != "" {
		return os.WriteFile(logs, []byte(seeder.Tail(1000)), 0o644)
	}
	return nil
}

// fill makes an image: what is in it is of no importance, but that it can't be made smaller.
func (r *Result) fill(dir string) error {
	noise := rand.NewChaCha8([32]byte{1})
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, size := range map[string]int64{"vmlinuz": r.Bytes / 2, "initramfs.img": r.Bytes - r.Bytes/2} {
		b := make([]byte, size)
		_, _ = noise.Read(b)
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// run switches all machines on and waits for the last one.
func (r *Result) run(ctx context.Context, site string, seeder *lab.Host, hosts []*lab.Host, dir string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var machines []*lab.Process
	for i, h := range hosts {
		text, err := json.Marshal(job{
			Site: site, Base: "http://" + seeder.IP().String() + ":8080", Dir: filepath.Join(dir, fmt.Sprint("m", i)), Seeder: seeder.IP(), Addr: h.IP(), Number: i + 1,
			Boot: time.Duration(r.BootSeconds * float64(time.Second)),
		})
		if err != nil {
			return err
		}
		p, err := h.Start(ctx, self, "phase1", "machine", string(text))
		if err != nil {
			return err
		}
		defer p.Stop()
		if _, err := p.Expect(ctx, `ready\n`); err != nil {
			return err
		}
		machines = append(machines, p)
	}
	for _, p := range machines {
		if err := syscall.Kill(p.Pid(), syscall.SIGUSR1); err != nil {
			return err
		}
	}
	for _, p := range machines {
		match, err := p.Expect(ctx, `loaded (\{.*\})\n`)
		if err != nil {
			return err
		}
		var l loaded
		if err := json.NewDecoder(strings.NewReader(match[1])).Decode(&l); err != nil {
			return err
		}
		r.Seconds, r.Last = append(r.Seconds, l.Seconds), max(r.Last, l.Seconds)
		r.FromSeeder, r.FromHelpers = r.FromSeeder+l.Seeder, r.FromHelpers+l.Helpers
	}
	return nil
}
