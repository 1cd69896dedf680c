package node

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/client"
	"github.com/boottorrent/boottorrent/initramfs/seeders"
	"github.com/boottorrent/boottorrent/initramfs/seen"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/swarm"
)

// While the chooser waits, what a node needs of the seeder to fetch a system from other nodes, its list of files and its torrent, is
// fetched ahead. So a system can be chosen, and starts, when the seeder is switched off by then.

const (
	// aheadBytes and aheadSystems are what is kept at most.
	aheadBytes   = 8 << 20
	aheadSystems = 64
	// aheadStart is about how long a chooser waits before the first is fetched, aheadPause the pause between two: a whole room may be
	// doing it. Both are random.
	aheadStart = 2 * time.Second
	aheadPause = 500 * time.Millisecond
	// aheadTries is how often it is tried before the seeder is taken for gone, aheadRetry the pause between two tries.
	aheadTries = 3
	aheadRetry = 10 * time.Second
	// fileBytes is about what an entry of a list takes besides its path, pathBytes what that takes.
	fileBytes, pathBytes = 100, 60
	// awayTime is how long a seeder may take to answer for what was fetched ahead.
	awayTime = 4 * time.Second
)

// metadata is what a node needs of the seeder to fetch a version of a system from others.
type metadata struct {
	files   catalog.FileList
	torrent []byte
}

// ahead keeps the metadata of systems that may be chosen.
type ahead struct {
	mu  sync.Mutex
	got map[catalog.InfoHash]metadata
}

// fetch fetches the metadata of the systems of a catalog, those of small systems first, and forgets all others. It returns when it has
// all, or as many as it keeps, or ctx ends, or the seeder doesn't answer.
func (a *ahead) fetch(ctx context.Context, from *seeders.Seeders, cat *catalog.Catalog, arch string) {
	wanted := aheadOf(cat, arch)
	a.mu.Lock()
	maps.DeleteFunc(a.got, func(h catalog.InfoHash, _ metadata) bool {
		return !slices.ContainsFunc(wanted, func(s catalog.System) bool { return s.InfoHash == h })
	})
	a.mu.Unlock()
	sleep(ctx, aheadStart/2+rand.N(aheadStart))
	for _, sys := range wanted {
		if _, ok := a.find(sys); ok {
			continue
		}
		if !a.fetchOne(ctx, from, sys) {
			return
		}
		sleep(ctx, aheadPause/2+rand.N(aheadPause))
	}
}

// aheadOf are the systems and runtimes to fetch the metadata of, in that order.
func aheadOf(cat *catalog.Catalog, arch string) []catalog.System {
	all := slices.Clone(cat.Systems)
	for _, r := range cat.Runtimes {
		all = append(all, r.System)
	}
	all = slices.DeleteFunc(all, func(s catalog.System) bool {
		return s.Arch != arch && s.Arch != "" || s.Launch.Method == catalog.MethodLocal || catalog.IsPhase1(s.Name)
	})
	slices.SortStableFunc(all, func(a, b catalog.System) int { return cmp.Compare(a.ToFetch(), b.ToFetch()) })
	var sum int64
	for i, s := range all {
		sum += metadataSize(s)
		if sum > aheadBytes || i == aheadSystems {
			return all[:i]
		}
	}
	return all
}

// metadataSize is about how many bytes of memory the metadata of a system take.
func metadataSize(s catalog.System) int64 {
	pieces := s.Size / max(1, s.PieceLength)
	return 20*pieces + int64(s.List.Files)*(fileBytes+2*pathBytes)
}

// fetchOne reports whether to go on.
func (a *ahead) fetchOne(ctx context.Context, from *seeders.Seeders, sys catalog.System) bool {
	for try := range aheadTries {
		if try > 0 {
			sleep(ctx, aheadRetry/2+rand.N(aheadRetry))
		}
		var p metadata
		err := from.Ask(ctx, func(ctx context.Context, c *client.Client) (err error) {
			p, err = metadataFrom(ctx, c, sys)
			return err
		})
		switch {
		case err == nil:
			a.keep(sys, p)
			return true
		case ctx.Err() != nil:
			return false
		case errors.Is(err, client.ErrGone):
			return true // Fetch will read the catalog anew
		}
	}
	return false
}

func (a *ahead) keep(sys catalog.System, p metadata) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.got == nil {
		a.got = map[catalog.InfoHash]metadata{}
	}
	a.got[sys.InfoHash] = p
}

// metadataFrom are verified by the catalog's entry.
func metadataFrom(ctx context.Context, from *client.Client, sys catalog.System) (p metadata, err error) {
	if p.files, err = from.Files(ctx, sys); err != nil {
		return p, err
	}
	p.torrent, err = torrentFrom(ctx, from, sys, p.files)
	return p, err
}

// torrentFrom is a metainfo file that belongs to the catalog's entry.
func torrentFrom(ctx context.Context, from *client.Client, sys catalog.System, files catalog.FileList) ([]byte, error) {
	torrent, err := from.Torrent(ctx, sys.InfoHash)
	if err == nil {
		err = client.Verified(swarm.CheckMetainfo(torrent, sys, files))
	}
	return torrent, err
}

func (a *ahead) find(sys catalog.System) (metadata, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p, ok := a.got[sys.InfoHash]
	return p, ok
}

// fetchAhead does that until the function that it returns is called.
func (n *Node) fetchAhead(ctx context.Context, cat *catalog.Catalog) (stop func()) {
	from := n.session.Seeders
	if from.Client() == nil || n.ByHand {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	files := n.filesFor(cat)
	go func() {
		if len(files) > 0 {
			sleep(ctx, aheadStart/2+rand.N(aheadStart))
			_, _ = n.download.archives.fetch(ctx, from, files) // what is wrong, Fetch says
		}
		n.download.ahead.fetch(ctx, from, cat, n.Facts.Arch)
	}()
	return cancel
}

// served asks the seeder for something of a system, and takes what was fetched ahead if it doesn't answer. That it no longer has
// this version is an answer.
func served[T any](ctx context.Context, d *download, sys catalog.System, ask func(context.Context, *client.Client) (T, error), instead func(metadata) T) (T, error) {
	var got T
	request := func(ctx context.Context, from *client.Client) (err error) {
		got, err = ask(ctx, from)
		return err
	}
	p, ok := d.ahead.find(sys)
	if !ok {
		err := d.session.Insist(ctx, request)
		return got, stale(err)
	}
	if d.session.Silent() {
		return instead(p), nil
	}
	limited, cancel := context.WithTimeout(ctx, awayTime)
	defer cancel()
	err := d.session.Ask(limited, request)
	if err == nil || errors.Is(err, client.ErrGone) || ctx.Err() != nil {
		return got, stale(err)
	}
	d.log("%v: going on with what was fetched ahead", err)
	return instead(p), nil
}

// withoutSeeder returns the catalog that was read before if the seeder doesn't answer, nor another that can be found, and there is
// something in it that was fetched ahead: other nodes may have that. Otherwise it returns why the catalog could not be read.
func (n *Node) withoutSeeder(ctx context.Context, why error) (*catalog.Catalog, error) {
	cat := n.session.catalog
	var old *seen.OldError
	var status *client.StatusError
	if cat == nil || errors.As(why, &old) || errors.As(why, &status) || !n.download.ahead.any(cat) {
		return nil, why
	}
	if base, err := n.findSeeder(ctx); err == nil {
		n.Log("seeder: %s answers", base) // it is taken when this step is done again
		return nil, why
	}
	n.Log("%v: going on with the catalog that was read before; other nodes may have what is in it", why)
	return cat, nil
}

// any reports whether metadata of the catalog's systems are here.
func (a *ahead) any(cat *catalog.Catalog) bool {
	return slices.ContainsFunc(cat.Systems, func(s catalog.System) bool { _, ok := a.find(s); return ok })
}
