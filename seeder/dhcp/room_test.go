package dhcp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/port"
)

// room is a network of three machines, each a network namespace with an interface eth0, on one switch in the first.
// The seeder's eth0 is the switch itself.
type room struct {
	t                     *testing.T
	seeder, other, client string
	server                *Server // what serve runs
}

var rooms atomic.Int32

// newRoom makes the namespaces: seeder 10.77.0.1, other 10.77.0.2 (another DHCP server, say), client without an address.
func newRoom(t *testing.T) *room {
	t.Helper()
	need.Namespaces(t)
	need.Command(t, "ip", "iproute2")
	prefix := fmt.Sprintf("btdhcp%d-%d-", os.Getpid(), rooms.Add(1))
	r := &room{t: t, seeder: prefix + "s", other: prefix + "o", client: prefix + "c"}
	for _, ns := range []string{r.seeder, r.other, r.client} {
		r.run("ip", "netns", "add", ns)
		t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", ns).Run() })
		r.run("ip", "-n", ns, "link", "set", "lo", "up")
	}
	r.run("ip", "-n", r.seeder, "link", "add", "eth0", "type", "bridge")
	r.run("ip", "-n", r.seeder, "addr", "add", "10.77.0.1/24", "dev", "eth0")
	r.run("ip", "-n", r.seeder, "link", "set", "eth0", "up")
	for port, ns := range map[string]string{"port1": r.other, "port2": r.client} {
		r.run("ip", "-n", r.seeder, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", ns)
		r.run("ip", "-n", r.seeder, "link", "set", port, "master", "eth0", "up")
		r.run("ip", "-n", ns, "link", "set", "eth0", "up")
	}
	r.run("ip", "-n", r.other, "addr", "add", "10.77.0.2/24", "dev", "eth0")
	return r
}

// run runs a command and returns what it printed.
func (r *room) run(name string, args ...string) string {
	r.t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		r.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// in runs f in a namespace, on a thread of its own.
func (r *room) in(ns string, f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends with this goroutine
		handle, err := netns.GetFromName(ns)
		if err == nil {
			err = netns.Set(handle)
			_ = handle.Close()
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// serve runs a Server in the seeder's namespace and returns its log, and a function that stops it.
func (r *room) serve(cfg site.DHCP, leases string) (*lines, func()) {
	r.t.Helper()
	log := newLines()
	s, err := New(Config{
		Site: cfg, Boot: testBoot, Leases: leases, Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Interfaces: []Interface{{Name: "eth0", Index: r.index(), Addr: testIface.Addr}},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.server = s
	err = r.in(r.seeder, func() error { return s.Listen(r.t.Context()) })
	// The sockets of a server before, which is closed, may still be open in a child that another test has forked, until that executes its
	// program: nothing tells of that.
	for end := time.Now().Add(need.Patience); errors.Is(err, port.ErrInUse) && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		err = r.in(r.seeder, func() error { return s.Listen(r.t.Context()) })
	}
	if err != nil {
		_ = s.Close()
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Serve(ctx)
	}()
	stop := sync.OnceFunc(func() {
		cancel()
		<-ended
		if err := s.Close(); err != nil {
			r.t.Error(err)
		}
	})
	r.t.Cleanup(func() {
		stop()
		if r.t.Failed() {
			r.t.Logf("the seeder's log:\n%s", log.text())
		}
	})
	return log, stop
}

// index is the number of the seeder's interface.
func (r *room) index() (n int) {
	err := r.in(r.seeder, func() error {
		i, err := net.InterfaceByName("eth0")
		if err == nil {
			n = i.Index
		}
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

// dnsmasq runs a real DHCP server for 10.77.0.100 to 150 in a namespace, with more arguments, until the test ends.
func (r *room) dnsmasq(ns string, more ...string) *lines {
	r.t.Helper()
	path := need.Command(r.t, "dnsmasq", "dnsmasq")
	cmd := exec.Command("ip", append([]string{"netns", "exec", ns, path, "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--user=root",
		"--dhcp-range=10.77.0.100,10.77.0.150,1h", "--no-ping", "--log-dhcp", "--log-facility=-", "--pid-file=",
		"--dhcp-leasefile=" + filepath.Join(r.t.TempDir(), "dnsmasq.leases")}, more...)...)
	log := newLines()
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	log.wait(r.t, "DHCP, IP range")
	return log
}

// hook makes a script for a DHCP client that appends an event and its variables, one line each, to a file, then runs
// configure.
func (r *room) hook(line, configure string) (script, result string) {
	dir := r.t.TempDir()
	script, result = filepath.Join(dir, "hook"), filepath.Join(dir, "result")
	need.Script(r.t, script, fmt.Sprintf("#!/bin/sh\necho \"%s\" >> %s\n%s\n", line, result, configure))
	return script, result
}

// udhcpc runs BusyBox' client until it has a lease and returns "bound ip=… mask=… router=… dns=… server=… lease=… host=…".
// Then, if told to, it renews the lease and releases it; both are sent to the server's own address.
func (r *room) udhcpc(renewAndRelease bool, args ...string) string {
	r.t.Helper()
	path := need.Command(r.t, "udhcpc", "udhcpc")
	script, result := r.hook("$1 ip=$ip mask=$mask router=$router dns=$dns server=$serverid lease=$lease host=$hostname",
		"test -z \"$ip\" || ip addr replace $ip/$mask dev eth0; echo hook: $1 >&2")
	args = append([]string{"netns", "exec", r.client, path, "-i", "eth0", "-f", "-n", "-t", "4", "-T", "2", "-s", script}, args...)
	cmd, log := exec.Command("ip", args...), newLines()
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	log.wait(r.t, "hook: bound")
	if renewAndRelease {
		_ = cmd.Process.Signal(syscall.SIGUSR1)
		log.wait(r.t, "hook: renew")
		_ = cmd.Process.Signal(syscall.SIGUSR2)
		log.wait(r.t, "entering released state")
	}
	return lastLine(r.t, result, "bound")
}

// lastLine is the last line of a file that starts with one of the words.
func lastLine(t *testing.T, path string, words ...string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	last := ""
	for line := range strings.Lines(string(text)) {
		for _, w := range words {
			if strings.HasPrefix(line, w) {
				last = strings.TrimSpace(line)
			}
		}
	}
	return last
}

// lines is a log that can be waited on.
type lines struct {
	mu   sync.Mutex
	all  strings.Builder
	more chan struct{} // closed and replaced when something is written
}

func newLines() *lines { return &lines{more: make(chan struct{})} }

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.more)
	l.more = make(chan struct{})
	return l.all.Write(p)
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// wait waits until a line has all of the parts, and returns it.
func (l *lines) wait(t *testing.T, parts ...string) string {
	t.Helper()
	deadline := time.After(need.Patience)
	for {
		l.mu.Lock()
		text, more := l.all.String(), l.more
		l.mu.Unlock()
		if line := find(text, parts); line != "" {
			return line
		}
		select {
		case <-more:
		case <-deadline:
			t.Fatalf("no line with %q in:\n%s", parts, text)
		}
	}
}

// find returns the first line of text that has all of the parts.
func find(text string, parts []string) string {
	scan := bufio.NewScanner(strings.NewReader(text))
next:
	for scan.Scan() {
		for _, p := range parts {
			if !strings.Contains(scan.Text(), p) {
				continue next
			}
		}
		return scan.Text()
	}
	return ""
}

var _ io.Writer = (*lines)(nil)
