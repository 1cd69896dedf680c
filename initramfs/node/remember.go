package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/medium"
	"github.com/boottorrent/boottorrent/internal/mediumseen"
)

// The node remembers the highest counter of a catalog that it took, and refuses a smaller one: in a file, as long as the machine runs
// (package seen), on the kernel command line over kexec, and on the stick that it was started from.

// seenFile is beside the file of the node's state.
const seenFile = "seen"

// mediumWriteTime is how long the boot waits until a stick has written down a counter.
const mediumWriteTime = 5 * time.Second

// seen is the highest counter of a catalog that was taken.
func (n *Node) seen() uint64 {
	counter, err := n.session.seen.Highest()
	if err != nil {
		n.Log("%v", err)
	}
	return counter
}

// raise notes that a counter was seen.
func (n *Node) raise(counter uint64) {
	if err := n.session.seen.Raise(counter); err != nil {
		n.Log("%v; this program knows, but one that is started again will not", err)
	}
}

// remember notes the counter of a catalog that is taken, on the medium as well.
func (n *Node) remember(ctx context.Context, counter uint64) {
	known := counter <= n.seen()
	n.raise(counter)
	if n.Cmdline.Medium == 0 || n.forgetful || counter <= n.mediumSeen || n.ByHand && known { // the boot wrote down what it took
		return
	}
	limited, cancel := context.WithTimeout(ctx, mediumWriteTime)
	defer cancel()
	wrote := make(chan error, 1)
	go func() { wrote <- n.writeSeen(limited, counter) }() // a drive that is broken may keep it for ever
	var err error
	select {
	case err = <-wrote:
	case <-limited.Done():
		err = fmt.Errorf("the medium did not write within %s", mediumWriteTime)
	}
	if err != nil {
		n.forget(err)
		return
	}
	n.Log("the medium keeps the catalog's counter %d", counter)
	n.mediumKnows(counter)
}

// forget notes, and says once, that the medium keeps no counter.
func (n *Node) forget(why error) {
	n.forgetful = true
	n.Log("%v: which catalog this machine has seen is forgotten when it starts again", why)
}

// mediumKnows notes what counter the medium keeps.
func (n *Node) mediumKnows(counter uint64) {
	n.mediumSeen = counter
	if err := n.session.seen.RaiseByStick(counter); err != nil {
		n.Log("%v", err)
	}
}

// readSeen takes up what the medium has seen in boots before. One without such a file, as mkimage made it once, and a disc keep nothing.
func (n *Node) readSeen(m *medium.Medium) {
	counter, err := m.Seen(n.session.Key.ID())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		n.forget(fmt.Errorf("the medium %s has no %s, as it is a disc's image or of an older release", m.Device, mediumseen.Name))
	case err != nil:
		n.Log("%v: it begins anew", err) // or is not written to, which is told then
	default:
		n.Log("the medium %s: the highest counter of a catalog that was seen is %d", m.Device, counter)
		n.mediumKnows(counter)
	}
}

// writeSeen finds the medium again, which nobody keeps open, and has it write down a counter.
func (n *Node) writeSeen(ctx context.Context, counter uint64) error {
	m, err := medium.Find(ctx, n.Cmdline.Medium, n.Log)
	if err != nil {
		return err
	}
	return errors.Join(m.Remember(n.session.Key.ID(), counter), m.Close())
}
