package stay

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/swarm"
)

// The real process, in a machine of namespaces: its root is a file system in memory, as an initramfs, its working directory a tmpfs
// with the images, and its card is plugged into a bridge with the nodes. There is no seeder.

// What may be set for a measurement: the program, which may be all of phase 1's in one, the size of the image in MiB, and the number of
// nodes.
const (
	programEnv = "BOOTTORRENT_STAY_PROGRAM"
	sizeEnv    = "BOOTTORRENT_STAY_MIB"
	nodesEnv   = "BOOTTORRENT_STAY_NODES"
)

// setting is a number of the environment.
func setting(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

// machine is where the process runs.
type machine struct {
	t    *testing.T
	root string
	side *initSide
	plan Plan
	cmd  *exec.Cmd
}

func newMachine(t *testing.T, size int) *machine {
	t.Helper()
	m := &machine{t: t, root: t.TempDir()}
	m.mount("tmpfs", "")
	for _, dir := range []string{"bbin", "dev", "proc", "systems"} {
		if err := os.Mkdir(filepath.Join(m.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m.mount("proc", "proc")
	m.mount("tmpfs", "systems")
	program := os.Getenv(programEnv)
	if program == "" {
		program = filepath.Join(t.TempDir(), "stay")
		build := exec.Command(need.Command(t, "go", "golang-go"), "build", "-ldflags=-s -w", "-o", program, "../../cmds/stay")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	b, err := os.ReadFile(program)
	if err == nil {
		err = os.WriteFile(filepath.Join(m.root, "bbin/stay"), b, 0o755)
	}
	for name, minor := range map[string]uint32{"null": 3, "kmsg": 11} { // devices.txt of the kernel: 1 is mem
		if err == nil {
			err = unix.Mknod(filepath.Join(m.root, "dev", name), unix.S_IFCHR|0o666, int(unix.Mkdev(1, minor)))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	m.plan = newPlan(t, filepath.Join(m.root, "systems"), size)
	m.plan.Seeder, m.plan.Port = "http://10.9.0.254:8080", 6881
	m.side = newInitSide(t, m.plan)
	return m
}

func (m *machine) mount(kind, at string) {
	m.t.Helper()
	at = filepath.Join(m.root, at)
	if err := unix.Mount(kind, at, kind, 0, ""); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
}

// start starts the process as init does, and returns when it is ready.
func (m *machine) start() {
	m.t.Helper()
	m.cmd = &exec.Cmd{Path: Program, Args: Args(), Dir: "/systems", ExtraFiles: []*os.File{m.side.d.Started, m.side.d.Status, m.side.d.Ready}}
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: m.root, Cloneflags: syscall.CLONE_NEWNET, Setsid: true, Pdeathsig: syscall.SIGKILL}
	if err := m.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() {
		_ = m.cmd.Process.Kill()
		_, _ = m.cmd.Process.Wait()
		if err := removeGroup(); err != nil {
			m.t.Error(err)
		}
	})
	m.side.d.Ready.Close()
	if n, err := m.side.ready.Read(make([]byte, 1)); n != 0 || err == nil {
		m.t.Fatalf("the sign that it is ready is %d bytes, %v", n, err)
	}
}

// removeGroup removes the control group, which no process is in any more.
func removeGroup() error {
	root, err := mountGroups()
	if err != nil {
		return err
	}
	defer unix.Close(root)
	return unix.Unlinkat(root, groupName, unix.AT_REMOVEDIR)
}

// plug gives the process a card with an address on the bridge.
func (m *machine) plug(address string) {
	m.t.Helper()
	pid := strconv.Itoa(m.cmd.Process.Pid)
	ip(m.t, "link add port type veth peer name eth0 netns "+pid)
	ip(m.t, "link set port master br0 up")
	for _, words := range []string{"link set lo up", "address add " + address + " dev eth0", "link set eth0 up"} {
		args := append([]string{"--target=" + pid, "--net", "ip"}, strings.Fields(words)...)
		if out, err := exec.Command(need.Command(m.t, "nsenter", "util-linux"), args...).CombinedOutput(); err != nil {
			m.t.Fatalf("ip %s: %v\n%s", words, err, out)
		}
	}
}

// proc reads a file of the process's in /proc.
func (m *machine) proc(name string) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", m.cmd.Process.Pid, name))
	if err != nil {
		m.t.Errorf("of the process: %v", err)
	}
	return string(b)
}

// kib is a number of /proc/PID/status.
func (m *machine) kib(key string) (n int) {
	_, rest, _ := strings.Cut(m.proc("status"), "\n"+key+":")
	_, _ = fmt.Sscan(rest, &n)
	return n
}

// cpu is the seconds of processor time so far (proc_pid_stat(5), in ticks of 10 ms).
func (m *machine) cpu() float64 {
	_, rest, _ := strings.Cut(m.proc("stat"), ") ")
	f := strings.Fields(rest)
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return float64(user+system) / 100
}

// peak is the most anonymous memory of the process until stop is called, in KiB.
func (m *machine) peak() (stop func() int) {
	most, end, ended := 0, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			most = max(most, m.kib("RssAnon"))
			select {
			case <-end:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return func() int { close(end); <-ended; return most }
}

// fetchAll has nodes at these addresses fetch the system at a time, from each other and from the process.
func (m *machine) fetchAll(addresses ...string) (fromNodes int64) {
	m.t.Helper()
	var group sync.WaitGroup
	var mu sync.Mutex
	for _, a := range addresses {
		ip(m.t, "address add "+a+"/24 dev br0")
		engine, err := swarm.New(swarm.Config{
			Listen: netip.AddrPortFrom(netip.MustParseAddr(a), 6881), Seeders: []swarm.Seeder{{Torrent: netip.MustParseAddrPort("10.9.0.254:0")}}, Local: true,
		})
		if err != nil {
			m.t.Fatal(err)
		}
		m.t.Cleanup(func() { engine.Close() })
		src := swarm.Source{Torrent: m.plan.Torrent, System: m.plan.System, Files: m.plan.Files, Dir: m.t.TempDir(), Trackers: []string{m.plan.Seeder + "/announce"}}
		group.Go(func() {
			err := engine.Fetch(m.t.Context(), src, nil)
			s, _ := engine.Stats(m.plan.System.InfoHash)
			mu.Lock()
			defer mu.Unlock()
			fromNodes += s.FromNodes
			if err != nil {
				m.t.Errorf("%s: %v", a, err)
			}
		})
	}
	group.Wait()
	return fromNodes
}

// The process takes no memory to speak of beside the images, has idle priority and no console, is the first to go when memory runs
// out, is found by nodes without a seeder, and ends at once at SIGTERM.
func TestProcess(t *testing.T) {
	if !need.OwnNamespaces(t) {
		return
	}
	size, count := setting(sizeEnv, 32), setting(nodesEnv, 8)
	m := newMachine(t, size<<20)
	ip(t, "link set lo up")
	ip(t, "link add br0 type bridge")
	ip(t, "link set br0 up")
	m.start()
	m.checkManners()
	if err := m.side.started.Close(); err != nil {
		t.Fatal(err)
	}
	await(t, "the old root file system is empty", func() bool {
		_, err := os.Stat(filepath.Join(m.root, "bbin"))
		return os.IsNotExist(err)
	})
	idle := m.kib("RssAnon")
	m.plug("10.9.0.100/24")
	await(t, "giving away", func() bool { return readStatus(m.side.run).Address == "10.9.0.100:6881" })
	began, before, stop := time.Now(), m.cpu(), m.peak()
	var nodes []string
	for i := range count {
		nodes = append(nodes, fmt.Sprintf("10.9.0.%d", i+1))
	}
	got := m.fetchAll(nodes...)
	took, cpu, most := time.Since(began).Seconds(), m.cpu()-before, stop()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", m.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the status says what was given", func() bool { return readStatus(m.side.run).Given >= m.plan.System.Size })
	status, _ := json.Marshal(readStatus(m.side.run))
	t.Logf("%d MiB to %d nodes in %.1f s: anonymous memory %d KiB at the start, %d KiB at most (its program's pages: %d KiB), %d open files, "+
		"%.2f s of processor time; the nodes have %d MiB of each other and of it; %s",
		size, count, took, idle, most, m.kib("RssFile")+m.kib("RssShmem"), len(entries), cpu, got>>20, status)
	// Phase 1's programs in one take 18 MiB of the 40 MiB that it may take in all.
	if most > 22<<10 {
		t.Errorf("it takes %d KiB beside its program", most)
	}
	m.endsAtOnce()
}

// checkManners checks what makes the process be in nobody's way.
func (m *machine) checkManners() {
	m.t.Helper()
	if got := m.proc("cmdline"); !strings.HasPrefix(got, "@boottorrent\x00") {
		m.t.Errorf("it is called %q", got)
	}
	if got := strings.TrimSpace(m.proc("oom_score_adj")); got != oomScore {
		m.t.Errorf("oom_score_adj is %s", got)
	}
	_, rest, _ := strings.Cut(m.proc("stat"), ") ")
	f := strings.Fields(rest)
	if pid := strconv.Itoa(m.cmd.Process.Pid); f[3] != pid || f[4] != "0" {
		m.t.Errorf("it belongs to the session %s and the terminal %s", f[3], f[4])
	}
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", m.cmd.Process.Pid))
	if err != nil {
		m.t.Fatal(err)
	}
	for _, task := range tasks {
		id, _ := strconv.Atoi(task.Name())
		if attr, err := unix.SchedGetAttr(id, 0); err != nil || attr.Policy != unix.SCHED_IDLE {
			m.t.Errorf("thread %d: %+v, %v", id, attr, err)
		}
	}
	if got := m.proc("cgroup"); !strings.Contains(got, "0::/"+groupName+"\n") {
		m.t.Errorf("it is in the control groups %s", got)
	}
	for fd, want := range []string{"/dev/null", "/dev/kmsg", "/dev/kmsg"} {
		if got, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", m.cmd.Process.Pid, fd)); err != nil || !strings.HasSuffix(got, want) {
			m.t.Errorf("descriptor %d is %s, %v", fd, got, err)
		}
	}
}

// endsAtOnce ends the process as inits do that spare nobody.
func (m *machine) endsAtOnce() {
	m.t.Helper()
	began := time.Now()
	if err := m.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		m.t.Fatal(err)
	}
	state, err := m.cmd.Process.Wait()
	if took := time.Since(began); err != nil || took > time.Second {
		m.t.Errorf("after SIGTERM it ended after %s: %v, %v", took, state, err)
	}
}
