package mirror

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/text"
)

// busyTime is for how long a version that a machine has asked for is in use, whatever the tracker says: it is about to be announced.
const busyTime = time.Minute

// reserve is what is left of a file system for other things than systems: a hundredth, and at most this, in bytes.
const reserve = 1 << 30

// freeSpace is how many bytes may still be written below a folder.
func freeSpace(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("look how much room there is in %s: %w", dir, err)
	}
	return (int64(st.Bavail) - min(int64(st.Blocks)/100, reserve/st.Bsize)) * st.Bsize, nil
}

// explain adds to the error of a full disk what to do.
func explain(err error, dir string) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("the disk that %s is on is full; make room there, and it goes on by itself: %w", dir, err)
	}
	return err
}

// inUse reports whether machines are fetching a version, or are about to. The lock is held.
func (c *carrier) inUse(v *carried) bool {
	return c.busy(v.System.InfoHash) || !v.asked.IsZero() && c.now().Sub(v.asked).Abs() < busyTime
}

// makeRoom deletes files that were not used for longest until there is room for a version's: within what the configuration allows, and on the
// disk. The lock is held.
func (c *carrier) makeRoom(v *carried) error {
	for {
		lack, err := c.lack(v)
		if lack == nil || err != nil {
			return err
		}
		victim := c.victim(v)
		if victim == nil {
			return lack
		}
		c.log.Info("files leave, for there is room for no more", "system", victim.System.Name, "infohash", victim.System.InfoHash, "for", v.System.Name)
		c.engine.Remove(victim.System.InfoHash)
		if err := victim.drop(); err != nil {
			return err
		}
		victim.since, victim.done = c.now(), 0
	}
}

// lack says in words why there is no room for a version's files; nil: there is.
func (c *carrier) lack(v *carried) (lack, err error) {
	if c.disk > 0 {
		used := int64(0)
		for _, other := range c.byHash {
			if other != v && other.arrived() {
				used += other.size()
			}
		}
		if used+v.size() > c.disk {
			return fmt.Errorf("there is no room for its %s: disk: allows %s for systems, and %s of that are in use; allow more in mirror.yaml", text.Size(v.size()),
				text.Size(c.disk), text.Size(used)), nil
		}
	}
	free, err := c.free(c.dir)
	if err != nil {
		return nil, err
	}
	if need := v.size() - v.taken(); need > max(free, 0) {
		return fmt.Errorf("there is no room for the %s of its %s that are not here: the disk that %s is on has %s left for systems; make room there, and it goes on by itself",
			text.Size(need), text.Size(v.size()), c.dir, text.Size(max(free, 0))), nil
	}
	return nil, nil
}

// victim is the version whose files leave for those of another one; nil: none may. What nobody has asked for takes the place of nothing but what
// the catalog no longer lists.
func (c *carrier) victim(v *carried) (victim *carried) {
	for _, other := range c.byHash {
		if other == v || !other.arrived() || other.cancel != nil || c.inUse(other) || other.unlisted.IsZero() && (isRuntime(other.System.Name) || !v.wanted) {
			continue
		}
		if victim == nil || c.leavesBefore(other, victim) {
			victim = other
		}
	}
	return victim
}

// leavesBefore puts what the catalog doesn't list first, then what was not used for longest.
func (c *carrier) leavesBefore(a, b *carried) bool {
	if a.unlisted.IsZero() != b.unlisted.IsZero() {
		return !a.unlisted.IsZero()
	}
	return c.uses.last(a.System.InfoHash) < c.uses.last(b.System.InfoHash)
}
