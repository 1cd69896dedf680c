package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// cpuTimes are the sums over all processors since the machine started, in ticks (proc(5), /proc/stat).
type cpuTimes struct{ all, idle, steal, softirq uint64 }

func readCPU() (cpuTimes, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return cpuTimes{}, err
	}
	return parseCPU(string(b))
}

// parseCPU reads the first line of /proc/stat: user nice system idle iowait irq softirq steal guest guest_nice. Guest
// times are part of user and nice.
func parseCPU(stat string) (c cpuTimes, err error) {
	line, _, _ := strings.Cut(stat, "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return c, fmt.Errorf("/proc/stat begins with %q: want the sums of all processors", line)
	}
	for i, f := range fields[1:9] {
		n, err := strconv.ParseUint(f, 10, 64)
		if err != nil {
			return c, fmt.Errorf("/proc/stat: %w", err)
		}
		c.all += n
		switch i {
		case 3, 4:
			c.idle += n
		case 6:
			c.softirq = n
		case 7:
			c.steal = n
		}
	}
	return c, nil
}

// tick is the unit of /proc/stat in seconds (USER_HZ, which is 100 on amd64 and arm64).
const tick = 0.01

// load is what the machine did over a time.
type load struct {
	// idle and steal are shares of all processors: idle is the average, leastIdle that of the busiest second.
	idle, leastIdle float64
	steal           float64
	// busy and softirq are seconds of processor time.
	busy, softirq float64
}

// The machine was the limit itself, and not the links, if less than minIdle of its processors was idle, or more than
// maxSteal was given to other machines.
const (
	minIdle  = 0.10
	maxSteal = 0.05
)

func (l load) limited() bool { return l.idle < minIdle || l.steal > maxSteal }

// between is the load between two readings.
func between(a, b cpuTimes) load {
	all := float64(b.all - a.all)
	if all == 0 {
		return load{idle: 1, leastIdle: 1}
	}
	idle := float64(b.idle-a.idle) / all
	return load{
		idle: idle, leastIdle: idle, steal: float64(b.steal-a.steal) / all,
		busy: tick * float64(b.all-a.all-(b.idle-a.idle)-(b.steal-a.steal)), softirq: tick * float64(b.softirq-a.softirq),
	}
}

// sampler watches processes and the machine while a run goes on.
type sampler struct {
	pids []int
	stop chan struct{}
	done sync.WaitGroup

	// What follows belongs to the sampler's goroutine until finish.
	peaks []int64 // KiB, of each process
	first cpuTimes
	least float64
	err   error
}

const (
	memoryInterval = 250 * time.Millisecond
	cpuInterval    = time.Second
)

// watch begins to sample.
func watch(pids []int) (*sampler, error) {
	first, err := readCPU()
	if err != nil {
		return nil, err
	}
	s := &sampler{pids: pids, stop: make(chan struct{}), peaks: make([]int64, len(pids)), first: first, least: 1}
	s.done.Go(s.run)
	return s, nil
}

func (s *sampler) run() {
	memory, cpu := time.NewTicker(memoryInterval), time.NewTicker(cpuInterval)
	defer memory.Stop()
	defer cpu.Stop()
	last := s.first
	for {
		select {
		case <-s.stop:
			s.memory()
			return
		case <-memory.C:
			s.memory()
		case <-cpu.C:
			now, err := readCPU()
			if err != nil {
				s.err = err
				continue
			}
			s.least = min(s.least, between(last, now).idle)
			last = now
		}
	}
}

// finish ends the sampling. The peaks are bytes of memory of each process.
func (s *sampler) finish() (l load, peaks []int64, err error) {
	last, err := readCPU()
	close(s.stop)
	s.done.Wait()
	if err == nil {
		err = s.err
	}
	l = between(s.first, last)
	l.leastIdle = min(l.leastIdle, s.least)
	for _, kib := range s.peaks {
		peaks = append(peaks, kib<<10)
	}
	return l, peaks, err
}

func (s *sampler) memory() {
	for i, pid := range s.pids {
		s.peaks[i] = max(s.peaks[i], peakOf(pid))
	}
}

// peakOf is the most memory that a process and its children have had resident (VmHWM in proc(5)), in KiB; 0 if it has
// ended. The peak of getrusage(2) would not do: there a process begins with the peak of the one that started it.
func peakOf(pid int) (kib int64) {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ = strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		}
	}
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, f := range strings.Fields(string(children)) {
		if child, err := strconv.Atoi(f); err == nil {
			kib += peakOf(child)
		}
	}
	return kib
}
