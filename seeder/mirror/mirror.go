// Package mirror follows another seeder of the same site: in go its address and the site's public key, out comes, again and again, a
// [Release] of what the key has signed, to be served elsewhere. Files come by the swarm; what has come is kept over a restart, and is
// served for as long as the other seeder is away. Nothing is served that the key has not signed, directly or by its hash.
package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/seeder/upstream"
)

const (
	// holdTime is how long a request for another catalog waits at the other seeder. It is how late a change of boot files alone is seen.
	holdTime = 4 * time.Second
	// pollTime is how often a seeder that can't wait is asked, and askTime how often one that does not answer.
	pollTime = 5 * time.Second
	askTime  = 2 * time.Second
	// documentsTime is how long reading the documents of one version may take.
	documentsTime = 2 * time.Minute
)

// Config says what is mirrored.
type Config struct {
	// Dir is where the mirror's state is kept, Images the folder of boot files, which is the mirror's alone. It is replaced as a whole.
	Dir, Images string
	// Upstream are the other seeders, of which the first that answers is followed. They have the site's public key.
	Upstream []*upstream.Seeder
	Key      minisign.PublicKey
	Engine   Engine
	// Carry says whether a system's files are fetched before a machine wants them; Disk is what files may take, in bytes; 0: no bound.
	Carry func(system string) bool
	Disk  int64
	// Busy reports whether machines are fetching a version from here.
	Busy func(catalog.InfoHash) bool
	// Publish is told of each release, from one goroutine, and Gone of each version that is here no longer, from another.
	Publish func(*Release)
	Gone    func(catalog.InfoHash)
	Log     *slog.Logger
	// Now is the clock, by which nothing is decided but how long something lasts; Free is how many bytes there is room for below a folder; Look is how often
	// files are looked at. Each has what is usual where it is not set.
	Now  func() time.Time
	Free func(dir string) (int64, error)
	Look time.Duration
	// Poll is how often a seeder is asked that can't wait, or does not answer.
	Poll time.Duration
}

// Release is what is served at one time.
type Release struct {
	Catalog  upstream.Signed[*catalog.Catalog]
	Manifest upstream.Signed[*catalog.BootManifest]
	// Versions are those of the catalog's systems and runtimes. One is missing only after a start without another seeder, where its documents
	// were damaged.
	Versions []*Version
	// MachineFiles are the archives of files for machines, by their SHA-256.
	MachineFiles map[string][]byte
}

// Mirror follows seeders.
type Mirror struct {
	cfg     Config
	lock    io.Closer
	boot    *bootFiles
	carrier *carrier
	// seen is what no older document is taken than.
	seen *seen
	// current is what was read last; nil: nothing has been. Run's goroutine alone uses it, and versions and archives.
	current  *documents
	versions map[catalog.InfoHash]*Version
	archives map[string][]byte
	// incomplete says that the release lacks something, which is tried again.
	incomplete bool

	// wake ends the wait for something new.
	wake chan struct{}

	mu        sync.Mutex
	state     State
	published *Release
}

// State is how the mirror stands.
type State struct {
	// Following is the URL of the seeder that answered last; empty: none has since the start. Heard is when.
	Following string    `json:"following,omitempty"`
	Heard     time.Time `json:"heard,omitzero"`
	// Trouble is why nothing new comes; empty: it does. Since is when that came to be so.
	Trouble string    `json:"trouble,omitempty"`
	Since   time.Time `json:"since,omitzero"`
	// Created is when the catalog that is served was made, by the clock of who made it.
	Created time.Time `json:"created,omitzero"`
	// Versions are those of the catalog.
	Versions []VersionState `json:"versions"`
}

// VersionState is how a version's files stand.
type VersionState struct {
	Name     string           `json:"name"`
	InfoHash catalog.InfoHash `json:"infohash"`
	// Size is what there is to fetch, Done what has come, in bytes. Whole says that all is here and verified, Fetching that it comes.
	Size     int64 `json:"size"`
	Done     int64 `json:"done"`
	Whole    bool  `json:"whole"`
	Fetching bool  `json:"fetching"`
	// Since is when it came to be so.
	Since time.Time `json:"since"`
	// Trouble is why it could not be fetched the last time.
	Trouble string `json:"trouble,omitempty"`
}

// New returns a mirror with what was kept. Another process that has the folder is an error.
func New(cfg Config) (*Mirror, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Free == nil {
		cfg.Free = freeSpace
	}
	pool := filepath.Join(cfg.Dir, poolDir)
	if err := os.MkdirAll(pool, 0o755); err != nil {
		return nil, fmt.Errorf("make a folder of the mirror: %w", err)
	}
	lock, err := lockDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	m := &Mirror{
		cfg: cfg, lock: lock, boot: newBootFiles(pool, cfg.Images, cfg.Log), seen: readSeen(cfg.Dir, cfg.Log), versions: map[catalog.InfoHash]*Version{},
		archives: map[string][]byte{}, wake: make(chan struct{}, 1),
	}
	m.carrier = &carrier{
		dir: cfg.Dir, engine: cfg.Engine, log: cfg.Log, now: cfg.Now, carry: cfg.Carry, disk: cfg.Disk, busy: cfg.Busy, free: cfg.Free,
		gone: cfg.Gone, uses: openUses(filepath.Join(cfg.Dir, usesFile), cfg.Log), byHash: map[catalog.InfoHash]*carried{}, wake: make(chan struct{}, 1),
	}
	m.state.Trouble = "it has not heard the other seeder yet"
	if m.current, err = loadDocuments(cfg.Dir, cfg.Key); err == nil {
		err = m.seen.allows("what was kept in "+filepath.Join(cfg.Dir, documentsFile), m.current)
	}
	if err != nil {
		m.current = nil
		cfg.Log.Warn("nothing is served before another seeder answers", "err", err)
	} else if m.current != nil {
		m.seen.Catalog = max(m.seen.Catalog, m.current.catalog.Value.Counter)
		m.seen.Manifest = max(m.seen.Manifest, m.current.manifest.Value.Counter)
	}
	return m, nil
}

// Close ends the use of the folder; Run has returned.
func (m *Mirror) Close() error { return m.lock.Close() }

// Torrents are the versions that machines may be fetching: those of the catalog, and of catalogs before.
func (m *Mirror) Torrents() []catalog.InfoHash { return m.carrier.known() }

// Signed reports whether a boot file with that SHA-256 (in hexadecimal) is one that the site's key has signed.
func (m *Mirror) Signed(sum string) bool {
	r := m.release()
	return r != nil && slices.ContainsFunc(r.Manifest.Value.Files, func(f catalog.BootFile) bool { return f.SHA256 == sum })
}

func (m *Mirror) release() *Release {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.published
}

// stir has the other seeder asked at once.
func (m *Mirror) stir() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// Want says that a machine wants a version: it is fetched now, if it is not here, and stays longer.
func (m *Mirror) Want(h catalog.InfoHash) { m.carrier.want(h) }

// State is how the mirror stands now.
func (m *Mirror) State() State {
	m.mu.Lock()
	s := m.state
	m.mu.Unlock()
	s.Versions = m.carrier.states()
	return s
}

// Run follows until ctx ends.
func (m *Mirror) Run(ctx context.Context) {
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() { m.carrier.run(ctx) })
	if m.current != nil {
		m.recall()
	}
	group.Go(func() { m.checkFiles(ctx) })
	for ctx.Err() == nil {
		wait := time.NewTimer(m.follow(ctx))
		select {
		case <-ctx.Done():
		case <-wait.C:
		}
		wait.Stop()
	}
}

// follow asks the seeders in turn for something new, takes it, and returns when to ask the next time.
func (m *Mirror) follow(ctx context.Context) time.Duration {
	var failed []error
	for _, from := range m.cfg.Upstream {
		began := m.cfg.Now()
		changed, err := m.sync(ctx, from)
		if ctx.Err() != nil {
			return 0
		}
		if err != nil {
			failed = append(failed, err)
			continue
		}
		m.heard(from.Base)
		if !changed && m.cfg.Now().Sub(began) < holdTime/2 && !m.incomplete {
			return cmp.Or(m.cfg.Poll, pollTime)
		}
		return 0
	}
	m.trouble(explain(errors.Join(failed...), m.cfg.Dir))
	return cmp.Or(m.cfg.Poll, askTime)
}
