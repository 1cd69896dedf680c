package daemon

import "time"

// A version that the catalog no longer lists is kept until no node has been downloading it for retireIdle, and at least
// retireAfter: a node that read the old catalog may be about to ask for it.
const (
	retireAfter = 10 * time.Minute
	retireIdle  = time.Minute
	retireCheck = 15 * time.Second
)

// prune removes from the disk what nobody needs: versions that are not seeded, and leftovers. While something is being stored, it
// waits for the next time.
func (p *publisher) prune() {
	if p.storing {
		return
	}
	keep := p.infohashes()
	for _, name := range p.listings.names() {
		if v := p.listings.get(name).version; v != nil {
			for _, part := range v.Parts() {
				keep = append(keep, part.System.InfoHash)
			}
		}
	}
	if err := p.store.Prune(keep); err != nil {
		p.log.Warn("old versions can't be removed from the disk", "err", err)
	}
}

// dropIdle drops what has been unlisted and idle for long enough.
func (p *publisher) dropIdle() {
	now, dropped := p.now(), false
	for h, v := range p.seeding {
		if v.unlisted.IsZero() {
			continue
		}
		if _, incomplete := p.tracker.Swarm(h); incomplete > 0 {
			v.busy = now
		}
		if now.Sub(v.unlisted) < retireAfter || now.Sub(v.busy) < retireIdle {
			continue
		}
		p.engine.Remove(h)
		p.web.Retire(h)
		delete(p.seeding, h)
		dropped = true
		p.log.Info("old version dropped", "system", v.System.Name, "infohash", h)
	}
	if dropped {
		p.tracker.SetTorrents(p.infohashes())
	}
	p.prune()
}
