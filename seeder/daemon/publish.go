package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/internal/swarm"
	"github.com/boottorrent/boottorrent/seeder/store"
	"github.com/boottorrent/boottorrent/seeder/tracker"
	"github.com/boottorrent/boottorrent/seeder/web"
)

// A version that the catalog no longer lists is kept until no node has been downloading it for retireIdle, and at least
// retireAfter: a node that read the old catalog may be about to ask for it.
const (
	retireAfter = 10 * time.Minute
	retireIdle  = time.Minute
	retireCheck = 15 * time.Second
)

// publisher makes a site's systems available: it turns a site into stored versions and a signed catalog, and hands those
// to the services at once.
type publisher struct {
	log      *slog.Logger
	store    *store.Store
	engine   *swarm.Engine
	tracker  *tracker.Tracker
	web      *web.Server
	announce []string // tracker URLs, one for each address served on
	base     []string // HTTP base URLs, likewise
	progress store.Progress
	now      func() time.Time

	// changing is held while the set of versions changes, from the import of a new one until the catalog names it, so that
	// nothing that has just been stored is taken for an old version.
	changing sync.Mutex
	seeding  map[catalog.InfoHash]*version
}

// version is one that is being seeded, listed in the catalog or not.
type version struct {
	store.Version
	unlisted time.Time // since when the catalog does not list it; zero: it does
	busy     time.Time // when a node was last downloading it
}

// publish imports every system of s (quick for those already stored) and swaps the catalog. On an error everything
// stays as it was.
func (p *publisher) publish(ctx context.Context, s *site.Site) (*catalog.Catalog, error) {
	p.changing.Lock()
	defer p.changing.Unlock()
	key, err := s.SecretKey()
	if err != nil {
		return nil, err
	}
	runtimes, err := p.runtimes(ctx, s) // first, as what is not installed should be said before minutes of hashing
	if err != nil {
		return nil, err
	}
	versions := make([]store.Version, 0, len(s.Systems))
	for _, sys := range s.Systems {
		v, err := p.store.Import(ctx, sys, p.announce, p.progress)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			p.log.Error("a system is left out", "system", sys.Name, "err", err)
			continue
		}
		versions = append(versions, v)
	}
	cat := p.catalog(s, versions, runtimes)
	document, err := cat.Encode()
	if err != nil {
		return nil, err
	}
	release := &web.Release{
		Site: s.Name, Default: cat.Defaults.System, Catalog: document, Signature: catalog.Sign(key, document),
		Torrents: map[catalog.InfoHash]web.Torrent{},
	}
	for _, r := range runtimes {
		versions = append(versions, r.Version)
	}
	return cat, p.swap(release, versions)
}

func (p *publisher) catalog(s *site.Site, versions []store.Version, runtimes []runtimeVersion) *catalog.Catalog {
	cat := &catalog.Catalog{
		Version: catalog.Version, Site: s.Name, Created: p.now().UTC().Truncate(time.Second),
		Defaults: s.Defaults, Limits: s.Limits.Node, Trackers: p.announce, HTTP: p.base, Systems: []catalog.System{},
	}
	for _, v := range versions {
		cat.Systems = append(cat.Systems, v.System)
	}
	cat.Defaults, cat.Systems = resolve(cat.Defaults, cat.Systems)
	for _, r := range runtimes {
		cat.Runtimes = append(cat.Runtimes, catalog.Runtime{System: r.System, Unpacked: r.unpacked})
	}
	return cat
}

// resolve takes the names out of a catalog that lead to no system in it: without its default, nodes wait for a choice; where another
// system was to follow, the menu does.
func resolve(d catalog.Defaults, systems []catalog.System) (catalog.Defaults, []catalog.System) {
	names := map[string]bool{"": true, catalog.AfterMenu: true, catalog.AfterReboot: true, catalog.AfterPowerOff: true}
	for _, s := range systems {
		names[s.Name] = true
	}
	if !names[d.System] {
		d.System = ""
	}
	for i := range systems {
		if !names[systems[i].Launch.After] {
			systems[i].Launch.After = catalog.AfterMenu
		}
	}
	return d, systems
}

// swap fills the release with the versions and serves it. It seeds what is new before the catalog names it, and marks what
// the catalog no longer names. The caller holds p.changing.
func (p *publisher) swap(release *web.Release, versions []store.Version) error {
	if err := p.seed(versions); err != nil {
		return err
	}
	for _, v := range versions {
		h := v.System.InfoHash
		release.Torrents[h] = web.Torrent{Metainfo: v.Torrent, System: v.System, Files: v.Files, FileList: v.FileList, Dir: v.Dir}
		if p.seeding[h] == nil {
			p.seeding[h] = &version{}
		}
		p.seeding[h].Version, p.seeding[h].unlisted = v, time.Time{}
	}
	now := p.now()
	for h, v := range p.seeding {
		if _, listed := release.Torrents[h]; !listed && v.unlisted.IsZero() {
			v.unlisted, v.busy = now, now
			p.log.Info("old version is kept for nodes that may be downloading it", "system", v.System.Name, "infohash", h)
		}
	}
	p.tracker.SetTorrents(p.infohashes())
	p.web.Publish(release)
	return nil
}

// seed starts the seeding of all versions that are not seeded yet, or of none.
func (p *publisher) seed(versions []store.Version) error {
	var started []catalog.InfoHash
	for _, v := range versions {
		h := v.System.InfoHash
		if p.seeding[h] != nil {
			continue
		}
		if _, err := p.engine.Seed(v.Torrent, v.Dir); err != nil {
			for _, h := range started {
				p.engine.Remove(h)
			}
			return fmt.Errorf("seed system %s: %w", v.System.Name, err)
		}
		started = append(started, h)
	}
	return nil
}

// infohashes lists everything being seeded. The caller holds p.changing.
func (p *publisher) infohashes() []catalog.InfoHash {
	hs := make([]catalog.InfoHash, 0, len(p.seeding))
	for h := range p.seeding {
		hs = append(hs, h)
	}
	return hs
}

// retire drops old versions that nobody needs any more, until ctx ends.
func (p *publisher) retire(ctx context.Context) error {
	tick := time.NewTicker(retireCheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := p.dropIdle(); err != nil {
				p.log.Warn("old versions can't be removed from the disk", "err", err)
			}
		}
	}
}

// prune removes from the disk what is not being seeded.
func (p *publisher) prune() error {
	p.changing.Lock()
	defer p.changing.Unlock()
	return p.store.Prune(p.infohashes())
}

// dropIdle drops what has been unlisted and idle for long enough.
func (p *publisher) dropIdle() error {
	p.changing.Lock()
	defer p.changing.Unlock()
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
	if !dropped {
		return nil
	}
	p.tracker.SetTorrents(p.infohashes())
	return p.store.Prune(p.infohashes())
}
