package site

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// clock is the processor time that a process, this one and the whole machine have used so far.
type clock struct {
	at                time.Time
	process, own, all time.Duration
}

// tick is the unit of /proc's times (proc(5)).
const tick = 10 * time.Millisecond

func readClock(pid int) clock {
	return clock{at: time.Now(), process: cpuTime(strconv.Itoa(pid)), own: cpuTime("self"), all: machineTime()}
}

// others is the part of the machine's processor time since an earlier clock that neither the process nor this one took, in percent.
func (c clock) others(before clock) float64 {
	others := (c.all - before.all) - (c.process - before.process) - (c.own - before.own)
	return 100 * others.Seconds() / c.at.Sub(before.at).Seconds()
}

// cpuTime is the user and system time of a process: fields 14 and 15 of /proc/PID/stat.
func cpuTime(pid string) time.Duration {
	text, _ := os.ReadFile("/proc/" + pid + "/stat")
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * tick
}

// machineTime is what all processors together were not idle: the first line of /proc/stat without idle and iowait.
func machineTime() time.Duration {
	text, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(text), "\n")
	var t [8]int
	if _, err := fmt.Sscanf(line, "cpu %d %d %d %d %d %d %d %d", &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6], &t[7]); err != nil {
		return 0
	}
	return time.Duration(t[0]+t[1]+t[2]+t[5]+t[6]) * tick
}

// resident is a process's memory (VmRSS), in MiB.
func resident(pid int) float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmRSS:" {
			kib, _ := strconv.Atoi(f[1])
			return round(float64(kib) / 1024)
		}
	}
	return 0
}

func round(f float64) float64 { return float64(int64(f*10+0.5)) / 10 }

// latencies are how long answers took.
type latencies []time.Duration

func (l latencies) median() float64 {
	if len(l) == 0 {
		return 0
	}
	slices.Sort(l)
	return ms(l[len(l)/2])
}

func (l latencies) most() float64 {
	if len(l) == 0 {
		return 0
	}
	return ms(slices.Max(l))
}

func ms(d time.Duration) float64 { return round(float64(d.Microseconds()) / 1000) }
