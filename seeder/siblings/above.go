package siblings

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"time"

	"github.com/boottorrent/boottorrent/internal/atomicfile"
	"github.com/boottorrent/boottorrent/internal/catalog"
)

// readTime is how often the list of the seeder that is followed is read, beside when the catalog changes, and failedTime how soon again after it
// could not be.
const readTime, failedTime = 30 * time.Second, 2 * time.Second

// Follow reads the list of the seeder that is followed until ctx ends: now, when changed says so, and every 30 s. Where it can't be read the
// last one stays.
func (b *Book) Follow(ctx context.Context, changed <-chan struct{}, read func(context.Context) (catalog.SeederList, error)) {
	for {
		again := readTime
		list, err := read(ctx)
		if err == nil {
			b.follows(list.Seeders)
		} else if ctx.Err() == nil {
			b.cfg.Log.Debug("the list of seeders can't be read", "err", err)
			again = failedTime
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-time.After(again):
		}
	}
}

// follows takes the list of the seeder that is followed.
func (b *Book) follows(list []catalog.SeederAddress) {
	b.mu.Lock()
	same := slices.Equal(b.above, list)
	b.above = list
	b.mu.Unlock()
	if same || b.cfg.File == "" {
		return
	}
	text, err := json.Marshal(catalog.SeederList{Seeders: list})
	if err == nil {
		err = atomicfile.Write(b.cfg.File, text, 0o644)
	}
	if err != nil {
		b.cfg.Log.Warn("the list of the site's seeders can't be kept over a restart", "err", err)
	}
}

// recall reads the list that was kept.
func (b *Book) recall() {
	if b.cfg.File == "" {
		return
	}
	text, err := os.ReadFile(b.cfg.File)
	if err != nil {
		return // there is none yet
	}
	list, err := catalog.OpenSeeders(text)
	if err != nil {
		b.cfg.Log.Warn("the list of the site's seeders is read anew", "file", b.cfg.File, "err", err)
	}
	b.above = list.Seeders
}

// Above is the list of the seeder that is followed, as it was read last.
func (b *Book) Above() []catalog.SeederAddress {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.above)
}
