package swarm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/anacrolix/torrent"
	"github.com/anacrolix/torrent/metainfo"
	pp "github.com/anacrolix/torrent/peer_protocol"
	"github.com/anacrolix/torrent/storage"
	"golang.org/x/time/rate"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/quota"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/swarm/pick"
)

// Config configures an Engine. The zero value listens on any port of all IPv4 addresses.
type Config struct {
	// Listen is the TCP address to take connections on. Port 0 is any free one, no address is every IPv4 address of
	// this machine. With an address, connections go out from it as well.
	Listen netip.AddrPort
	// Listener takes the connections instead, if it is not nil. The engine closes it.
	Listener net.Listener
	// Seeders are those that a node knows, its own first; see [Engine.SetSeeders]. Empty on a seeder.
	Seeders []Seeder
	// UploadLimit and DownloadLimit bound payload in bytes per second, that of the fallback to HTTP too; 0 is no limit.
	UploadLimit, DownloadLimit int64
	// Limits, if not nil, are shared with other engines, and UploadLimit and DownloadLimit count for nothing.
	Limits *Limits
	// MaxInbound is how many connections that others opened are open at a time, before and after they have said what they want; 0 is 256.
	// Of more, those of the address that has the most give way (package quota).
	MaxInbound int
	// MaxPeers is the number of connections per torrent; 0 is 500 on the seeder and 80 on a node.
	MaxPeers int
	// Local has peers in the same subnet found by multicast (BEP 14) where no tracker answers. It needs an address in Listen.
	Local bool
	// Log takes this package's and the library's messages; nil drops them.
	Log *slog.Logger

	// tick is defaultTick, but for tests. They may look at what goes over each connection with wire.
	tick time.Duration
	wire func(net.Conn) net.Conn
}

// Engine gives away and fetches torrents. Its methods may be called at the same time.
type Engine struct {
	cfg      Config
	log      *slog.Logger
	files    *fileCache
	client   *torrent.Client
	listener net.Listener
	http     *http.Client
	seeders  seeders
	conns    connections
	limits   *Limits
	banned   banned
	snubs    snubs
	// serves says that it is a seeder's engine: what it fetches, it fetches for its nodes.
	serves bool
	// processors is looked at as often as connections are compared.
	processors processors
	// local is nil if peers in the same subnet are not searched for.
	local *local

	// ctx ends with Close; group waits for what runs until then.
	ctx    context.Context
	cancel context.CancelFunc
	group  sync.WaitGroup

	mu       sync.Mutex
	torrents map[catalog.InfoHash]*entry
}

// entry is a torrent of the engine.
type entry struct {
	layout  *layout
	dir     string
	store   *store
	torrent *torrent.Torrent
	counters
	trouble troubles
	told    told
	reach   *reach
	// crowd is its peers, nil if it is seeded; window is what the chooser prefers.
	crowd  *crowd
	window window
	// connections is how many there are; connections.mu guards it.
	connections int

	// began is when it was added.
	began time.Time
	// ctx ends when the torrent is removed.
	ctx    context.Context
	cancel context.CancelFunc
	// background waits for what runs until then.
	background sync.WaitGroup
	// completed is closed when a Fetch has all pieces.
	completed chan struct{}

	// What follows is guarded by Engine.mu.
	meter                         meter
	fetching, fallback, verifying bool
}

// requestSize is what is asked for at a time, in bytes.
func (f *entry) requestSize() int64 { return pick.RequestSize(f.layout.pieceLength) }

// dialTimeout bounds a dial, and the handshakes after it. On a slow link that a room has filled an answer takes seconds (48 nodes
// on links of 4 Mbit/s had some 2 s of packets waiting), and a node that gives up remains unknown to its peer, which then
// fetches a part of the same pieces.
const dialTimeout = 20 * time.Second

// maxInbound is Config.MaxInbound for a node: three times the peers it has at most.
const maxInbound = 256

// clientID begins our peer IDs (BEP 20); by it a node knows others that divide the pieces by the same rule, and answer requests of
// pick.MaxRequestSize. It changes with either: those of -BN0100- refused more than 64 KiB where they had a rate limit, and are foreign clients.
const clientID = "-BN0101-"

// New returns an engine that listens for connections.
func New(cfg Config) (*Engine, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.tick = orDefault(cfg.tick, defaultTick)
	if cfg.wire == nil {
		cfg.wire = func(c net.Conn) net.Conn { return c }
	}
	if a := cfg.Listen.Addr(); a.IsValid() && !a.Unmap().Is4() {
		return nil, fmt.Errorf("listen for BitTorrent on %s: only IPv4 is supported", cfg.Listen)
	}
	e := &Engine{cfg: cfg, log: cfg.Log, files: newFileCache(maxOpenFiles), torrents: map[catalog.InfoHash]*entry{}, serves: len(cfg.Seeders) == 0}
	e.seeders.set(cfg.Seeders)
	e.conns.seeders, e.conns.serves, e.conns.entry = &e.seeders, e.serves, e.entryOf
	if e.limits = cfg.Limits; e.limits == nil {
		e.limits = NewLimits(cfg.UploadLimit, cfg.DownloadLimit)
	}
	e.snubs.seeders, e.snubs.entry = &e.seeders, e.entryOf
	dialer := &net.Dialer{Timeout: dialTimeout}
	if a := cfg.Listen.Addr(); a.IsValid() && !a.IsUnspecified() {
		dialer.LocalAddr = &net.TCPAddr{IP: a.AsSlice()}
	}
	// On a LAN there is no proxy, whatever the environment says.
	e.http = &http.Client{Transport: &http.Transport{
		DialContext: dialer.DialContext, MaxConnsPerHost: fallbackWorkers + 1, ResponseHeaderTimeout: 10 * time.Second,
	}}
	listener, err := cfg.Listener, error(nil)
	if listener == nil {
		listener, err = net.Listen("tcp4", e.listenAddr())
	}
	if err != nil {
		return nil, fmt.Errorf("listen for BitTorrent on %s: %w", cfg.Listen, err)
	}
	if e.client, err = torrent.NewClient(e.clientConfig()); err != nil {
		return nil, errors.Join(fmt.Errorf("start BitTorrent: %w", err), listener.Close())
	}
	e.listener = listener
	w := wire{pulse: newPulse(), news: e.news, look: cfg.wire, paced: e.paced, secrets: e.secrets}
	w.pulse.never = e.serves
	e.client.AddListener(wireListener{quota.Listener(listener, cmp.Or(cfg.MaxInbound, maxInbound)), w})
	e.client.AddDialer(torrent.NetworkDialer{Network: "tcp4", Dialer: wireDialer{dialer, w}})
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.listenLocal()
	e.group.Go(e.sample)
	e.group.Go(e.supervise)
	return e, nil
}

// listenAddr is the address to listen on, in the form of net.Listen.
func (e *Engine) listenAddr() string {
	host := ""
	if a := e.cfg.Listen.Addr(); a.IsValid() && !a.IsUnspecified() {
		host = a.Unmap().String()
	}
	return net.JoinHostPort(host, strconv.Itoa(int(e.cfg.Listen.Port())))
}

// clientConfig is the library's configuration for a LAN.
func (e *Engine) clientConfig() *torrent.ClientConfig {
	c := torrent.NewDefaultClientConfig()
	c.Slogger = slog.New(libraryHandler{e.log.Handler()})
	c.DefaultStorage = noStorage{}

	// TCP over IPv4, no way out of the LAN, trackers and web seeds by ourselves (announce.go, fallback.go), and
	// local service discovery (BEP 14) too (local.go).
	c.NoDHT, c.DisableUTP, c.DisableIPv6, c.DisableWebtorrent = true, true, true, true
	c.DisableTrackers, c.DisableWebseeds, c.NoDefaultPortForwarding = true, true, true
	// The tracker names enough peers, and those that it should (racks). What peers tell each other of (BEP 11) would be dialled
	// besides, and where a dial fails all peers are asked to help through a NAT (BEP 55): a storm in a room on slow links.
	c.DisablePEX = true
	// The listener and the dialer are our own (New): connections go out from the address we listen on, and batch (wire.go).
	c.DisableTCP = true
	// What the library sees is plain: foreign.go does the encrypted handshakes.
	c.HeaderObfuscationPolicy = torrent.HeaderObfuscationPolicy{RequirePreferred: true}
	c.Bep20, c.ExtendedHandshakeClientVersion, c.HTTPUserAgent = clientID, "BootTorrent", userAgent

	c.Seed = true
	c.EstablishedConnsPerTorrent = e.cfg.MaxPeers
	if e.cfg.MaxPeers <= 0 {
		c.EstablishedConnsPerTorrent = 80
		if len(e.cfg.Seeders) == 0 {
			c.EstablishedConnsPerTorrent = 500
		}
	}
	c.HalfOpenConnsPerTorrent, c.TotalHalfOpenConns = 100, 200
	c.DialRateLimiter = rate.NewLimiter(500, 500)
	c.NominalDialTimeout, c.HandshakesTimeout = dialTimeout, dialTimeout
	// Two nodes that dial each other keep one connection, and both the same one.
	c.DropDuplicatePeerIds, c.DropMutuallyCompletePeers = true, true
	// No limit: with its 64 MiB the library looks only at the first 64 MiB of missing pieces in its order, in which
	// those that other nodes have come last. Of 160 MiB, three nodes exchanged nothing before 64 MiB were left.
	c.MaxUnverifiedBytes = 0
	// Read ahead for each connection, in bytes; 1 MiB for each of 80 connections is too much for a small node.
	c.MaxAllocPeerRequestDataPerConn = 256 << 10
	if e.limits.up != nil {
		c.UploadRateLimiter = e.limits.up
	}
	if e.limits.down != nil {
		c.DownloadRateLimiter = e.limits.down
	}
	e.conns.install(&c.Callbacks)
	e.snubs.install(c)
	return c
}

// noStorage keeps the library from making a folder and a database of its own: every torrent brings its store.
type noStorage struct{}

func (noStorage) OpenTorrent(context.Context, *metainfo.Info, metainfo.Hash) (storage.TorrentImpl, error) {
	return storage.TorrentImpl{}, errors.New("a torrent without a store")
}

// Close stops everything, tells the trackers so, and returns within about a second. Fetches that run return an error.
func (e *Engine) Close() error {
	e.mu.Lock()
	e.cancel() // from here on nothing is added
	all := slices.Collect(maps.Keys(e.torrents))
	e.mu.Unlock()
	for _, h := range all {
		e.group.Go(func() { e.Remove(h) })
	}
	e.closeLocal()
	e.group.Wait()
	e.http.CloseIdleConnections()
	// The listener comes last: the library takes errors of a listener as passing until the client is closed.
	return errors.Join(append(e.client.Close(), e.listener.Close())...)
}

// Port is the TCP port the engine listens on.
func (e *Engine) Port() int { return e.client.LocalPort() }

// Seed gives away the files dir/NAME/PATH, NAME being the torrent's. They must be complete: they are trusted, not
// hashed, and only read. It is an error if one is missing or has another size than the torrent says; one that is replaced or
// written to afterwards is not given away any more. A torrent that is being seeded from another folder moves to this one.
func (e *Engine) Seed(torrent []byte, dir string) (catalog.InfoHash, error) {
	l, err := parseMetainfo(torrent)
	if err != nil {
		return catalog.InfoHash{}, fmt.Errorf("seed from %s: the torrent %w", dir, err)
	}
	if old := e.entry(l.hash); old != nil {
		if old.dir == dir {
			return l.hash, nil
		}
		e.Remove(l.hash)
	}
	s, err := openSeed(l, dir, e.files)
	if err != nil {
		return catalog.InfoHash{}, fmt.Errorf("seed %q: %w", l.name, err)
	}
	if _, err := e.add(l, dir, s, false); err != nil {
		return catalog.InfoHash{}, fmt.Errorf("seed %q: %w", l.name, err)
	}
	e.log.Info("seeding", "system", l.name, "infohash", l.hash, "bytes", l.size(), "pieces", len(s.pieces))
	return l.hash, nil
}

// add gives a torrent to the library. It owns the store from here on.
func (e *Engine) add(l *layout, dir string, s *store, fetching bool) (*entry, error) {
	f := &entry{layout: l, dir: dir, store: s, fetching: fetching, began: time.Now(), completed: make(chan struct{}), reach: newReach()}
	if fetching {
		f.crowd = newCrowd(len(s.pieces), s.signal, e.rival(f))
	}
	f.ctx, f.cancel = context.WithCancel(e.ctx)
	e.mu.Lock()
	if e.ctx.Err() != nil || e.torrents[l.hash] != nil {
		e.mu.Unlock()
		f.cancel()
		_ = s.Close()
		return nil, errors.New("the engine is closed, or has this torrent already")
	}
	e.torrents[l.hash] = f
	if fetching {
		f.background.Add(1) // Fetch itself, which ends it
	}
	e.mu.Unlock()
	t, _, err := e.client.AddTorrentSpec(&torrent.TorrentSpec{AddTorrentOpts: torrent.AddTorrentOpts{
		InfoHash: metainfo.Hash(l.hash), InfoBytes: l.info, Storage: s, ChunkSize: pp.Integer(f.requestSize()),
	}})
	e.mu.Lock()
	if e.torrents[l.hash] != f {
		err = errors.Join(err, errRemoved)
	}
	f.torrent = t
	e.mu.Unlock()
	if err == nil {
		return f, nil
	}
	if fetching {
		f.background.Done()
	}
	e.Remove(l.hash)
	t.Drop()
	return nil, errors.Join(err, s.Close())
}

// errRemoved is what a Fetch ends with whose torrent was removed.
var errRemoved = errors.New("it was removed, or the engine was closed, meanwhile")

// Remove stops giving away or fetching a torrent and closes its files, which stay where they are. A Fetch of it that
// runs returns an error. It does nothing if there is no such torrent.
func (e *Engine) Remove(h catalog.InfoHash) {
	e.mu.Lock()
	f := e.torrents[h]
	if f == nil {
		e.mu.Unlock()
		return
	}
	delete(e.torrents, h)
	t := f.torrent
	e.mu.Unlock()
	f.cancel()
	if t != nil {
		t.Drop()
	}
	f.background.Wait()
}

// Stats returns how a torrent stands, and false if the engine has no such torrent.
func (e *Engine) Stats(h catalog.InfoHash) (Stats, bool) {
	f := e.entry(h)
	if f == nil {
		return Stats{}, false
	}
	return e.stats(f), true
}

func (e *Engine) stats(f *entry) Stats {
	library := f.torrent.Stats()
	banned := e.banned.list()
	s := Stats{Trouble: f.trouble.String(), Unreachable: f.trouble.unreachable(), Transfer: report.Transfer{
		Complete: f.torrent.Complete().Bool(), Size: f.layout.size() - f.store.zeros, Done: max(0, f.torrent.BytesCompleted()-f.store.zeros), Peers: library.ActivePeers,
		FromSeeder: f.seeder.Load(), FromNodes: f.nodes.Load(), FromHTTP: f.http.Load(),
		Uploaded: library.BytesWrittenData.Int64(), Banned: banned[:min(len(banned), report.BannedPeers)],
		Sources: e.conns.sources(f), Seeders: e.conns.bySeeder(f), Writing: f.store.written.rate(),
	}}
	e.mu.Lock()
	defer e.mu.Unlock()
	s.Down, s.Up = f.meter.rates()
	s.Fallback, s.Verifying = f.fallback, f.verifying
	return s
}

// sample feeds the meters until the engine is closed.
func (e *Engine) sample() {
	ticker := time.NewTicker(e.cfg.tick)
	defer ticker.Stop()
	for {
		select {
		case <-e.ctx.Done():
			return
		case now := <-ticker.C:
			e.nameBanned()
			for _, f := range e.entries() {
				library := f.torrent.Stats() // not under our lock: the library has its own
				e.mu.Lock()
				f.meter.add(sample{now, f.received(), library.BytesWrittenData.Int64()})
				e.mu.Unlock()
			}
		}
	}
}

// entries are the torrents that the library has.
func (e *Engine) entries() []*entry {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []*entry
	for _, f := range e.torrents {
		if f.torrent != nil {
			all = append(all, f)
		}
	}
	return all
}

// secrets calls use with the infohash of each torrent until it returns false: an encrypted connection is for one of them.
func (e *Engine) secrets(use func(infohash []byte) bool) {
	e.mu.Lock()
	all := slices.Collect(maps.Keys(e.torrents))
	e.mu.Unlock()
	for _, h := range all {
		if !use(h[:]) {
			return
		}
	}
}

// entry returns a torrent that the library has, or nil.
func (e *Engine) entry(h catalog.InfoHash) *entry {
	if f := e.entryOf(h); f != nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		if f.torrent != nil {
			return f
		}
	}
	return nil
}

// news reports whether few nodes are known to have piece i of a torrent.
func (e *Engine) news(h catalog.InfoHash, i int) bool {
	f := e.entryOf(h)
	return f == nil || f.crowd == nil || i >= len(f.store.pieces) || f.crowd.holders(i) < fewHolders
}

// entryOf returns a torrent, or nil.
func (e *Engine) entryOf(h catalog.InfoHash) *entry {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.torrents[h]
}
