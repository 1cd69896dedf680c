package daemon

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/diskmodules"
	"github.com/boottorrent/boottorrent/internal/qemuruntime"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/internal/swarm"
	"github.com/boottorrent/boottorrent/seeder/counter"
	"github.com/boottorrent/boottorrent/seeder/helpers"
	"github.com/boottorrent/boottorrent/seeder/next"
	"github.com/boottorrent/boottorrent/seeder/qemu"
	"github.com/boottorrent/boottorrent/seeder/store"
	"github.com/boottorrent/boottorrent/seeder/tracker"
	"github.com/boottorrent/boottorrent/seeder/web"
)

// publisher makes what is listed available: it turns it into a signed catalog, and hands that and the versions to the services at
// once. Its methods are called from one goroutine.
type publisher struct {
	log      *slog.Logger
	store    *store.Store
	engine   *swarm.Engine
	tracker  *tracker.Tracker
	web      *web.Server
	announce []string // tracker URLs, one for each address served on
	base     []string // HTTP base URLs, likewise
	now      func() time.Time
	counter  *counter.Counter
	// next is what was said that machines start the next time.
	next *next.Store
	// helpers is told of the images that nodes can give away; nil: nobody is.
	helpers *helpers.Book

	listings *listings
	// files are for machines.
	files   *machineFiles
	seeding map[catalog.InfoHash]*version
	// storing says that something is being stored, or has been and is not listed yet.
	storing bool
	// published is the catalog that is served; nil: none yet. shown is the same, for other goroutines.
	published *catalog.Catalog
	shown     atomic.Pointer[catalog.Catalog]
	// unresolved are the names that were taken out of the last catalog that was made, in words; warned are those of which the log says so.
	unresolved, warned []string
}

// version is one that is being seeded, listed in the catalog or not.
type version struct {
	store.Version
	unlisted time.Time // since when the catalog does not list it; zero: it does
	busy     time.Time // when a node was last downloading it
}

// publish serves a catalog of what is listed, and reports whether it differs from the one before. What can't be in it is left out, and
// its listing says why. On an error everything stays as it was.
func (p *publisher) publish(s *site.Site) (changed bool, err error) {
	key, err := s.SecretKey()
	if err != nil {
		return false, err
	}
	names := p.listings.offered()
	excluded := p.seedListed(names)
	cat, document, err := p.encode(s, names, excluded)
	for _, name := range names {
		p.exclude(p.listings.get(name), excluded[name])
	}
	if err != nil {
		return false, err
	}
	p.warnOfUnresolved()
	if p.published != nil && same(p.published, cat) {
		return false, nil
	}
	_ = p.counter.Keep(cat.Counter) // which logs what is wrong, and it is in the status
	release := &web.Release{
		Site: s.Name, Default: cat.Defaults.System, Counter: cat.Counter, Catalog: document, Signature: catalog.Sign(key, document),
		Torrents: map[catalog.InfoHash]web.Torrent{}, MachineFiles: p.files.archives(),
	}
	var versions []store.Version
	for _, sys := range cat.Systems {
		versions = append(versions, p.listings.get(sys.Name).version.Parts()...)
	}
	for _, r := range cat.Runtimes {
		if isRuntime(r.Name) {
			versions = append(versions, *p.listings.get(r.Name).version)
		}
	}
	p.swap(release, versions)
	if p.helpers != nil {
		p.helpers.Offer(images(versions))
	}
	p.published = cat
	p.shown.Store(cat)
	p.remember()
	return true, nil
}

// same reports whether two catalogs say the same, but for when they were made and the counter.
func same(a, b *catalog.Catalog) bool {
	undated := *b
	undated.Created, undated.Counter = a.Created, a.Counter
	one, err := a.Encode()
	other, err2 := undated.Encode()
	return err == nil && err2 == nil && bytes.Equal(one, other)
}

// seedListed starts the seeding of what is not seeded yet, runtimes as well, and returns by name why nodes can't be given a system.
func (p *publisher) seedListed(names []string) (excluded map[string]error) {
	excluded = map[string]error{}
	for _, a := range arch.All {
		for _, name := range []string{qemuruntime.For(a), diskmodules.For(a), catalog.Phase1Name(a)} {
			if r := p.listings.find(name); r != nil && r.version != nil {
				p.exclude(r, p.seed(*r.version))
			}
		}
	}
	for _, name := range names {
		l := p.listings.get(name)
		err := p.seed(*l.version)
		if why := p.lacksRuntime(l.version.System); why != nil {
			err = why
		}
		if catalog.Reserved(name) { // its folder is a problem; it was published by a release that didn't know the word
			err = fmt.Errorf("the name %s stands for something else; rename the folder", name)
		}
		if err != nil {
			excluded[name] = err
		}
	}
	return excluded
}

// lacksRuntime says why nodes can't be given the QEMU that a system needs; nil: they can, or it needs none.
func (p *publisher) lacksRuntime(sys catalog.System) error {
	q := sys.Launch.QEMU
	if q == nil {
		return nil
	}
	if err := qemu.CheckNodes(sys.Arch); err != nil {
		return err
	}
	if r := p.listings.find(q.Runtime); r == nil || r.version == nil || r.excluded != "" {
		return fmt.Errorf("nodes need QEMU for it, which can't be given to them; see what is said of %s", q.Runtime)
	}
	return nil
}

// exclude notes why a version is not in the catalog; nil: it is.
func (p *publisher) exclude(l *listing, err error) {
	why := ""
	if err != nil {
		why = err.Error()
	}
	if why != "" && why != l.excluded {
		p.log.Warn("a version can't be offered", "system", l.last.System.Name, "err", why)
	}
	p.listings.mu.Lock()
	defer p.listings.mu.Unlock()
	l.excluded = why
}

// seed starts the seeding of a version that is not seeded yet, and of its boot part.
func (p *publisher) seed(v store.Version) error {
	for _, part := range v.Parts() {
		h := part.System.InfoHash
		if p.seeding[h] != nil {
			continue
		}
		if _, err := p.engine.Seed(part.Torrent, part.Dir); err != nil {
			return fmt.Errorf("seed system %s: %w", part.System.Name, err)
		}
		p.seeding[h] = &version{Version: part, unlisted: p.now()}
	}
	return nil
}

// encode makes the catalog of the systems that are not excluded. Those for which there is no room are excluded as well.
func (p *publisher) encode(s *site.Site, names []string, excluded map[string]error) (*catalog.Catalog, []byte, error) {
	cat := p.catalog(s, names, excluded)
	if left := cat.Fit(); len(left) > 0 {
		maps.Copy(excluded, left)
		cat = p.catalog(s, names, excluded)
	}
	document, err := cat.Encode()
	return cat, document, err
}

// catalog is the catalog with the systems that are not excluded.
func (p *publisher) catalog(s *site.Site, names []string, excluded map[string]error) *catalog.Catalog {
	cat := &catalog.Catalog{
		Version: catalog.Version, Site: s.Name, Created: p.now().UTC().Truncate(time.Second), Counter: p.counter.Upcoming(),
		Defaults: s.Defaults, Limits: s.Limits.Node, Local: s.Local, Rules: s.Rules(), Trackers: p.announce, HTTP: p.base, Systems: []catalog.System{},
		Files: p.files.listed(),
	}
	cat.Rules.Next = p.next.Catalog()
	needed := map[string]bool{}
	for _, name := range names {
		if excluded[name] != nil {
			continue
		}
		v := p.listings.get(name).version
		cat.Systems = append(cat.Systems, v.System)
		if v.Boot != nil {
			cat.Runtimes = append(cat.Runtimes, catalog.Runtime{System: v.Boot.System, Unpacked: v.Boot.System.Size})
		}
		if q := v.System.Launch.QEMU; q != nil {
			needed[q.Runtime] = true
		}
	}
	for _, a := range arch.All {
		for _, name := range []string{diskmodules.For(a), catalog.Phase1Name(a)} {
			if r := p.listings.find(name); r != nil && r.version != nil && r.excluded == "" {
				needed[name] = true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(needed)) {
		r := p.listings.find(name)
		cat.Runtimes = append(cat.Runtimes, catalog.Runtime{System: r.version.System, Unpacked: r.last.Unpacked})
	}
	p.unresolved = resolve(cat)
	for _, n := range cat.Rules.FitNext() {
		p.unresolved = append(p.unresolved, fmt.Sprintf("next %s of %s, for which there is no room", n.What, n.Group+n.MAC))
	}
	return cat
}

// swap fills the release with the versions, which are seeded, and serves it. It marks what the catalog no longer names.
func (p *publisher) swap(release *web.Release, versions []store.Version) {
	for _, v := range versions {
		h := v.System.InfoHash
		release.Torrents[h] = web.Torrent{Metainfo: p.withTrackers(v), System: v.System, Files: v.Files, FileList: v.FileList, Dir: v.Dir}
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
}

// withTrackers is the torrent of a version, with the trackers of today for foreign clients. Nodes go by the catalog's.
func (p *publisher) withTrackers(v store.Version) []byte {
	torrent, err := swarm.WithTrackers(v.Torrent, p.announce)
	if err != nil {
		p.log.Warn("a torrent is served without trackers; nodes know them from the catalog", "system", v.System.Name, "err", err)
		return v.Torrent
	}
	return torrent
}

// remember has the store note what is published, so that it can be given after a restart whatever becomes of the folders meanwhile.
func (p *publisher) remember() {
	for _, name := range p.listings.names() {
		l := p.listings.get(name)
		if l.version == nil || l.excluded != "" || l.remembered {
			continue
		}
		if err := p.store.Remember(l.last); err != nil {
			p.log.Warn("what is published can't be noted; after a restart it may be missing", "system", name, "err", err)
			continue
		}
		l.remembered = true
	}
}

// forget takes a system out of what is listed.
func (p *publisher) forget(name string) {
	p.listings.remove(name)
	if err := p.store.Forget(name); err != nil {
		p.log.Warn("that a system is gone can't be noted", "system", name, "err", err)
	}
}

// infohashes lists everything being seeded.
func (p *publisher) infohashes() []catalog.InfoHash {
	hs := make([]catalog.InfoHash, 0, len(p.seeding))
	for h := range p.seeding {
		hs = append(hs, h)
	}
	return hs
}
