package network

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/config"
	"github.com/boottorrent/boottorrent/internal/need"
)

// The tests in namespaces wait more than they compute: more of them at once than there are processors are quicker.
func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.fuzz").Value.String() == "" { // it would be the number of fuzzing processes, too
		if err := flag.Set("test.parallel", "12"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// room is the node's namespace, the one the test runs in, and a switch's, where servers run.
type room struct {
	t *testing.T
	// pid is a process in the switch's namespace.
	pid int
	dir string

	mu     sync.Mutex
	events []string
	// onEvent is called for each event, with all of them.
	onEvent func(event string)
	names   []string
}

// newRoom makes a room in the namespaces of its own in which the test runs a second time; outside of them, where the test
// has nothing more to do, it returns nil. With an address, which may be empty, the node's eth0 is plugged into a switch
// that has it.
func newRoom(t *testing.T, address ...string) *room {
	t.Helper()
	if !need.OwnNamespaces(t) {
		return nil
	}
	r := &room{t: t, dir: t.TempDir()}
	holder := exec.Command(need.Command(t, "sleep", "coreutils"), "infinity")
	holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	r.start(holder)
	r.pid = holder.Process.Pid
	r.inside("ip", "link", "set", "lo", "up")
	if len(address) > 0 {
		r.cable("eth0", mac0, address[0])
		r.plug("eth0")
	}
	return r
}

// start starts a process that ends with the test, or when stop is called. After stop it has no port any more.
func (r *room) start(cmd *exec.Cmd) (stop func()) {
	r.t.Helper()
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	r.t.Cleanup(stop)
	return stop
}

func (r *room) run(args ...string) {
	r.t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		r.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// at returns a command line to be run at the switch.
func (r *room) at(args ...string) []string {
	return append([]string{need.Command(r.t, "nsenter", "util-linux"), fmt.Sprintf("--target=%d", r.pid), "--net"}, args...)
}

func (r *room) inside(args ...string) { r.t.Helper(); r.run(r.at(args...)...) }

// cable plugs a NIC of the node into the switch, where its end is called sw-NAME and has the address.
func (r *room) cable(name, mac, address string) {
	r.t.Helper()
	ip := need.Command(r.t, "ip", "iproute2")
	r.run(ip, "link", "add", name, "address", mac, "type", "veth", "peer", "name", "sw-"+name, "netns", fmt.Sprint(r.pid))
	if address != "" {
		r.inside(ip, "address", "add", address, "dev", "sw-"+name)
	}
}

func (r *room) plug(name string) { r.t.Helper(); r.inside("ip", "link", "set", "sw-"+name, "up") }

// dnsmasq starts a DHCP server at the switch and returns its log, line by line, and a function that stops it.
func (r *room) dnsmasq(options ...string) (log <-chan string, stop func()) {
	r.t.Helper()
	args := append([]string{need.Command(r.t, "dnsmasq", "dnsmasq-base"), "--keep-in-foreground", "--conf-file=/dev/null", "--port=0",
		"--no-ping", "--dhcp-authoritative", "--log-dhcp", "--log-facility=-", "--user=root", "--pid-file=",
		"--dhcp-leasefile=" + filepath.Join(r.dir, "leases")}, options...)
	at := r.at(args...)
	cmd := exec.Command(at[0], at[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	pipe, err := cmd.StderrPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	stop = r.start(cmd)
	lines := make(chan string, 1000)
	go func() {
		for s := bufio.NewScanner(pipe); s.Scan(); {
			lines <- s.Text()
		}
		close(lines)
	}()
	r.await(lines, "sockets bound exclusively", "DHCP, IP range")
	// Stop waits for the process. The end of its log is not enough: the kernel may close its standard error before its sockets.
	return lines, stop
}

// await reads a log until a line has one of the words.
func (r *room) await(log <-chan string, words ...string) string {
	r.t.Helper()
	var seen []string
	deadline := time.After(need.Patience)
	for {
		select {
		case line, ok := <-log:
			if !ok {
				r.t.Fatalf("no %q, then the end, in:\n%s", words, strings.Join(seen, "\n"))
			}
			seen = append(seen, line)
			for _, w := range words {
				if strings.Contains(line, w) {
					return line
				}
			}
		case <-deadline:
			r.t.Fatalf("no %q within 20 s in:\n%s", words, strings.Join(seen, "\n"))
		}
	}
}

// host keeps changes to the machine out of the tests' one.
func (r *room) host() host {
	return host{
		resolvConf: filepath.Join(r.dir, "resolv.conf"),
		setHostname: func(name string) error {
			r.names = append(r.names, name)
			return nil
		},
		probe: thisHost().probe,
	}
}

func (r *room) event(e string) {
	r.mu.Lock()
	r.events = append(r.events, e)
	r.mu.Unlock()
	if r.onEvent != nil {
		r.onEvent(e)
	}
}

func (r *room) saw(what string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Contains(strings.Join(r.events, "\n"), what)
}

// up brings the node's network up within a time.
func (r *room) up(cfg config.Network, within time.Duration) (Lease, error) {
	r.t.Helper()
	return r.upBut(nil, cfg, within)
}

// upBut is up after some NICs, named by their MAC addresses, led to no seeder.
func (r *room) upBut(deadEnds map[string]bool, cfg config.Network, within time.Duration) (Lease, error) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), within)
	defer cancel()
	lease, err := newUpper(cfg, deadEnds, r.event, r.host(), "4c4c4544-0042-3010-8058-b9c04f333832").up(ctx)
	r.t.Logf("lease %+v, error %v, events:\n%s", lease, err, strings.Join(r.events, "\n"))
	return lease, err
}

// shows runs ip and checks what it says.
func (r *room) shows(want string, args ...string) {
	r.t.Helper()
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil || !strings.Contains(string(out), want) {
		r.t.Errorf("ip %s lacks %q: %v\n%s", strings.Join(args, " "), want, err, out)
	}
}
