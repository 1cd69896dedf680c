package mirror

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/swarm"
)

const (
	// atOnce is how many versions are fetched at a time: what is carried comes one after the other, and what machines want goes beside.
	atOnce = 3
	// retryTime is when to try again to fetch a version that could not be fetched.
	retryTime = 10 * time.Second
	// leaveTime is how long a version that the catalog no longer lists stays at least: a machine that read the catalog before may want it.
	leaveTime = 10 * time.Minute
)

// Engine is what fetches and gives away; a swarm.Engine.
type Engine interface {
	Fetch(ctx context.Context, src swarm.Source, progress func(swarm.Stats)) error
	Seed(torrent []byte, dir string) (catalog.InfoHash, error)
	Remove(h catalog.InfoHash)
}

// carrier decides which versions' files are here, and gets them. Its methods may be called concurrently.
type carrier struct {
	dir    string
	engine Engine
	log    *slog.Logger
	now    func() time.Time
	// carry says whether a system's files are fetched before anybody wants them; disk is what all files may take, in bytes, 0: no bound.
	carry func(name string) bool
	disk  int64
	// busy reports whether machines are fetching a version from here; gone is told of each that has left. free is how many bytes the file system
	// has left for files in a folder.
	busy func(catalog.InfoHash) bool
	gone func(catalog.InfoHash)
	free func(dir string) (int64, error)

	mu sync.Mutex
	// uses has the order in which versions were wanted.
	uses *uses
	// list are the versions of the catalog, in the order in which they are fetched.
	list   []*carried
	byHash map[catalog.InfoHash]*carried
	wake   chan struct{}
}

// carried is a version with what becomes of it.
type carried struct {
	*Version
	// wanted says that a machine has asked for it and it is not here.
	wanted bool
	// cancel ends its fetch; nil: it is not being fetched.
	cancel context.CancelFunc
	// closing says that its files are being closed, and perhaps deleted, without the lock: nobody else touches them meanwhile.
	closing bool
	// awaited says that obtain waits for it: it stays, though the catalog doesn't list it yet.
	awaited bool
	// done is how many bytes have arrived.
	done int64
	// since is when it came to be whole, fetched, or neither; asked is when a machine last wanted it, zero: none has since the start.
	since, asked time.Time
	// failed is why it could not be fetched, again is when to try the next time.
	failed string
	again  time.Time
	// unlisted is since when the catalog doesn't list it; zero: it does.
	unlisted time.Time
}

// set makes these the versions of the catalog, the first ones to be fetched in front. Those that were verified before are given away from now on.
func (c *carrier) set(versions []*Version) {
	c.mu.Lock()
	defer c.mu.Unlock()
	listed := map[catalog.InfoHash]bool{}
	c.list = nil
	for _, v := range versions {
		h := v.System.InfoHash
		listed[h] = true
		known := c.byHash[h]
		if known == nil {
			known = &carried{Version: v, since: c.now()}
			c.byHash[h] = known
			c.resume(known)
		}
		if known.Version != v { // the catalog describes it in another way
			v.whole = known.whole
			known.Version = v
		}
		known.unlisted = time.Time{}
		c.list = append(c.list, known)
	}
	for h, known := range c.byHash {
		if !listed[h] && known.unlisted.IsZero() {
			known.unlisted = c.now()
			known.wanted = false
		}
	}
	c.stir()
}

// resume gives away a version whose files are here from before, and has one that had begun to arrive fetched to its end.
func (c *carrier) resume(v *carried) {
	if !v.arrived() {
		return
	}
	if !v.sealed() {
		v.wanted = true // what is there is verified by the fetch, and used
		return
	}
	if _, err := c.engine.Seed(v.Torrent, v.Dir); err != nil {
		c.log.Warn("the files of a version can't be given away; they are fetched once more", "system", v.System.Name, "err", err)
		return
	}
	v.whole.Store(true)
}

// want has a version fetched that a machine wants, if it is not here.
func (c *carrier) want(h catalog.InfoHash) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.byHash[h]
	if v == nil {
		return
	}
	c.uses.use(h)
	v.asked = c.now()
	if !v.Whole() && !v.wanted {
		v.wanted, v.again = true, time.Time{}
		c.stir()
	}
}

func (c *carrier) stir() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// run fetches until ctx ends, and returns when nothing is being fetched any more.
func (c *carrier) run(ctx context.Context) {
	var group sync.WaitGroup
	defer group.Wait()
	tick := time.NewTicker(retryTime / 4)
	defer tick.Stop()
	for {
		for v, fetchCtx := c.next(ctx); v != nil; v, fetchCtx = c.next(ctx) {
			group.Go(func() { c.end(v, c.fetch(fetchCtx, v)) })
		}
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		case <-tick.C:
			c.leave()
		}
	}
}

// next begins to fetch a version for which there is room, and returns it with the context of its fetch, which end follows; nil: there is none.
func (c *carrier) next(ctx context.Context) (*carried, context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.due()
	if v == nil {
		return nil, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	if err := c.begin(v, cancel); err != nil {
		c.fail(v, err)
		return nil, nil
	}
	return v, ctx
}

// begin notes that a version is being fetched, and makes room for it. From then on, end alone says that it is not fetched any more. The lock is
// held.
func (c *carrier) begin(v *carried, cancel context.CancelFunc) error {
	v.cancel = cancel // before makeRoom, which lets go of the lock: nobody begins it twice
	if err := c.makeRoom(v); err != nil {
		cancel()
		v.cancel = nil
		return err
	}
	v.since = c.now()
	return nil
}

// due is the version to fetch now; nil: none. The lock is held.
func (c *carrier) due() *carried {
	var due []*carried
	running, waiting := 0, false
	for _, v := range c.list {
		if v.cancel != nil {
			running++
			waiting = waiting || !v.wanted
		}
	}
	for _, v := range c.list {
		if v.Whole() || v.inHand() || c.now().Before(v.again) {
			continue
		}
		if v.wanted || !waiting && (isRuntime(v.System.Name) || c.carry(v.System.Name)) {
			due = append(due, v)
		}
	}
	if running >= atOnce || len(due) == 0 {
		return nil
	}
	slices.SortStableFunc(due, func(a, b *carried) int { return cmp.Compare(rank(a), rank(b)) })
	return due[0]
}

// inHand reports whether somebody works on the files: nobody else may.
func (v *carried) inHand() bool { return v.cancel != nil || v.closing }

// rank puts what machines wait for before what none has asked for.
func rank(v *carried) int {
	if v.wanted {
		return 0
	}
	return 1
}

// isRuntime reports whether a version is what systems need beside their files. Its names begin with a dot, which no system's does.
func isRuntime(name string) bool { return name != "" && name[0] == '.' }

// closed calls do when the engine has let go of a version's files. The lock is held, and let go meanwhile: the engine waits for peers, and a disk
// may be slow.
func (c *carrier) closed(v *carried, do func(*Version) error) error {
	version := v.Version
	v.closing = true
	c.mu.Unlock()
	c.engine.Remove(version.System.InfoHash)
	err := do(version)
	c.mu.Lock()
	v.closing = false
	c.stir()
	return err
}

// withdraw is closed for a version that is not whole from now on.
func (c *carrier) withdraw(v *carried, do func(*Version) error) error {
	v.whole.Store(false)
	err := c.closed(v, do)
	v.since, v.done = c.now(), 0
	return err
}

func (c *carrier) fetch(ctx context.Context, v *carried) error {
	c.mu.Lock()
	version := v.Version
	c.mu.Unlock()
	sys := version.System
	if err := version.keepDocuments(); err != nil {
		return err
	}
	c.log.Info("fetching a version", "system", sys.Name, "infohash", sys.InfoHash, "bytes", version.size())
	began := c.now()
	err := c.engine.Fetch(ctx, version.source(), func(s swarm.Stats) {
		c.mu.Lock()
		defer c.mu.Unlock()
		v.done = s.Done
	})
	if err == nil {
		err = version.seal()
	}
	if err == nil {
		c.log.Info("a version is here", "system", sys.Name, "infohash", sys.InfoHash, "took", c.now().Sub(began).Round(time.Millisecond))
	}
	return err
}

// end notes how a fetch ended.
func (c *carrier) end(v *carried, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v.cancel()
	v.cancel, v.since = nil, c.now()
	switch {
	case err == nil:
		v.wanted, v.failed = false, ""
	case errors.Is(err, context.Canceled):
	default:
		c.fail(v, err)
	}
	c.stir()
}

// fail notes why a version can't be fetched, and logs what is new of it. The lock is held.
func (c *carrier) fail(v *carried, err error) {
	v.again = c.now().Add(retryTime)
	err = explain(err, c.dir)
	if why := err.Error(); why != v.failed {
		v.failed = why
		c.log.Warn("a version can't be fetched for now", "system", v.System.Name, "err", err)
	}
}

// leave deletes versions that the catalog has not listed for some time and that no machine is fetching.
func (c *carrier) leave() {
	for _, h := range c.drop() {
		c.gone(h)
	}
}

// drop is leave, and returns what has left.
func (c *carrier) drop() (left []catalog.InfoHash) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.uses.save() // it is tried again
	for _, v := range c.list {
		if !v.Whole() && !v.wanted && c.busy(v.System.InfoHash) { // who announces it may have read the torrent elsewhere
			v.wanted, v.asked = true, c.now()
			c.uses.use(v.System.InfoHash)
			c.stir()
		}
	}
	for h, v := range maps.Clone(c.byHash) {
		if v.closing || v.awaited || v.unlisted.IsZero() || c.now().Sub(v.unlisted) < leaveTime || c.inUse(v) {
			continue
		}
		if v.cancel != nil {
			v.cancel() // it leaves the next time
			continue
		}
		if err := c.withdraw(v, func(v *Version) error { return os.RemoveAll(v.Dir) }); err != nil {
			c.log.Warn("an old version can't be deleted", "dir", v.Dir, "err", err)
			continue
		}
		if v.awaited || v.unlisted.IsZero() {
			_ = v.keepDocuments() // it came to be needed meanwhile; it is tried again
			continue
		}
		delete(c.byHash, h)
		c.uses.forget(h)
		left = append(left, h)
		c.log.Info("old version dropped", "system", v.System.Name, "infohash", h)
	}
	return left
}

// sweep deletes the folders of versions that are not known, as one that was dropped while the mirror was off. What the catalog lists stays: its
// documents alone may be damaged.
func (c *carrier) sweep(listed []catalog.System) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		var h catalog.InfoHash
		if h.UnmarshalText([]byte(e.Name())) == nil && c.byHash[h] == nil && !slices.ContainsFunc(listed, func(s catalog.System) bool { return s.InfoHash == h }) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(c.dir, e.Name())))
		}
	}
	return err
}

// known are the versions whose documents are here, listed or not.
func (c *carrier) known() (hashes []catalog.InfoHash) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for h := range c.byHash {
		hashes = append(hashes, h)
	}
	return hashes
}

// states are how the versions of the catalog stand.
func (c *carrier) states() (all []VersionState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, v := range c.list {
		s := VersionState{Name: v.System.Name, InfoHash: v.System.InfoHash, Size: v.size(), Done: v.done, Whole: v.Whole(), Fetching: v.cancel != nil, Since: v.since, Trouble: v.failed}
		if s.Whole {
			s.Done = s.Size
		}
		all = append(all, s)
	}
	return all
}
