package swarm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/anacrolix/torrent"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/swarm/pick"
)

// Source is what Fetch fetches, and from where.
type Source struct {
	// Torrent is the metainfo file; System is the catalog's entry it must match, and Files the list of that.
	Torrent []byte
	System  catalog.System
	Files   catalog.FileList
	// Dir is the folder to make System.Name in: the files go to Dir/NAME/PATH. On a node it is on tmpfs.
	Dir string
	// Trackers are announce URLs (BEP 3, http), of which each is used, beside those of Config.Seeders.
	Trackers []string
	// Peers are known from the start: usually the seeder.
	Peers []netip.AddrPort
	// WebSeeds are the URLs of folders in which the torrent's folder is found (BEP 19; see catalog.WebSeedPath). They
	// are used only while BitTorrent brings nothing, and those of Config.Seeders after them.
	WebSeeds []string
	// StallAfter is how long nothing may come in before the web seeds are used; 0 is 10 s.
	StallAfter time.Duration
	// GiveUpAfter is how long nothing may come in at all, from anywhere, before Fetch fails; 0 is 2 minutes.
	GiveUpAfter time.Duration
}

// Defaults of Source.
const (
	defaultStall  = 10 * time.Second
	defaultGiveUp = 2 * time.Minute
)

// Fetch brings a system's files here. It returns nil once every piece is there and the SHA-256 of every file is the
// catalog's; the torrent then stays in the engine and is given away until Remove or Close. Until then progress, unless
// it is nil, is called from one goroutine about twice a second, and once at the end.
//
// Pieces that an earlier Fetch left in Source.Dir are verified and used. When Fetch fails the torrent is removed from
// the engine; the files stay for the next try, unless a file is not the catalog's ([MismatchError]): then they are
// deleted. To give up their memory, call [Discard]. When ctx ends Fetch returns its error.
func (e *Engine) Fetch(ctx context.Context, src Source, progress func(Stats)) error {
	if err := CheckMetainfo(src.Torrent, src.System, src.Files); err != nil {
		return err
	}
	if progress == nil {
		progress = func(Stats) {}
	}
	switch err := e.fetch(ctx, src, progress); {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		return fmt.Errorf("fetch %q: %w", src.System.Name, err)
	}
}

func (e *Engine) fetch(ctx context.Context, src Source, progress func(Stats)) error {
	f, err := e.begin(src)
	if err != nil {
		return err
	}
	d := &download{engine: e, entry: f, src: src, progress: progress}
	d.webSeeds = &webSeeds{engine: e, entry: f, given: src.WebSeeds, failing: map[string]*failing{}}
	err = d.run(ctx)
	e.locked(func() { f.fetching = false })
	f.background.Done() // add counted us
	if err == nil {
		progress(e.stats(f))
		return nil
	}
	e.Remove(f.layout.hash)
	if mismatch := (*MismatchError)(nil); errors.As(err, &mismatch) {
		err = errors.Join(err, Discard(src.Dir, src.System.Name, src.Files))
	}
	return err
}

// begin opens the files and adds the torrent. One that was fetched or is seeded already is taken out and begun anew:
// its pieces are hashed again, not fetched again.
func (e *Engine) begin(src Source) (*entry, error) {
	l, err := parseMetainfo(src.Torrent)
	if err != nil {
		return nil, err
	}
	if old := e.entry(l.hash); old != nil {
		fetching := false
		e.locked(func() { fetching = old.fetching })
		if fetching {
			return nil, errors.New("it is being fetched already")
		}
		e.Remove(l.hash)
	}
	s, err := openFetch(l, src.Dir, e.files)
	if err != nil {
		return nil, err
	}
	return e.add(l, src.Dir, s, true)
}

// locked reads or changes an entry under the engine's lock.
func (e *Engine) locked(change func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change()
}

// download is a Fetch at work.
type download struct {
	engine   *Engine
	entry    *entry
	src      Source
	progress func(Stats)
	webSeeds *webSeeds

	// heard is the number of bytes received so far, heardAt when it last grew.
	heard   int64
	heardAt time.Time
	// near and nearAt are the same for what near peers sent.
	near   int64
	nearAt time.Time
	// doubtedAt is when there were doubts of the own seeder the last time, steppedAt when far peers were turned to.
	doubtedAt, steppedAt time.Time
	// failed gets the first failure to store what came in.
	failed chan error
	// stopFallback ends the period of fetching by HTTP, and waits for its end; nil outside of one.
	stopFallback func()
}

// run gets all pieces and verifies the files.
func (d *download) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d.failed = make(chan error, 1)
	d.entry.torrent.SetOnWriteChunkError(d.fail)
	d.start(ctx)
	defer d.endFallback()
	ticker := time.NewTicker(d.engine.cfg.tick)
	defer ticker.Stop()
	verified := make(chan error, 1)
	complete := d.entry.torrent.Complete().On()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-d.entry.ctx.Done():
			return errRemoved
		case err := <-d.failed:
			return writeError(err, d.src)
		case err := <-verified:
			if err != nil {
				return err
			}
			return d.entry.store.seal()
		case <-complete:
			complete = nil
			d.endFallback()
			close(d.entry.completed)
			d.engine.locked(func() { d.entry.verifying = true })
			defer d.engine.locked(func() { d.entry.verifying = false })
			go func() { verified <- d.entry.store.verify(ctx, d.src.Files) }()
		case now := <-ticker.C:
			if complete != nil {
				if err := d.watch(ctx, now); err != nil {
					return err
				}
			}
			d.progress(d.engine.stats(d.entry))
		}
	}
}

// start sets everything going.
func (d *download) start(ctx context.Context) {
	e, f := d.engine, d.entry
	chooser := newChooser(e, f)
	chooser.refill(time.Now())
	d.addPeers()
	f.background.Go(func() { e.announce(f, d.src.Trackers) })
	f.background.Go(func() { e.search(f) })
	f.background.Go(func() { chooser.run(ctx) })
	d.heardAt = time.Now()
	d.nearAt = d.heardAt
}

// addPeers has the library dial the peers that are known from the start.
func (d *download) addPeers() {
	var infos []torrent.PeerInfo
	for _, p := range append(d.engine.ownSeed(), d.src.Peers...) {
		infos = append(infos, torrent.PeerInfo{Addr: net.TCPAddrFromAddrPort(p), Source: torrent.PeerSourceDirect, Trusted: true})
	}
	d.entry.torrent.AddPeers(infos)
}

// watch notices when nothing comes in, and begins and ends the fallback.
func (d *download) watch(ctx context.Context, now time.Time) error {
	f := d.entry
	if n := f.received(); n != d.heard || f.store.hashing() {
		d.heard, d.heardAt = n, now
	}
	if f.torrent.Stats().ActivePeers == 0 {
		// The library dials a peer once. It may have been down, or may have taken us for the connection that an earlier Fetch
		// has just closed.
		d.addPeers()
	}
	d.reachOut(now)
	silent := now.Sub(d.heardAt)
	switch {
	case silent >= orDefault(d.src.GiveUpAfter, defaultGiveUp):
		return d.gaveUp(silent)
	case d.stopFallback == nil && silent >= d.stallAfter() && len(d.webSeeds.bases()) > 0:
		d.beginFallback(ctx)
	case d.stopFallback != nil && f.peersSilent(now) < 2*d.engine.cfg.tick && d.peersSuffice():
		d.endFallback()
		d.engine.log.Info("peers are back: HTTP is no longer used", "system", d.src.System.Name)
	}
	return nil
}

// fail ends the download.
func (d *download) fail(err error) {
	select {
	case d.failed <- err:
	default:
	}
}

func (d *download) stallAfter() time.Duration { return orDefault(d.src.StallAfter, defaultStall) }

// peersSuffice reports whether the connected peers have every missing piece. In a room where only HTTP brings new
// pieces the nodes are busy with each other and yet depend on it.
func (d *download) peersSuffice() bool {
	return !d.entry.crowd.lacks(d.entry.store.missing)
}

func (d *download) beginFallback(ctx context.Context) {
	e, f := d.engine, d.entry
	e.log.Warn("nothing comes by BitTorrent: falling back to HTTP", "system", d.src.System.Name, "peers", f.torrent.Stats().ActivePeers,
		"trouble", f.trouble.String())
	e.locked(func() { f.fallback = true })
	ctx, cancel := context.WithCancel(ctx)
	b := &fallback{
		engine: e, entry: f, seeds: d.webSeeds, silenceTimeout: d.stallAfter(), fail: d.fail,
		picker: pick.New(e.client.PeerID(), torrentBoard{f}), claimed: map[int]bool{}, spoiled: map[int]int{},
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.run(ctx)
	}()
	d.stopFallback = func() {
		cancel()
		<-ended
	}
}

// endFallback returns when no more pieces come by HTTP.
func (d *download) endFallback() {
	if d.stopFallback == nil {
		return
	}
	d.stopFallback()
	d.stopFallback = nil
	d.engine.locked(func() { d.entry.fallback = false })
}

func (d *download) gaveUp(silent time.Duration) error {
	s := d.engine.stats(d.entry)
	why := s.Trouble
	if why == "" {
		why = "no peer refused or failed"
	}
	return fmt.Errorf("nothing came for %s with %d of %d bytes here and %d peers connected (%s); "+
		"check that the seeder runs and that its BitTorrent and HTTP ports can be reached, then try again",
		silent.Round(time.Second), s.Done, s.Size, s.Peers, why)
}

// writeError words a failure to store what came in.
func writeError(err error, src Source) error {
	if spoiled := (*SpoiledError)(nil); errors.As(err, &spoiled) {
		return err
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.ENOMEM) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("no memory or space is left below %s for its %d bytes: choose a smaller system, or add memory: %w",
			src.Dir, src.System.Size, err)
	}
	return fmt.Errorf("store what came in: %w", err)
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}
