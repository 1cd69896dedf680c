package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/boottorrent/boottorrent/integration/bench/kept"
)

// result is what one run of one engine came to. Times are in seconds.
type result struct {
	Engine string `json:"engine"`
	// Build names how this project's peers were compiled (type build). Results without one are of programs that nobody runs: they were
	// compiled as the benchmark itself was.
	Build string `json:"build,omitempty"`
	scenario
	Run int `json:"run"`
	// TFirst, TMedian and TLast are those of the first, the median and the last node, each from its own start signal on
	// until it has every piece (boottorrent: and has verified the files).
	TFirst  float64 `json:"t_first"`
	TMedian float64 `json:"t_median"`
	TLast   float64 `json:"t_last"`
	// TMin is the scenario's bound (scenario.bound), Ratio is TLast/TMin; both 0 with unlimited links.
	TMin  float64 `json:"t_min"`
	Ratio float64 `json:"ratio"`
	// SeederCopies is the bytes that left the seeder's card, headers included, over the image's size.
	SeederCopies float64 `json:"seeder_copies"`
	// CPUSeconds is user and system time of all programs, from their start to their end; CPUSeederSeconds is the seeder's
	// part of it. The project's tracker runs in the benchmark and is not counted, with any engine.
	CPUSeconds       float64 `json:"cpu_s"`
	CPUSeederSeconds float64 `json:"cpu_seeder_s"`
	// What is left is the nodes'. Kernel is the system time in each.
	CPUSeederKernel float64 `json:"cpu_seeder_kernel_s"`
	CPUNodesKernel  float64 `json:"cpu_nodes_kernel_s"`
	// CPUMachine is how long all processors were busy during the run, with whatever, and CPUSoftirq how long with network packets
	// outside of system calls or at their end; part of that is in the programs' system time, the rest in the kernel's own threads. Linux
	// samples both.
	CPUMachine float64 `json:"cpu_machine_s"`
	CPUSoftirq float64 `json:"cpu_softirq_s"`
	// RSSPeakMiB is the most memory that any node had resident. What an engine maps of the image is in it.
	RSSPeakMiB float64 `json:"rss_peak_mib"`
	// CPUIdle and CPUSteal are shares of all processors during the run, CPUIdleLeast that of the busiest second.
	CPUIdle      float64 `json:"cpu_idle"`
	CPUIdleLeast float64 `json:"cpu_idle_least"`
	CPUSteal     float64 `json:"cpu_steal"`
	// MachineLimited says that the machine and not the links may have been the limit.
	MachineLimited bool `json:"machine_limited"`
}

func (r *result) setTimes(times []time.Duration, bound time.Duration) {
	slices.Sort(times)
	r.TFirst, r.TLast = round(times[0].Seconds()), round(times[len(times)-1].Seconds())
	r.TMedian = round(median(times, time.Duration.Seconds))
	r.TMin = round(bound.Seconds())
	if bound > 0 {
		r.Ratio = round(times[len(times)-1].Seconds() / bound.Seconds())
	}
}

func (r *result) setUsed(seeder, nodes used) {
	r.CPUSeconds, r.CPUSeederSeconds = round(seeder.all()+nodes.all()), round(seeder.all())
	r.CPUSeederKernel, r.CPUNodesKernel = round(seeder.kernel), round(nodes.kernel)
}

func (r *result) setLoad(l load) {
	r.CPUMachine, r.CPUSoftirq = round(l.busy), round(l.softirq)
	r.CPUIdle, r.CPUIdleLeast, r.CPUSteal, r.MachineLimited = round(l.idle), round(l.leastIdle), round(l.steal), l.limited()
}

// round keeps three digits after the point: more would not be measured.
func round(f float64) float64 { return float64(int64(f*1000+0.5)) / 1000 }

// median is the middle of what value gives for each, or the mean of the two in the middle.
func median[T any](all []T, value func(T) float64) float64 {
	if len(all) == 0 {
		return 0
	}
	var v []float64
	for _, a := range all {
		v = append(v, value(a))
	}
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// report is one call of bench swarm, as it is kept.
type report struct {
	Machine machine   `json:"machine"`
	Time    time.Time `json:"time"`
	// Builds are those that results name.
	Builds  []build  `json:"builds,omitempty"`
	Results []result `json:"results"`
}

// machine is what the figures depend on.
type machine struct {
	CPU        string `json:"cpu"`
	Processors int    `json:"processors"`
	MemoryMiB  int64  `json:"memory_mib"`
	Kernel     string `json:"kernel"`
}

func thisMachine() machine {
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	m := machine{Processors: runtime.NumCPU(), Kernel: strings.TrimSpace(string(kernel)), CPU: field("/proc/cpuinfo", "model name")}
	var kib int64
	_, _ = fmt.Sscan(field("/proc/meminfo", "MemTotal"), &kib)
	m.MemoryMiB = kib >> 10
	return m
}

// field is the first value of a name in a file of "name: value" lines; empty if there is none.
func field(path, name string) string {
	b, _ := os.ReadFile(path)
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// String names a machine.
func (m machine) String() string {
	return fmt.Sprintf("%d × %s, %d MiB, Linux %s", m.Processors, m.CPU, m.MemoryMiB, m.Kernel)
}

// swarmKind is the kind under which reports are kept.
const swarmKind = "swarm"

// save keeps a report in a folder, and returns the file's path.
func (r report) save(dir string) (string, error) { return kept.Write(dir, swarmKind, r.Time, r) }

// loadReports reads all that is kept in a folder, oldest first.
func loadReports(dir string) ([]report, error) { return kept.Read[report](dir, swarmKind) }
