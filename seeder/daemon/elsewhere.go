package daemon

import (
	"cmp"
	"context"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/seeder/upstream"
)

const (
	// countTime is how often trackers of one site are asked how many peers they know, and scrapeTime how long an answer may take.
	countTime  = time.Minute
	scrapeTime = 5 * time.Second
)

// peerCount is how many peers a tracker knows.
type peerCount struct{ complete, incomplete int }

// countElsewhere asks the trackers of the seeder that is followed and of the mirrors how many peers they know (BEP 48), one after the other,
// until ctx ends. That is for people to see: nobody is told of a peer for it.
func (d *daemon) countElsewhere(ctx context.Context) {
	tick := time.NewTicker(cmp.Or(d.Count, countTime))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			d.scrape(ctx)
		}
	}
}

// scrape asks once.
func (d *daemon) scrape(ctx context.Context) {
	cat := d.feed.catalog()
	if cat == nil {
		return
	}
	var torrents []catalog.InfoHash
	for _, s := range cat.Systems {
		torrents = append(torrents, s.InfoHash)
	}
	ask := func(base string) (c peerCount, err error) {
		ctx, cancel := context.WithTimeout(ctx, scrapeTime)
		defer cancel()
		c.complete, c.incomplete, err = (&upstream.Seeder{Base: base}).Scrape(ctx, torrents)
		if err != nil {
			d.Log.Debug("the tracker of another seeder does not say how many peers it knows", "err", err)
		}
		return c, err
	}
	if f, ok := d.feed.(*mirrored); ok {
		if from := f.following(); from != nil {
			if c, err := ask(from.Base); err == nil {
				d.elsewhere.Store(&c)
			}
		}
	}
	for _, m := range d.siblings.Mirrors() {
		if !m.Listed {
			continue
		}
		if c, err := ask(m.HTTP); err == nil {
			d.siblings.Count(m.HTTP, c.complete, c.incomplete)
		}
	}
}
