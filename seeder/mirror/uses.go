package mirror

import (
	"encoding/json"
	"log/slog"
	"os"

	"github.com/boottorrent/boottorrent/internal/atomicfile"
	"github.com/boottorrent/boottorrent/internal/catalog"
)

// uses keeps the order in which versions were wanted by machines, over a restart as well. It counts, for a clock may be wrong. The carrier's
// lock guards it.
type uses struct {
	path string
	// order has a number for each version that was wanted; the last one has the highest.
	order   map[catalog.InfoHash]uint64
	highest uint64
	changed bool
}

// openUses reads the order that was written. Without one, no version was wanted yet.
func openUses(path string, log *slog.Logger) *uses {
	u := &uses{path: path, order: map[catalog.InfoHash]uint64{}}
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &u.order)
	}
	if err != nil {
		if !os.IsNotExist(err) {
			log.Warn("which systems were not used for longest is not known any more", "err", err)
		}
		u.order = map[catalog.InfoHash]uint64{}
	}
	for _, n := range u.order {
		u.highest = max(u.highest, n)
	}
	return u
}

func (u *uses) use(h catalog.InfoHash) {
	if u.order[h] == u.highest && u.highest > 0 {
		return
	}
	u.highest++
	u.order[h], u.changed = u.highest, true
}

// last is the number of the last use; 0: there was none.
func (u *uses) last(h catalog.InfoHash) uint64 { return u.order[h] }

func (u *uses) forget(h catalog.InfoHash) {
	if _, ok := u.order[h]; ok {
		delete(u.order, h)
		u.changed = true
	}
}

// save writes the order if it has changed. Where that can't be, the order after a restart is an older one.
func (u *uses) save() error {
	if !u.changed {
		return nil
	}
	b, err := json.Marshal(u.order)
	if err == nil {
		err = atomicfile.Write(u.path, b, 0o644)
	}
	u.changed = err != nil
	return err
}
