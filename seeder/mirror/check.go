package mirror

import (
	"context"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

const (
	// lookTime is how often it is looked whether files on this disk are as they were when they were verified, by their sizes and times.
	lookTime = 30 * time.Second
	// readTime is how often all of them are read: what a disk loses by itself no time tells. The first reading is after the start.
	readTime = 24 * time.Hour
)

// checkFiles finds files that are damaged, and has them fetched again, until ctx ends.
func (m *Mirror) checkFiles(ctx context.Context) {
	look := time.NewTicker(m.cfg.lookTime())
	defer look.Stop()
	for read := (time.Time{}); ; {
		all := read.IsZero() || m.cfg.Now().Sub(read).Abs() >= readTime
		if m.release() != nil && m.checkBootFiles(all) {
			m.stir()
		}
		m.carrier.check(ctx, all)
		if all {
			read = m.cfg.Now()
		}
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}

func (c *Config) lookTime() time.Duration {
	if c.Look > 0 {
		return c.Look
	}
	return lookTime
}

// checkBootFiles reports whether one of the boot files is damaged: those that have changed are read, or all of them.
func (m *Mirror) checkBootFiles(all bool) (damaged bool) {
	if all {
		m.boot.forgetCopies()
	}
	for _, f := range m.release().Manifest.Value.Files {
		right := m.boot.has(f)
		if right && all {
			right = m.boot.check(f)
		}
		damaged = damaged || !right
	}
	return damaged || !m.boot.isPlaced(m.release().Manifest.Value)
}

// check has versions fetched again whose files are damaged: those that have changed are read, or all of them.
func (c *carrier) check(ctx context.Context, all bool) {
	for _, v := range c.whole() {
		if !all && v.sealed() {
			continue
		}
		err := v.verify(ctx)
		if err == nil && !v.sealed() {
			err = c.reseal(v.System.InfoHash)
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			c.damaged(v.System.InfoHash, err)
		}
	}
}

// reseal notes the files of a version as they are now, which were found to be right and have other times. The engine gives away what it knows only.
func (c *carrier) reseal(h catalog.InfoHash) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.byHash[h]
	if v == nil || !v.Whole() || v.inHand() {
		return nil // it has left meanwhile
	}
	return c.closed(v, func(v *Version) error {
		if err := v.seal(); err != nil {
			return err
		}
		_, err := c.engine.Seed(v.Torrent, v.Dir)
		return err
	})
}

// whole are the versions that are here.
func (c *carrier) whole() (all []*Version) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, v := range c.byHash {
		if v.Whole() && !v.inHand() {
			all = append(all, v.Version)
		}
	}
	return all
}

// damaged has a version fetched again; of what is there all that is right is used.
func (c *carrier) damaged(h catalog.InfoHash, why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.byHash[h]
	if v == nil || !v.Whole() || v.inHand() {
		return // it has left meanwhile
	}
	c.log.Warn("a file on this disk is damaged; it is not served any more, and fetched again", "system", v.System.Name, "err", why)
	if err := c.withdraw(v, (*Version).unseal); err != nil {
		c.log.Warn("that a version is damaged can't be noted", "system", v.System.Name, "err", err)
	}
	v.wanted, v.again = true, time.Time{}
	c.stir()
}
