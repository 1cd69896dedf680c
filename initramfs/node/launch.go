package node

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/launch"
	"github.com/boottorrent/boottorrent/internal/catalog"
)

// drainTime is how long a slow console may take to show the last lines.
const drainTime = 2 * time.Second

// Launch starts the system: loads it, says good-bye on every console and to the seeder, and jumps.
func (n *Node) Launch(ctx context.Context, sys catalog.System) error {
	method, err := launch.For(sys)
	if err != nil {
		return err
	}
	n.stopEngine() // its memory is needed, and its peers should look elsewhere before it falls silent
	job := launch.Job{System: sys, Dir: filepath.Join(n.dir(sys), sys.Name), Vars: n.vars(sys), Log: n.Log}
	n.Log("loading %s", sys.Title)
	if err := method.Load(ctx, job); err != nil {
		return err
	}
	n.Report.End(nil)
	if err := n.Report.Post(ctx, poster{n}); err != nil {
		n.Log("the seeder did not take the last report: %v", err)
	}
	n.Log("---- BootTorrent hands over to %s ----", sys.Title)
	n.drain(ctx)
	quiet(false, n.Log)
	return method.Start(ctx, job)
}

// drain lets the consoles show the last lines: after a jump, what they have not sent is lost.
func (n *Node) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, drainTime)
	defer cancel()
	_ = n.Consoles.Drain(ctx) // a console that nobody reads must not keep the system from starting
}

// vars are the values of the placeholders in a command line.
func (n *Node) vars(sys catalog.System) map[string]string {
	v := map[string]string{
		"MAC": n.lease.MAC.String(), "IP": n.lease.Addr.Addr().String(), "Netmask": netmask(n.lease.Addr),
		"Hostname": n.lease.Hostname, "Interface": n.lease.Interface, "UUID": n.facts.UUID, "System": sys.Name,
		"HTTP": n.client().Base + catalog.WebSeedPath(sys.InfoHash) + sys.Name, "Console": n.console,
	}
	if n.lease.Gateway.IsValid() {
		v["Gateway"] = n.lease.Gateway.String()
	}
	if len(n.lease.DNS) > 0 {
		v["DNS"] = n.lease.DNS[0].String()
	}
	if a, err := n.seeder(); err == nil {
		v["Seeder"] = a.String()
	}
	return v
}

func netmask(p netip.Prefix) string {
	return net.IP(net.CIDRMask(p.Bits(), 32)).String()
}

// slog is for libraries: what they say goes to the log of the node, from warnings up.
func (n *Node) slog() *slog.Logger {
	return slog.New(slog.NewTextHandler(lineWriter(n.Log), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

type lineWriter func(format string, args ...any)

func (w lineWriter) Write(p []byte) (int, error) {
	w("%s", p)
	return len(p), nil
}

// allocated is the memory a file on a tmpfs takes, in bytes; holes take none.
func allocated(d os.DirEntry) (int64, error) {
	info, err := d.Info()
	if err != nil {
		return 0, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, fmt.Errorf("stat %s: no block count", d.Name())
	}
	return st.Blocks * 512, nil
}
