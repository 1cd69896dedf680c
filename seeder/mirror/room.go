package mirror

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
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
// disk. Where all that may leave would not be enough, none does. The lock is held, and let go while files are deleted.
func (c *carrier) makeRoom(v *carried) error {
	for first := true; ; first = false {
		lack, err := c.lack(v)
		if lack == nil || err != nil {
			return err
		}
		victims := c.victims(v)
		if len(victims) == 0 || first && !lack.ends(victims) {
			return lack
		}
		victim := victims[0]
		c.log.Info("files leave, for there is room for no more", "system", victim.System.Name, "infohash", victim.System.InfoHash, "for", v.System.Name)
		if err := c.withdraw(victim, (*Version).drop); err != nil {
			return err
		}
	}
}

// lackError says that there is no room for a version's files.
type lackError struct {
	words string
	// allowed is how many bytes of what the configuration allows are lacking, and free how many of the disk.
	allowed, free int64
}

// Error implements error.
func (e *lackError) Error() string { return e.words }

// ends reports whether there is room when all of these have left.
func (e *lackError) ends(victims []*carried) bool {
	allowed, free := e.allowed, e.free
	for _, v := range victims {
		allowed -= v.size()
		free -= v.taken()
	}
	return allowed <= 0 && free <= 0
}

// lack says what room there is not for a version's files; nil: there is.
func (c *carrier) lack(v *carried) (*lackError, error) {
	used := int64(0)
	if c.disk > 0 {
		for _, other := range c.byHash {
			if other != v && other.arrived() {
				used += other.size()
			}
		}
	}
	free, err := c.free(c.dir)
	if err != nil {
		return nil, err
	}
	need := v.size() - v.taken()
	lack := &lackError{free: need - max(free, 0)}
	if c.disk > 0 {
		lack.allowed = used + v.size() - c.disk
	}
	switch {
	case lack.allowed > 0:
		lack.words = fmt.Sprintf("there is no room for its %s: disk: allows %s for systems, and %s of that are in use; allow more in mirror.yaml", text.Size(v.size()),
			text.Size(c.disk), text.Size(used))
	case lack.free > 0:
		lack.words = fmt.Sprintf("there is no room for the %s of its %s that are not here: the disk that %s is on has %s left for systems; make room there, and it goes on by itself",
			text.Size(need), text.Size(v.size()), c.dir, text.Size(max(free, 0)))
	default:
		return nil, nil
	}
	return lack, nil
}

// victims are the versions whose files may leave for those of another one, the next one to leave in front. What nobody has asked for takes the
// place of nothing but what the catalog no longer lists.
func (c *carrier) victims(v *carried) (victims []*carried) {
	for _, other := range c.byHash {
		if other == v || !other.arrived() || other.inHand() || other.awaited || c.inUse(other) || other.unlisted.IsZero() && (isRuntime(other.System.Name) || !v.wanted) {
			continue
		}
		victims = append(victims, other)
	}
	slices.SortFunc(victims, c.leavesFirst)
	return victims
}

// leavesFirst puts what the catalog doesn't list first, then what was not used for longest.
func (c *carrier) leavesFirst(a, b *carried) int {
	switch {
	case a.unlisted.IsZero() == b.unlisted.IsZero():
		return cmp.Compare(c.uses.last(a.System.InfoHash), c.uses.last(b.System.InfoHash))
	case b.unlisted.IsZero():
		return -1
	}
	return 1
}
