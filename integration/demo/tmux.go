package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/term"
)

// server names the demonstration's own tmux server, apart from the person's.
const server = "boottorrent-demo"

// watchTmux opens a tmux with a window for the seeder and one for each machine's console, until the person leaves it.
func (d *demo) watchTmux(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dir, err := os.MkdirTemp("", "boottorrent-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	status, input := net.Pipe()
	told := make(chan struct{})
	go func() {
		defer close(told)
		d.status(ctx, status)
	}()
	defer func() { // what the nodes reported is read again afterwards
		cancel()
		input.Close()
		<-told
	}()
	sockets := []string{filepath.Join(dir, "seeder")}
	if err := serve(ctx, sockets[0], func(w io.Writer) (func(), error) {
		go io.Copy(w, input)
		return func() {}, nil
	}, func(string) error { return nil }); err != nil {
		return err
	}
	for _, n := range d.nodes {
		socket := filepath.Join(dir, n.Config.Name)
		if err := serve(ctx, socket, n.Console().Attach, n.Console().Send); err != nil {
			return err
		}
		sockets = append(sockets, socket)
	}
	return windows(ctx, self, sockets)
}

// status writes what happens to the seeder's window.
func (d *demo) status(ctx context.Context, w io.WriteCloser) {
	defer w.Close()
	out := crlf{w}
	fmt.Fprintf(out, "The seeder is %s.\nThe other windows are the machines' consoles: click on a name below, or press Ctrl-b n for the next one.\n"+
		"Choose a system there, or leave them alone: they start the default.\n"+
		"Ctrl-b d ends the demonstration and prints what came from whom.\n\n", d.seeder.Base)
	if d.follow(ctx, out) {
		d.table(out)
		fmt.Fprint(out, "\nEvery machine runs its system. Ctrl-b d ends the demonstration.\n")
	}
	<-ctx.Done()
}

// consoleLines is how many lines a machine's serial console has (lab.Console). A window with fewer would scroll its screens.
const consoleLines = 24

// windows runs tmux with a window for each socket, named like it, and returns when the person leaves it.
func windows(ctx context.Context, self string, sockets []string) error {
	tmux := func(args ...string) *exec.Cmd {
		return exec.CommandContext(ctx, "tmux", append([]string{"-L", server, "-f", "/dev/null"}, args...)...)
	}
	defer func() { _ = exec.Command("tmux", "-L", server, "kill-server").Run() }()
	commands := [][]string{{"new-session", "-d", "-s", "room", "-n", filepath.Base(sockets[0]), self, "attach", sockets[0]},
		{"set", "-g", "mouse", "on"}, {"set", "-g", "escape-time", "20"}, {"set", "-g", "status-right", "Ctrl-b n: next, Ctrl-b d: end"},
		{"set", "-g", "status-right-length", "40"}, {"set", "-g", "automatic-rename", "off"}}
	if _, lines, err := term.GetSize(int(os.Stdout.Fd())); err == nil && lines <= consoleLines {
		commands = append(commands, []string{"set", "-g", "status", "off"})
	}
	for _, s := range sockets[1:] {
		commands = append(commands, []string{"new-window", "-d", "-t", "room", "-n", filepath.Base(s), self, "attach", s})
	}
	for _, c := range commands {
		if out, err := tmux(c...).CombinedOutput(); err != nil {
			return fmt.Errorf("tmux %v: %w: %s", c, err, out)
		}
	}
	attach := tmux("attach", "-t", "room")
	attach.Stdin, attach.Stdout, attach.Stderr = os.Stdin, os.Stdout, os.Stderr
	return attach.Run()
}

// serve offers a console on a unix socket: output by attach, input to send.
func serve(ctx context.Context, path string, attach func(io.Writer) (func(), error), send func(string) error) error {
	l, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go relay(conn, attach, send)
		}
	}()
	return nil
}

func relay(conn net.Conn, attach func(io.Writer) (func(), error), send func(string) error) {
	defer conn.Close()
	detach, err := attach(conn)
	if err != nil {
		fmt.Fprintln(conn, err)
		return
	}
	defer detach()
	for buf := make([]byte, 256); ; {
		n, err := conn.Read(buf)
		if err != nil || send(string(buf[:n])) != nil {
			return
		}
	}
}

// attach joins this process's terminal with a console's socket: what runs in a window.
func attach(socket string) error {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	if state, err := term.MakeRaw(int(os.Stdin.Fd())); err == nil {
		defer term.Restore(int(os.Stdin.Fd()), state)
	}
	go io.Copy(conn, os.Stdin)
	_, err = io.Copy(os.Stdout, conn)
	return err
}

// crlf ends lines as a terminal in raw mode wants it.
type crlf struct{ w io.Writer }

func (c crlf) Write(p []byte) (int, error) {
	for i, line := 0, 0; i < len(p); i++ {
		if p[i] != '\n' && i != len(p)-1 {
			continue
		}
		text := p[line : i+1]
		if p[i] == '\n' {
			text = append(p[line:i:i], '\r', '\n')
		}
		if _, err := c.w.Write(text); err != nil {
			return line, err
		}
		line = i + 1
	}
	return len(p), nil
}
