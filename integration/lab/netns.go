package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// netnsDir is where ip-netns(8) keeps its names.
const netnsDir = "/run/netns"

// namespace is the name of a network namespace as ip-netns(8) knows it.
type namespace string

// addNamespace makes a namespace in which loopback is up and IPv6 is off: its router solicitations and duplicate
// address detection would only be noise on the cables.
func addNamespace(ctx context.Context, name string) (namespace, error) {
	ns := namespace(name)
	if err := run(ctx, "", "ip", "netns", "add", name); err != nil {
		return "", err
	}
	err := ns.do(func() error {
		err := os.WriteFile("/proc/sys/net/ipv6/conf/all/disable_ipv6", []byte("1"), 0)
		if errors.Is(err, os.ErrNotExist) {
			return nil // a kernel without IPv6
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("namespace %s: switch IPv6 off: %w", name, err)
	}
	return ns, ns.ip(ctx, "link set lo up")
}

// removeNamespaces removes the namespaces of one room, after killing the processes that are still inside.
func removeNamespaces(ctx context.Context, room string) error {
	paths, err := filepath.Glob(filepath.Join(netnsDir, room+"-*"))
	if err != nil {
		return err
	}
	var errs []error
	for _, path := range paths {
		ns := namespace(filepath.Base(path))
		errs = append(errs, ns.kill(ctx), run(ctx, "", "ip", "netns", "del", string(ns)))
	}
	return errors.Join(errs...)
}

// kill ends all processes inside, except this one: it may have a thread there.
func (ns namespace) kill(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, tool("ip"), "netns", "pids", string(ns)).Output()
	if err != nil {
		return fmt.Errorf("ip netns pids %s: %w", ns, err)
	}
	for _, field := range strings.Fields(string(out)) {
		if pid, err := strconv.Atoi(field); err == nil && pid != os.Getpid() {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("kill process %d in namespace %s: %w", pid, ns, err)
			}
		}
	}
	return nil
}

// ip runs ip(8) commands inside, all or up to the first that fails.
func (ns namespace) ip(ctx context.Context, commands ...string) error {
	return run(ctx, strings.Join(commands, "\n")+"\n", "ip", "-n", string(ns), "-batch", "-")
}

// tc runs one tc(8) command inside.
func (ns namespace) tc(ctx context.Context, command string) error {
	return run(ctx, "", "tc", append([]string{"-n", string(ns)}, strings.Fields(command)...)...)
}

// command prepares a program that will run inside. It gets a SIGTERM when ctx ends and dies with this process.
func (ns namespace) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	// ip-netns replaces itself by the program, so the process is the program's.
	cmd := exec.CommandContext(ctx, tool("ip"), append([]string{"netns", "exec", string(ns), tool(name)}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopTime
	return cmd
}

// do runs f with its goroutine inside the namespace: sockets that f itself opens belong there. Goroutines that f
// starts are outside.
func (ns namespace) do(f func() error) error {
	result := make(chan error, 1)
	go func() {
		defer close(result) // if f ends its goroutine
		runtime.LockOSThread()
		back, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			result <- err
			return
		}
		defer back.Close()
		if err := enter(filepath.Join(netnsDir, string(ns))); err != nil {
			result <- fmt.Errorf("enter network namespace %s: %w", ns, err)
			return
		}
		err = f()
		if unix.Setns(int(back.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		} // else the thread ends with its goroutine
		result <- err
	}()
	return <-result
}

func enter(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Setns(int(f.Fd()), unix.CLONE_NEWNET)
}

// run runs a tool with the given standard input. Its output goes into the error.
func run(ctx context.Context, stdin, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, tool(name), args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	said := strings.Join(strings.Fields(strings.TrimSpace(string(out)+" "+stdin)), " ")
	return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, said)
}

// tool finds a program also where sbin is not in root's PATH, as after plain su.
func tool(name string) string {
	if strings.Contains(name, "/") {
		return name
	}
	if _, err := exec.LookPath(name); err == nil {
		return name
	}
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	return name
}
