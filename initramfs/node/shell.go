package node

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/console"
	"github.com/boottorrent/boottorrent/initramfs/kmsg"
)

// drainTime is how long a slow console may take to show the last lines.
const drainTime = 2 * time.Second

// Shell opens a shell on the console that somebody chose on, and comes back when it ends. Steps by hand are what it is for,
// so what is in their way ends: giving away what was fetched.
func (n *Node) Shell(ctx context.Context) {
	if n.download.engine != nil {
		n.Log("what was fetched is given away no longer")
	}
	n.download.stopEngine()
	n.download.release()
	n.shell(ctx, "In the shell netup, choose, fetch NAME and launch NAME take single steps by hand; ls /bbin lists all commands.")
}

// shell opens a shell, with a hint before it.
func (n *Node) shell(ctx context.Context, hint string) {
	n.quiet(false)
	defer n.quiet(true)
	n.Log("%s", hint)
	err := n.Consoles.Shell(ctx, n.activeConsole(), []string{"/bin/sh"}, nil)
	if err != nil && !errors.Is(err, context.Canceled) {
		n.Log("the shell could not be started: %v", err)
	}
}

// activeConsole is the console that somebody last chose on; before anybody did, the kernel's own (/dev/console), which is
// the last one.
func (n *Node) activeConsole() string {
	if n.console != "" {
		return n.console
	}
	names := n.Consoles.Names()
	return names[len(names)-1]
}

// screen is the console on the frame buffer; empty if there is none.
func (n *Node) screen() string {
	for _, name := range n.Consoles.Names() {
		if console.Named(name).Look.Graphics {
			return name
		}
	}
	return ""
}

// consoleArgument is the active console as a value of console=: with its speed, if the kernel command line has it. Of a
// terminal that is no console, as somebody has who came by ssh, it is the kernel's own.
func (n *Node) consoleArgument() string {
	active := n.activeConsole()
	if given := n.Cmdline.Consoles; strings.HasPrefix(active, "pts/") && len(given) > 0 {
		return given[len(given)-1]
	}
	for _, value := range n.Cmdline.Consoles {
		if name, _, _ := strings.Cut(value, ","); name == active {
			return value
		}
	}
	return active
}

// quiet keeps the kernel's messages off the screens, or lets them onto the consoles again.
func (n *Node) quiet(on bool) {
	if err := kmsg.Quiet(on); err != nil {
		n.Log("%v", err)
	}
}

// Drain lets the consoles show the last lines: after a jump into another kernel, or the end of the program, what they have
// not sent is lost.
func (n *Node) Drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, drainTime)
	defer cancel()
	_ = n.Consoles.Drain(ctx) // a console that nobody reads must not keep the system from starting
}
