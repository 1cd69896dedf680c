package launch

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/report"
)

const (
	// askTime is how long a process that was asked to end may take before it is killed.
	askTime = 5 * time.Second
	// hangUpTime is how long it may take before it is asked in another way.
	hangUpTime = time.Second
	// restTime is the same for what a process that has ended by itself leaves behind in its session.
	restTime = time.Second
	// giveUpTime is how long a killed process may take to go before it is left alone: one that waits for a device can't be
	// killed.
	giveUpTime = 5 * time.Second
	// killTime is how long a process that was killed is waited for, with what it leaves behind: longer than endSession needs.
	killTime = 2 * giveUpTime
	// busyTime is how long a program may be busy before that is an error (see startProgram).
	busyTime = 5 * time.Second
	// oomScore makes the kernel kill a guest before it kills the node's own programs when memory runs out (proc(5),
	// oom_score_adj: what is added, in thousandths of the memory).
	oomScore = 500
)

// process is a program in a session of its own. Only its leader is waited for: orphans are PID 1's.
type process struct {
	cmd *exec.Cmd
	// ended is closed when nothing of the session runs any more and exit is set.
	ended chan struct{}
	exit  report.Exit
	// stopped says that it was asked to end by us.
	stopped atomic.Bool
}

// start runs a command in a new session. When it has ended, and what it left behind with it, finish is called with its
// exit, to which it adds; then ended is closed.
func start(cmd *exec.Cmd, finish func(*report.Exit)) (*process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setsid = true
	if err := startProgram(cmd); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, ended: make(chan struct{})}
	_ = os.WriteFile(p.proc("oom_score_adj"), []byte(strconv.Itoa(oomScore)), 0) // it may have ended already
	go p.wait(finish)
	return p, nil
}

// startProgram starts a command that has no pipes of exec's making (StdinPipe and so on). A program that is open for writing can't be executed
// (execve(2), ETXTBSY), and one that we have written and closed may still be open: in a child that another goroutine has forked
// meanwhile, which has our descriptors until it executes its own program. So the start is tried again for a while.
func startProgram(cmd *exec.Cmd) error {
	for wait, end := time.Millisecond, time.Now().Add(busyTime); ; wait *= 2 {
		again := *cmd // a Cmd can be started only once
		err := cmd.Start()
		if !errors.Is(err, unix.ETXTBSY) || time.Now().Add(wait).After(end) {
			return err
		}
		time.Sleep(wait)
		*cmd = again
	}
}

func (p *process) proc(file string) string {
	return filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), file)
}

// wait waits for the leader. Until it is reaped its number, which is the session's, can't become another's; so its session
// is cleared before that.
func (p *process) wait(finish func(*report.Exit)) {
	defer close(p.ended)
	pid := p.cmd.Process.Pid
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	endSession(pid, restTime, unix.SIGHUP, unix.SIGTERM, unix.SIGCONT)
	err := p.cmd.Wait()
	p.exit.Code, p.exit.Reason = outcome(p.cmd.ProcessState, err)
	if p.stopped.Load() {
		p.exit.Reason = "ended by this node"
	}
	finish(&p.exit)
}

// outcome is an exit code, and in words what it doesn't say.
func outcome(state *os.ProcessState, err error) (code int, reason string) {
	if state == nil {
		return 1, fmt.Sprintf("its end could not be seen: %v", err)
	}
	status := state.Sys().(syscall.WaitStatus)
	if !status.Signaled() {
		return status.ExitStatus(), ""
	}
	reason = "killed by a signal: " + status.Signal().String()
	switch status.Signal() {
	case syscall.SIGKILL:
		reason += " (the kernel does that when memory runs out; see dmesg)"
	case syscall.SIGILL:
		reason += " (it was built for a newer processor than this machine has)"
	}
	return 128 + int(status.Signal()), reason
}

// stop asks the process to end, by a function or, if that is nil, by signals to its process group, kills it with its session
// if it does not, and returns when it has ended. One that can't be killed is left alone: whoever waits for it would wait for ever.
func (p *process) stop(ask func()) {
	if ask == nil {
		ask = p.terminate
	}
	select {
	case <-p.ended:
		return
	default:
	}
	p.stopped.Store(true)
	ask()
	if !p.within(askTime) {
		p.signal(unix.SIGKILL)
		p.within(killTime)
	}
}

// terminate asks by signals: SIGTERM, for which programs clean up, and SIGHUP for shells, which ignore that.
func (p *process) terminate() {
	p.signal(unix.SIGTERM)
	p.signal(unix.SIGCONT)
	if !p.within(hangUpTime) {
		p.signal(unix.SIGHUP)
	}
}

// within waits for the end, and says whether it came in time.
func (p *process) within(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-p.ended:
		return true
	case <-timer.C:
		return false
	}
}

// signal sends a signal to the process group, unless it was reaped already.
func (p *process) signal(s unix.Signal) {
	// Signal fails once the leader is reaped, and a moment later its number could be another's group.
	if p.cmd.Process.Signal(syscall.Signal(0)) == nil {
		_ = unix.Kill(-p.cmd.Process.Pid, s)
	}
}

// endSession sends signals to all members of a session but the leader, and kills those that are still there after a while.
func endSession(session int, patience time.Duration, signals ...unix.Signal) {
	kill := time.Now().Add(patience)
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		members := sessionMembers(session)
		if len(members) == 0 || time.Since(kill) > giveUpTime {
			return
		}
		if time.Now().After(kill) {
			signals = []unix.Signal{unix.SIGKILL}
		}
		for _, pid := range members {
			for _, s := range signals {
				_ = unix.Kill(pid, s)
			}
		}
		signals = nil // once
		time.Sleep(pause)
	}
}

// sessionMembers lists the living processes of a session without its leader.
func sessionMembers(session int) []int {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the only error is a bad pattern
	var found []int
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // gone
		}
		if pid, sid, alive := parseStat(string(b)); alive && sid == session && pid != session {
			found = append(found, pid)
		}
	}
	return found
}

// parseStat reads /proc/PID/stat (proc(5)): pid (name) state ppid pgrp session …; the name may have any character in it.
func parseStat(stat string) (pid, session int, alive bool) {
	open, end := strings.IndexByte(stat, '('), strings.LastIndexByte(stat, ')')
	if open < 0 || end < open {
		return 0, 0, false
	}
	fields := strings.Fields(stat[end+1:])
	if len(fields) < 4 {
		return 0, 0, false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(stat[:open]))
	if err != nil {
		return 0, 0, false
	}
	session, err = strconv.Atoi(fields[3])
	return pid, session, err == nil && fields[0] != "Z" && fields[0] != "X"
}
