package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/medium"
	"github.com/boottorrent/boottorrent/internal/mediumconf"
)

// mediumDeadline is how long the medium may take to appear. Virtual CDs of management processors are the slowest.
const mediumDeadline = 20 * time.Second

// readMedium follows the boottorrent.conf of the stick or disc that phase 1 was started from, if it was. Nothing that is
// wrong with either keeps the node from going on.
func (n *Node) readMedium(ctx context.Context) {
	if n.Cmdline.Medium == 0 || n.mediumRead {
		return
	}
	limited, cancel := context.WithTimeout(ctx, mediumDeadline)
	defer cancel()
	m, err := medium.Find(limited, n.Cmdline.Medium, n.Log)
	if err != nil {
		n.warn(fmt.Sprintf("%v The boot goes on without its %s.", err, mediumconf.Name))
		n.forgetful = true // whoever waits for the catalog does not wait for it again
		return
	}
	defer m.Close()
	n.mediumRead = true
	n.readSeen(m)
	conf, ok := n.readConf(m)
	if !ok || n.ByHand {
		return
	}
	if err := n.restart(ctx, m, conf); err != nil {
		n.warn(fmt.Sprintf("%s: cmdline and console have no effect: %v", mediumconf.Name, err))
	}
}

// warn says something in the log, and on the screens that follow.
func (n *Node) warn(text string) {
	n.Log("%s", text)
	n.Warnings = append(n.Warnings, text)
}

// readConf reads the file, tells what is wrong in it, and puts what is right below the kernel command line.
func (n *Node) readConf(m *medium.Medium) (conf mediumconf.Config, ok bool) {
	text, err := m.Conf()
	if errors.Is(err, fs.ErrNotExist) {
		n.Log("the medium %s has no %s", m.Device, mediumconf.Name)
		return conf, false
	}
	if err != nil {
		n.warn(err.Error())
		return conf, false
	}
	n.Log("the medium %s: reading %s", m.Device, mediumconf.Name)
	conf, problems := mediumconf.Parse(text)
	for _, p := range problems {
		n.warn(p.Error())
	}
	n.Cmdline = n.Cmdline.Over(conf)
	return conf, true
}

// restart starts phase 1 again where the file adds to the kernel command line, which GRUB and the UKI have built in. It comes
// back if there is nothing to add, or it was added already, or it can't be done.
func (n *Node) restart(ctx context.Context, m *medium.Medium, conf mediumconf.Config) error {
	now, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return err
	}
	line, err := n.Cmdline.Added(string(now), conf, n.seen())
	if line == "" || err != nil {
		return err
	}
	n.Log("phase 1 starts again, with the kernel command line: %s", line)
	n.Drain(ctx)
	return m.Restart(line)
}
