package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/boottorrent/boottorrent/internal/site"
)

// sample is what the seeder takes at one moment.
type sample struct {
	// Seconds is since the beginning; Booting is how many nodes are on their way, Booted and Failed how many are through.
	Seconds float64 `json:"seconds"`
	Booting int     `json:"booting"`
	Booted  int     `json:"booted"`
	Failed  int     `json:"failed"`
	// Versions is how many versions of systems have been published so far.
	Versions int `json:"versions"`

	// RSS is the process's resident memory, Heap what is in use after a collection, in bytes.
	RSS         int64 `json:"rss"`
	Heap        int64 `json:"heap"`
	Goroutines  int   `json:"goroutines"`
	Descriptors int   `json:"descriptors"`
	// Store, Logs and Other are bytes on the disk below the site's state folder.
	Store int64 `json:"store"`
	Logs  int64 `json:"logs"`
	Other int64 `json:"other"`
	// CPU is the seconds of processor time the seeder has had, Load the machine's load average over a minute.
	CPU  float64 `json:"cpu"`
	Load float64 `json:"load"`
}

// measure looks at the seeder.
func (r *room) measure() (s sample, err error) {
	proc := fmt.Sprintf("/proc/%d", r.seeder.Process.Pid)
	resp, err := r.debug.Get("http://seeder/debug/vars")
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return s, errors.New(resp.Status)
	}
	vars := struct {
		Heap       int64 `json:"heap"`
		Goroutines int   `json:"goroutines"`
	}{}
	if err := json.NewDecoder(resp.Body).Decode(&vars); err != nil {
		return s, err
	}
	s.Heap, s.Goroutines = vars.Heap, vars.Goroutines
	fds, err := os.ReadDir(proc + "/fd")
	s.Descriptors = len(fds)
	status, statErr := os.ReadFile(proc + "/statm")
	if fields := strings.Fields(string(status)); len(fields) > 1 {
		pages, _ := strconv.ParseInt(fields[1], 10, 64)
		s.RSS = pages * int64(os.Getpagesize())
	}
	s.CPU = cpu(proc)
	load, _ := os.ReadFile("/proc/loadavg")
	s.Load, _ = strconv.ParseFloat(strings.Fields(string(load) + " 0")[0], 64)
	state := r.site.Path(site.StateDir)
	s.Store, s.Logs = onDisk(filepath.Join(state, "store")), onDisk(filepath.Join(state, "logs"))
	s.Other = onDisk(state) - s.Store - s.Logs
	return s, errors.Join(err, statErr)
}

// cpu is the seconds of processor time of a process (proc_pid_stat(5), fields 14 and 15, in hundredths).
func cpu(proc string) float64 {
	text, _ := os.ReadFile(proc + "/stat")
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) / 100
}

// onDisk is how many bytes files below a folder take.
func onDisk(dir string) (total int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // it went while we looked
		}
		if info, err := d.Info(); err == nil {
			if st, ok := info.Sys().(*syscall.Stat_t); ok {
				total += st.Blocks * 512
			}
		}
		return nil
	})
	return total
}

// tally counts nodes.
type tally struct {
	mu                      sync.Mutex
	booting, booted, failed int
	unheard                 int
	faults                  []string
}

func (t *tally) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.booting++
}

func (t *tally) end(n *node, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.booting--
	t.unheard += n.unheard
	if err == nil {
		t.booted++
		return
	}
	t.failed++
	if len(t.faults) < 10 {
		t.faults = append(t.faults, fmt.Sprintf("node %d: %v", n.number, err))
		fmt.Fprintln(os.Stderr, t.faults[len(t.faults)-1])
	}
}

// sampleTime is how often the seeder is looked at.
const sampleTime = 10 * time.Second

// soak boots the nodes, changes a system meanwhile, and judges what the seeder took.
func (r *room) soak(ctx context.Context, o options) (*result, error) {
	res := &result{Nodes: o.nodes, Time: o.time.Seconds(), Date: time.Now().UTC().Format(time.RFC3339)}
	var t tally
	var nodes sync.WaitGroup
	versions := 2
	began := time.Now()
	take := func() (sample, error) {
		s, err := r.measure()
		t.mu.Lock()
		s.Booting, s.Booted, s.Failed = t.booting, t.booted, t.failed
		t.mu.Unlock()
		s.Seconds, s.Versions = time.Since(began).Seconds(), versions
		return s, err
	}
	var err error
	if res.Rest, err = take(); err != nil {
		return nil, err
	}
	start, look, change := time.NewTicker(o.time/time.Duration(o.nodes)), time.NewTicker(sampleTime), time.NewTicker(o.change)
	defer start.Stop()
	defer look.Stop()
	defer change.Stop()
	end := time.After(o.time)
	number := 0
	// boot starts the nodes up to that number.
	boot := func(due int) {
		for ; number < min(due, o.nodes); number++ {
			t.begin()
			n := &node{room: r, number: number, seed: o.seed}
			nodes.Go(func() { t.end(n, n.boot(ctx)) })
		}
	}
	for over := false; !over; {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case err := <-r.ended:
			return nil, fmt.Errorf("the seeder ended: %w", err)
		case <-end:
			boot(o.nodes)
			over = true
		case <-start.C:
			// A ticker drops what is late; the nodes don't.
			boot(int(time.Since(began).Seconds() / o.time.Seconds() * float64(o.nodes)))
		case <-change.C:
			versions++
			if err := r.writeSystem("changing", versions); err != nil {
				return nil, err
			}
		case <-look.C:
			s, err := take()
			if err != nil {
				return nil, err
			}
			res.Samples = append(res.Samples, s)
			fmt.Fprintf(os.Stderr, "%4.0f s: %4d booting, %5d booted, %d failed; %d MiB resident, %d MiB heap, %d goroutines, %d descriptors, load %.1f\n",
				s.Seconds, s.Booting, s.Booted, s.Failed, s.RSS>>20, s.Heap>>20, s.Goroutines, s.Descriptors, s.Load)
		}
	}
	nodes.Wait()
	// The connections of those that left without a word are given up within their idle time.
	for wait := time.Now(); time.Since(wait) < 90*time.Second; {
		if res.RestAgain, err = take(); err != nil {
			return nil, err
		}
		if res.RestAgain.Goroutines <= res.Rest.Goroutines {
			break
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Second):
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	log, _ := os.ReadFile(r.log.Name())
	res.Unheard = t.unheard
	res.judge(t.faults, string(log))
	return res, nil
}
