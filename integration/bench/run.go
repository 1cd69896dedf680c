package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/boottorrent/boottorrent/integration/lab"
)

// trial is one run: an engine in a room of its own.
type trial struct {
	scenario scenario
	engine   engine
	img      *image
	// dir is for the copies; it is removed afterwards.
	dir string
	// profiles is a folder for CPU profiles; empty for none.
	profiles string
	// number is the run's, from 1 on.
	number int

	star   *star
	seeder *process
	nodes  []*process
}

// readyTime is how long programs may take to get ready.
const readyTime = time.Minute

// run measures.
func (t *trial) run(ctx context.Context) (r result, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s, %s: %w", t.engine.name(), t.scenario, err)
		}
	}()
	defer func() { err = errors.Join(err, os.RemoveAll(t.dir)) }()
	if t.star, err = newStar(ctx, t.scenario); err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, t.star.close()) }()
	if err := t.getReady(ctx); err != nil {
		return r, err
	}
	return t.measure(ctx)
}

// getReady starts all programs, and returns when they only wait for the signal.
func (t *trial) getReady(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, readyTime, fmt.Errorf("%s have passed", readyTime))
	defer cancel()
	if err := t.star.track(t.img.system.InfoHash); err != nil {
		return err
	}
	at := place{addr: addr(0), seeder: addr(0), dir: t.img.dir, img: t.img}
	if t.seeder, err = t.start(t.star.seeder, nil, at, t.engine.seeder); err != nil {
		return err
	}
	if err := t.star.accepts(ctx, t.seeder, t.engine.port()); err != nil {
		return err
	}
	for i, host := range t.star.nodes {
		at := place{addr: addr(i + 1), seeder: addr(0), dir: filepath.Join(t.dir, host.Name), img: t.img}
		if err := os.MkdirAll(at.dir, 0o755); err != nil {
			return err
		}
		p, err := t.start(host, buildOf(t.engine).Run, at, t.engine.node)
		if err != nil {
			return err
		}
		t.nodes = append(t.nodes, p)
	}
	for _, p := range t.nodes {
		if err := p.await(ctx, p.ready, "ready"); err != nil {
			return err
		}
	}
	return nil
}

// start runs a program on a host, with env added to its environment. The room's end is its end.
func (t *trial) start(host *lab.Host, env []string, at place, args func(place) ([]string, error)) (*process, error) {
	if t.profiles != "" {
		at.profile = filepath.Join(t.profiles, fmt.Sprintf("%s-%s-%s-N%d-run%d-%s.pprof",
			t.engine.name(), buildOf(t.engine).Name, t.scenario.Name, t.scenario.Nodes, t.number, host.Name))
	}
	a, err := args(at)
	if err != nil {
		return nil, err
	}
	return start(context.Background(), host, env, a) // finish, or the room's close, ends it
}

// measure gives the signal and waits for everybody.
func (t *trial) measure(ctx context.Context) (r result, err error) {
	before, err := t.star.sent()
	if err != nil {
		return r, err
	}
	pids := make([]int, len(t.nodes))
	for i, p := range t.nodes {
		pids[i] = p.cmd.Process.Pid
	}
	sampler, err := watch(pids)
	if err != nil {
		return r, err
	}
	times, err := t.times(ctx)
	load, peaks, samplerErr := sampler.finish()
	if err = errors.Join(err, samplerErr); err != nil {
		return r, err
	}
	after, err := t.star.sent()
	if err != nil {
		return r, err
	}
	r = result{Engine: t.engine.name(), Build: buildOf(t.engine).Name, scenario: t.scenario, Run: t.number}
	r.setTimes(times, t.scenario.bound())
	r.setLoad(load)
	r.SeederCopies = round(float64(after-before) / float64(t.img.size))
	r.RSSPeakMiB = round(float64(slices.Max(peaks)) / (1 << 20))
	seeder, nodes, err := t.end()
	if err != nil {
		return r, err
	}
	r.setUsed(seeder, nodes)
	return r, t.verify()
}

// times gives each node its signal when it is its turn, and returns how long each took from its signal on.
func (t *trial) times(ctx context.Context) ([]time.Duration, error) {
	limit := t.patience()
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%s have passed", limit.Round(time.Second)))
	defer cancel()
	times := make([]time.Duration, len(t.nodes))
	group, ctx := errgroup.WithContext(ctx)
	start := time.Now()
	for i, p := range t.nodes {
		due := time.Duration(0)
		if len(t.nodes) > 1 {
			due = t.scenario.Stagger * time.Duration(i) / time.Duration(len(t.nodes)-1)
		}
		group.Go(func() error {
			if due > 0 {
				select {
				case <-time.After(time.Until(start.Add(due))):
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
			began := time.Now()
			if err := p.begin(); err != nil {
				return fmt.Errorf("give %s its start signal: %w", p.name, err)
			}
			if err := p.await(ctx, p.done, "done"); err != nil {
				return err
			}
			times[i] = p.doneAt.Sub(began)
			return nil
		})
	}
	return times, group.Wait()
}

// patience is how long a run may take: more than one copy after the other from the seeder, which is the worst that makes
// sense.
func (t *trial) patience() time.Duration {
	s := t.scenario
	alone := leastTime(s.Image, 1, s.Server, s.Link, s.Link)
	one := leastTime(s.Image, 1, s.Server, s.Server, s.Server)
	return 2*time.Minute + 2*alone + 2*time.Duration(s.Nodes)*one + s.Stagger
}

// end ends all programs and returns what they used.
func (t *trial) end() (seeder, nodes used, err error) {
	programs := append([]*process{t.seeder}, t.nodes...)
	for _, p := range programs {
		p.stop() // all at once: each may take a second to say goodbye
	}
	for _, p := range programs {
		took, err := p.finish()
		if err != nil {
			return seeder, nodes, err
		}
		if p == t.seeder {
			seeder = took
		} else {
			nodes = nodes.plus(took)
		}
	}
	return seeder, nodes, nil
}

// verify compares every copy with the image.
func (t *trial) verify() error {
	var group errgroup.Group
	group.SetLimit(2)
	for _, host := range t.star.nodes {
		group.Go(func() error { return t.img.verify(filepath.Join(t.dir, host.Name)) })
	}
	return group.Wait()
}
