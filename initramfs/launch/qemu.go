package launch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/qemuargs"
	"github.com/boottorrent/boottorrent/internal/qemuruntime"
	"github.com/boottorrent/boottorrent/internal/report"
)

const (
	// qemuTime is how long QEMU may take to build its machine. It needs some 50 ms.
	qemuTime = time.Minute
	// quitTime is how long it may take to end when asked to.
	quitTime = time.Second
	// socketPath is the longest path of a unix socket, less a zero byte (unix(7)).
	socketPath = 107
)

// qemuMethod runs a virtual machine on the node.
type qemuMethod struct {
	runtime catalog.Runtime

	// What tests replace.
	viewer    string
	release   string
	module    func(path string) error
	kvm       func() error
	available func() (int64, error)
	workspace func(job Job, size int64) (*workspace, error)
	fallback  func(job Job, size int64) (*workspace, error)
}

func newQEMU(r catalog.Runtime) *qemuMethod {
	return &qemuMethod{
		runtime: r, viewer: screenProgram, release: kernelRelease(), module: loadModule,
		kvm:       func() error { return probeKVM("/dev/kvm", cpuinfo()) },
		available: Available, workspace: newWorkspace, fallback: readOnlyWorkspace,
	}
}

// cpuinfo is what the kernel says of the processors; empty if it says nothing.
func cpuinfo() string {
	b, _ := os.ReadFile("/proc/cpuinfo") // without it there are no flags
	return string(b)
}

// Leaves implements [Method].
func (*qemuMethod) Leaves() bool { return false }

// Need implements [Method]. Whether KVM works is known only later, when its modules are loaded; what the processor says of
// itself is believed until then.
func (m *qemuMethod) Need(sys catalog.System, _ catalog.FileList) Memory {
	q := sys.Launch.QEMU
	if q == nil {
		return Memory{}
	}
	f := facts{Processors: runtime.NumCPU(), Guest: arch.Arch(q.Guest)}
	if foreign(q) != nil || !mayVirtualize(cpuinfo()) {
		f.KVM = errors.New("nothing says so")
	}
	opts := qemuargs.Parse(q.Args)
	own, guest := overhead(opts, f), opts.Memory()
	if guest == 0 {
		guest = leastGuest
	}
	return Memory{
		Files: m.runtime.Size + m.runtime.Unpacked, FilesWhat: "QEMU's files, packed and unpacked",
		Copies: own + guest + leastWritten, What: whatQEMU(own, guest),
	}
}

// unpacked is where the runtime lies when it is unpacked.
func (job *Job) unpacked() string { return filepath.Join(job.Scratch, "runtime") }

// Load implements [Method]: it unpacks the runtime, loads its kernel modules, and tries whether the arguments make a machine.
func (m *qemuMethod) Load(ctx context.Context, job Job) error {
	fail := func(err error) error { return fmt.Errorf("start %s: %w", job.System.Name, err) }
	q := job.System.Launch.QEMU
	switch {
	case q.Display == catalog.DisplayVNC && q.VNCPassword == "":
		return fail(errors.New("display: vnc needs a password, and the catalog has none"))
	case q.Display == catalog.DisplayVNC && job.Vars["IP"] == "":
		return fail(errors.New("display: vnc needs an address, and this node has none"))
	}
	began := time.Now()
	if err := UnpackRuntime(ctx, filepath.Join(job.Runtime, qemuruntime.Archive), job.unpacked(), m.runtime.Unpacked); err != nil {
		return fail(err)
	}
	job.logf("launch: QEMU unpacked in %s", time.Since(began).Round(time.Millisecond))
	if err := loadRuntimeModules(job.unpacked(), m.release, m.module); err != nil {
		job.logf("launch: %v", err)
	}
	_, err := m.decide(job)
	return err
}

// decide finds the machine's arguments from what the node is like now.
func (m *qemuMethod) decide(job Job) (machine, error) {
	fail := func(err error) (machine, error) { return machine{}, fmt.Errorf("start %s: %w", job.System.Name, err) }
	q := job.System.Launch.QEMU
	words, err := expandAll(q.Args, job.Vars)
	if err != nil {
		return fail(fmt.Errorf("its arguments: %w", err))
	}
	available, err := m.available()
	if err != nil {
		return fail(err)
	}
	f := facts{
		System: job.System.Name, Guest: arch.Arch(q.Guest), Available: available, Processors: runtime.NumCPU(), KVM: foreign(q), Framebuffer: job.Framebuffer,
		IP: job.Vars["IP"], Share: filepath.Join(job.unpacked(), qemuruntime.Share),
		Socket: filepath.Join(job.Scratch, "screen"), Secret: filepath.Join(job.Scratch, "secret"),
	}
	if f.KVM == nil {
		f.KVM = m.kvm()
	}
	if len(f.Socket) > socketPath {
		return fail(fmt.Errorf("the path %s is too long for a socket", f.Socket))
	}
	plan, err := arguments(q, words, f)
	if err != nil {
		return machine{}, err // which names the system
	}
	return plan, nil
}

// foreign says why KVM is no help, if the guest's architecture is not the node's.
func foreign(q *catalog.QEMU) error {
	if guest := cmp.Or(q.Guest, string(arch.AMD64)); guest != runtime.GOARCH {
		return fmt.Errorf("the guest is %s, and this node %s", guest, runtime.GOARCH)
	}
	return nil
}

// Start implements [Method]. It returns when the guest runs.
func (m *qemuMethod) Start(ctx context.Context, job Job) (Guest, error) {
	plan, err := m.decide(job)
	if err != nil {
		return nil, err
	}
	fail := func(err error) (Guest, error) { return nil, fmt.Errorf("start %s: %w", job.System.Name, err) }
	w, err := m.workspace(job, plan.written)
	if errors.Is(err, errNoOverlay) {
		job.logf("launch: %v; its files are read-only for QEMU", err)
		w, err = m.fallback(job, plan.written)
	}
	if err != nil {
		return fail(err)
	}
	v := &virtual{job: job, plan: plan, said: newOutput(job.Log, "qemu")}
	v.guest = guest{name: job.System.Name, face: plan.face, notes: plan.notes, workspace: w, quit: v.quit}
	if err := v.start(ctx, m.viewer); err != nil {
		return fail(errors.Join(err, w.close()))
	}
	return &v.guest, nil
}

// virtual is a virtual machine that runs.
type virtual struct {
	guest
	job     Job
	plan    machine
	said    *output
	monitor *qmp

	mu sync.Mutex
	// ended is why the machine stopped, by QEMU's event SHUTDOWN.
	ended string
}

// start runs QEMU and waits until its machine is built.
func (v *virtual) start(ctx context.Context, viewerProgram string) error {
	if q := v.job.System.Launch.QEMU; q.Display == catalog.DisplayVNC {
		// A command line could be read by every program on the node. QEMU has read the file when it answers.
		secret := filepath.Join(v.job.Scratch, "secret")
		if err := os.WriteFile(secret, []byte(q.VNCPassword), 0o600); err != nil {
			return fmt.Errorf("keep the password for VNC: %w", err)
		}
		defer os.Remove(secret)
	}
	for _, n := range v.plan.notes {
		v.job.logf("launch: %s: %s", v.job.System.Name, n)
	}
	if v.plan.face == FaceScreen {
		v.screen = &viewer{program: viewerProgram, socket: filepath.Join(v.job.Scratch, "screen"), title: v.title(), log: v.job.Log}
	}
	conn, err := v.run()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, qemuTime)
	defer cancel()
	v.monitor, err = dialQMP(ctx, conn, v.event)
	if err != nil {
		if errors.Is(err, errQMPGone) {
			v.process.within(askTime) // for its own exit code
		}
		v.process.stop(nil)
		return v.failed(err)
	}
	return nil
}

// title is what the viewer calls the guest.
func (v *virtual) title() string {
	name := v.job.System.Title
	if name == "" {
		name = v.job.System.Name
	}
	return strings.Join(append([]string{name}, v.plan.notes...), " — ")
}

// command is QEMU's, started by its own loader with its own libraries.
func (v *virtual) command() *exec.Cmd {
	dir := v.job.unpacked()
	in := func(path string) string { return filepath.Join(dir, path) }
	args := append([]string{"--library-path", in(qemuruntime.Libraries), in(qemuruntime.Binary(arch.Arch(v.job.System.Launch.QEMU.Guest))),
		"-chardev", "socket,id=bt-monitor,fd=3", "-mon", "chardev=bt-monitor,mode=control"}, v.plan.args...)
	cmd := exec.Command(in(qemuruntime.Loader), args...)
	cmd.Dir = v.workspace.dir
	cmd.Env = append(baseEnvironment(), "TERM="+term(v.job.Vars["Console"]), "TMPDIR="+v.workspace.temp,
		"QEMU_MODULE_DIR="+in(qemuruntime.Plugins))
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = v.said, v.said, drainTime
	return cmd
}

// run starts QEMU and returns our end of its monitor.
func (v *virtual) run() (net.Conn, error) {
	cmd := v.command()
	conn, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	cmd.ExtraFiles = []*os.File{theirs} // descriptor 3
	if v.face == FaceTerminal {
		l, slave, err := newLine()
		if err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		defer slave.Close()
		v.line = l
		for _, n := range v.plan.notes {
			fmt.Fprintf(l.tape, "[%s]\r\n", n)
		}
		cmd.Stdin, cmd.Stdout = slave, slave
		cmd.SysProcAttr = &syscall.SysProcAttr{Setctty: true} // of descriptor 0
	}
	v.job.logf("launch: %s %q", qemuruntime.Program(arch.Arch(v.job.System.Launch.QEMU.Guest)), v.plan.args)
	v.process, err = start(cmd, func(exit *report.Exit) { v.finish(exit, conn) })
	if err != nil {
		if v.line != nil {
			_ = v.line.master.Close()
		}
		return nil, errors.Join(fmt.Errorf("run QEMU: %w", explainExec(err)), conn.Close())
	}
	if v.line != nil {
		go v.line.run()
	}
	return conn, nil
}

// socketPair is a connection with a program that is about to be started.
func socketPair() (ours net.Conn, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a socket for QEMU's monitor: %w", err)
	}
	file := os.NewFile(uintptr(fds[0]), "monitor")
	defer file.Close()
	theirs = os.NewFile(uintptr(fds[1]), "monitor")
	if ours, err = net.FileConn(file); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("make a socket for QEMU's monitor: %w", err), theirs.Close())
	}
	return ours, theirs, nil
}

// finish says how QEMU ended.
func (v *virtual) finish(exit *report.Exit, conn net.Conn) {
	_ = conn.Close()
	v.said.flush()
	exit.System, exit.Lines = v.job.System.Name, tail(v.said.kept.content())
	if v.line != nil {
		v.line.drain()
		if len(exit.Lines) == 0 {
			exit.Lines = tail(v.line.tape.content())
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if exit.Reason == "" {
		exit.Reason = v.ended
	}
}

// failed is why QEMU did not get as far as running its guest.
func (v *virtual) failed(err error) error {
	if !errors.Is(err, errQMPGone) {
		return fmt.Errorf("QEMU did not answer: %w; it said: %s", err, v.said.last("nothing"))
	}
	exit := v.Exit()
	said := v.said.last(exit.Reason)
	if v.line != nil {
		said = strings.Join(append(exit.Lines[max(0, len(exit.Lines)-5):], exit.Reason), "; ")
	}
	hint := ""
	if strings.Contains(said, "No space left") {
		hint = fmt.Sprintf("; to open a disk for writing takes a copy of the whole file here, and there is room for %s: use -drive or "+
			"-hda, which keep only what was written", mib(v.plan.written))
	}
	return fmt.Errorf("QEMU ended at once with exit code %d: %s%s; its arguments were %q", exit.Code, said, hint, v.plan.args)
}

// quit has QEMU end, now: whoever wants the guest to shut down first does that in the guest.
func (v *virtual) quit() {
	ctx, cancel := context.WithTimeout(context.Background(), quitTime)
	defer cancel()
	if err := v.monitor.execute(ctx, "quit", nil); err != nil && !errors.Is(err, errQMPGone) {
		v.job.logf("launch: %v", err)
	}
	if !v.process.within(quitTime) {
		v.process.signal(unix.SIGTERM)
	}
}

// event notes what happens to the machine (qapi/run-state.json, qapi/block-core.json in QEMU's source).
func (v *virtual) event(q *qmp, name string, data qmpEvent) {
	switch name {
	case "BLOCK_IO_ERROR":
		v.diskError(data)
	case "STOP":
		go v.explainStop(q) // which has to read the answer meanwhile
	case "GUEST_PANICKED":
		v.job.logf("launch: %s: the guest's kernel says that it has crashed", v.job.System.Name)
	case "SHUTDOWN":
		v.mu.Lock()
		defer v.mu.Unlock()
		v.ended = shutdownReason(data.Why)
	}
}

// diskError says why a disk fails the guest.
func (v *virtual) diskError(data qmpEvent) {
	name := v.job.System.Name
	if data.NoSpace {
		v.job.logf("launch: %s: the guest is paused: what it wrote to %s fills the %s of memory there are for that; end it, and give "+
			"it less to write, less memory of its own (-m in its args) or a machine with more", name, data.Device, mib(v.plan.written))
		return
	}
	v.job.logf("launch: %s: the guest's disk %s fails: %s", name, data.Device, data.Why)
}

// explainStop logs why the machine stands still. (Not when QEMU is about to end: then there is no answer.)
func (v *virtual) explainStop(q *qmp) {
	ctx, cancel := context.WithTimeout(context.Background(), quitTime)
	defer cancel()
	if status, err := q.status(ctx); err == nil {
		v.job.logf("launch: %s: the guest stands still: %s", v.job.System.Name, status)
	}
}

// shutdownReason is ShutdownCause of qapi/run-state.json in words; empty where the exit code says enough.
func shutdownReason(cause string) string {
	switch cause {
	case "guest-shutdown":
		return "the guest powered off"
	case "guest-reset":
		return "the guest restarted, and its arguments (-no-reboot) make that an end"
	case "guest-panic":
		return "the guest's kernel crashed"
	case "host-signal":
		return "ended by a signal"
	}
	return ""
}
