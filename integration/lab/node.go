package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Node is a machine in QEMU, switched on.
type Node struct {
	// Config is the configuration with its defaults filled in.
	Config NodeConfig

	room    *Room
	ns      namespace
	scratch string
	ports   []port
	console *Console
	process *Process
	qmp     *qmp
}

// Node plugs a new machine into the switch and switches it on.
func (r *Room) Node(config NodeConfig) (*Node, error) {
	n := &Node{Config: config, room: r}
	if err := n.start(); err != nil {
		if n.process != nil {
			n.process.Stop()
		}
		return nil, fmt.Errorf("lab %s: node %s: %w", r.name, config.Name, err)
	}
	r.mu.Lock()
	r.nodes = append(r.nodes, n)
	r.mu.Unlock()
	return n, nil
}

func (n *Node) start() (err error) {
	r := n.room
	if n.ns, err = r.namespace(n.Config.Name); err != nil {
		return err
	}
	r.mu.Lock()
	r.machines++
	number := r.machines
	r.mu.Unlock()
	if n.Config, err = n.Config.complete(number); err != nil {
		return err
	}
	n.scratch = filepath.Join(r.dir, n.Config.Name)
	if err := os.Mkdir(n.scratch, 0o700); err != nil {
		return err
	}
	for i, nic := range n.Config.NICs {
		if err := n.plug(i, nic); err != nil {
			return err
		}
	}
	if err := n.launch(); err != nil {
		return err
	}
	return n.powerOn(r.ctx)
}

// plug makes the tap device of a network card and bridges it to a cable.
func (n *Node) plug(i int, nic NIC) error {
	r, tap, eth, bridge := n.room, tapName(i), fmt.Sprintf("eth%d", i), fmt.Sprintf("br%d", i)
	p, err := r.connect(n.ns, eth, nic.Cable)
	if err != nil {
		return err
	}
	n.ports = append(n.ports, p)
	return n.ns.ip(r.ctx,
		fmt.Sprintf("tuntap add dev %s mode tap vnet_hdr", tap),
		fmt.Sprintf("link add %s mtu %d type bridge stp_state 0 mcast_snooping 0", bridge, r.mtu),
		fmt.Sprintf("link set %s mtu %d master %s up", tap, r.mtu, bridge),
		fmt.Sprintf("link set %s master %s", eth, bridge),
		fmt.Sprintf("link set %s up", bridge))
}

// launch starts QEMU, which waits for powerOn.
func (n *Node) launch() error {
	r, name := n.room, n.Config.Name
	accel := r.Accelerator()
	args, err := qemuArgs(n.Config, accel.Argument, n.scratch)
	if err != nil {
		return err
	}
	ours, theirs, err := socketPair()
	if err != nil {
		return err
	}
	defer theirs.Close()
	in, keys, err := os.Pipe()
	if err != nil {
		ours.Close()
		return err
	}
	defer in.Close()
	log, err := r.logFile(name + "-console")
	if err != nil {
		ours.Close()
		keys.Close()
		return err
	}
	n.console = newConsole("node "+name, log, keys)
	n.process, err = r.start(r.ctx, name+"/qemu", func(ctx context.Context) *exec.Cmd {
		cmd := n.ns.command(ctx, n.Config.machine().program, args...)
		cmd.Stdin, cmd.Stdout, cmd.ExtraFiles = in, n.console, []*os.File{theirs}
		return cmd
	})
	n.qmp = newQMP(ours)
	if err != nil {
		ours.Close()
		keys.Close()
		n.console.end(err)
		return err
	}
	go func() {
		<-n.process.Done()
		keys.Close()
		ours.Close()
		n.console.end(n.exitReason())
	}()
	return nil
}

// socketPair returns a connected pair of Unix sockets, the second as a file to be inherited.
func socketPair() (net.Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	file, theirs := os.NewFile(uintptr(fds[0]), "qmp"), os.NewFile(uintptr(fds[1]), "qmp")
	defer file.Close()
	ours, err := net.FileConn(file)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}

func (n *Node) powerOn(ctx context.Context) error {
	err := n.qmp.greet(ctx)
	for i, nic := range n.Config.NICs {
		if err == nil && nic.Unplugged {
			err = n.SetLink(ctx, i, false)
		}
	}
	if err == nil {
		err = n.qmp.execute(ctx, "cont", nil)
	}
	if err != nil {
		return fmt.Errorf("%w; QEMU says:\n%s", err, n.process.Tail(tailLines))
	}
	return nil
}

// exitReason is nil if QEMU ended as it should: because the machine was switched off, by whomever.
func (n *Node) exitReason() error {
	if n.process.err == nil {
		return nil
	}
	return fmt.Errorf("QEMU: %w: %s", n.process.err, strings.TrimSpace(n.process.Tail(3)))
}

// Console is the node's serial line.
func (n *Node) Console() *Console { return n.console }

// Done is closed when the machine is off.
func (n *Node) Done() <-chan struct{} { return n.process.Done() }

// Shutdown says why the machine is off, as QMP's event SHUTDOWN puts it: guest-shutdown, guest-reset (with NoReboot),
// guest-panic, host-signal (Stop) …; empty while it is on.
func (n *Node) Shutdown() string { return n.qmp.shutdownReason() }

// AwaitOff waits until the machine has switched itself off and returns Shutdown's reason.
func (n *Node) AwaitOff(ctx context.Context) (reason string, err error) {
	select {
	case <-n.Done():
		if err := n.exitReason(); err != nil {
			return n.Shutdown(), fmt.Errorf("node %s: %w", n.Config.Name, err)
		}
		return n.Shutdown(), nil
	case <-ctx.Done():
		return "", fmt.Errorf("node %s is still on: %w; its console ends with:\n%s",
			n.Config.Name, ctx.Err(), n.console.Tail(tailLines))
	}
}

// Stop pulls the plug.
func (n *Node) Stop() { n.process.Stop() }

// SetLink plugs the cable of a network card, counted from 0, in or pulls it: the node sees its link go up or down.
func (n *Node) SetLink(ctx context.Context, nic int, up bool) error {
	return n.wrap(n.qmp.execute(ctx, "set_link", map[string]any{"name": nicID(nic), "up": up}))
}

// SetForwarding makes the switch's port of a network card, counted from 0, forward packets or drop them, while the link
// stays up: what a spanning tree does for 30 to 50 s after a link has come up (IEEE 802.1D, 17.14).
func (n *Node) SetForwarding(ctx context.Context, nic int, forward bool) error {
	if nic >= len(n.ports) {
		return n.wrap(fmt.Errorf("no network card %d", nic))
	}
	return n.wrap(n.ports[nic].set(ctx, forward))
}

// MemoryUse is the memory of the machine this process runs on that QEMU holds now and held at most, in bytes. It
// includes the node's memory as far as the node has used it.
func (n *Node) MemoryUse() (now, peak int64, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.process.Pid()))
	if err != nil {
		return 0, 0, n.wrap(err)
	}
	now, peak = statusField(status, "VmRSS:"), statusField(status, "VmHWM:")
	if now == 0 {
		return 0, 0, n.wrap(errors.New("the machine is off"))
	}
	return now, peak, nil
}

// statusField returns a value of proc_pid_status(5), which has kB for 1024 bytes; 0 if it is missing.
func statusField(status []byte, name string) int64 {
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, name); ok {
			kb, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kb << 10
		}
	}
	return 0
}

func (n *Node) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("node %s: %w", n.Config.Name, err)
}
