package node

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// errClaimed says that the systems on this node are in other hands.
var errClaimed = errors.New("another program of this node (boot, as a rule) is fetching a system, running it or giving it away, " +
	"and this would take its files: end that first, or use the shell that the chooser or a failure offers (s)")

// claim makes this program the one that fills and clears the folder of systems, until release is called or it ends (flock(2)).
// Otherwise a step by hand, in the second console or by ssh, could take away what boot runs or gives to others.
func (n *Node) claim() error {
	if n.claimed != nil {
		return nil
	}
	if err := os.MkdirAll(n.Systems, 0o755); err != nil {
		return fmt.Errorf("make the folder of systems: %w", err)
	}
	dir, err := os.Open(n.Systems)
	if err != nil {
		return fmt.Errorf("open the folder of systems: %w", err)
	}
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		dir.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return errClaimed
		}
		return fmt.Errorf("lock the folder of systems %s: %w", n.Systems, err)
	}
	n.claimed = dir
	return nil
}

// release ends the claim.
func (n *Node) release() {
	if n.claimed != nil {
		n.claimed.Close()
		n.claimed = nil
	}
}
