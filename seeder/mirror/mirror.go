// Package mirror follows another seeder of the same site: in go its address and the site's public key, out comes, again and again, a
// [Release] of what the key has signed, to be served elsewhere. Files come by the swarm; what has come is kept over a restart, and is
// served for as long as the other seeder is away. Nothing is served that the key has not signed, directly or by its hash.
package mirror

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/swarm"
	"github.com/boottorrent/boottorrent/seeder/upstream"
)

const (
	// holdTime is how long a request for another catalog waits at the other seeder. It is how late a change of boot files alone is seen.
	holdTime = 8 * time.Second
	// pollTime is how often a seeder that can't wait is asked, and askTime how often one that does not answer.
	pollTime = 5 * time.Second
	askTime  = 2 * time.Second
	// syncTime is how long reading everything that is new may take but for boot files and systems.
	syncTime = 2 * time.Minute
)

// Config says what is mirrored.
type Config struct {
	// Dir is where the mirror's state is kept, Images where the files of images are put, Loaders where boot loaders are.
	Dir, Images, Loaders string
	// Upstream are the other seeders, of which the first that answers is followed. They have the site's public key.
	Upstream []*upstream.Seeder
	Key      minisign.PublicKey
	Engine   Engine
	// Carry says whether a system's files are fetched before a machine wants them; Disk is what files may take, in bytes; 0: no bound.
	Carry func(system string) bool
	Disk  int64
	// Busy reports whether machines are fetching a version from here.
	Busy func(catalog.InfoHash) bool
	// Publish is told of each release, from one goroutine.
	Publish func(*Release)
	Log     *slog.Logger
	Now     func() time.Time
}

// Release is what is served at one time.
type Release struct {
	Catalog  upstream.Signed[*catalog.Catalog]
	Manifest upstream.Signed[*catalog.BootManifest]
	// Versions are those of the catalog's systems and runtimes; one whose documents could not be read is missing.
	Versions []*Version
	// MachineFiles are the archives of files for machines, by their SHA-256.
	MachineFiles map[string][]byte
}

// Mirror follows seeders.
type Mirror struct {
	cfg     Config
	notes   *notes
	carrier *carrier
	// current is what was read last; nil: nothing has been. Run's goroutine alone uses it, and versions and archives.
	current  *documents
	versions map[catalog.InfoHash]*Version
	archives map[string][]byte
	// incomplete says that the release lacks something, which is tried again.
	incomplete bool

	mu    sync.Mutex
	state State
}

// State is how the mirror stands.
type State struct {
	// Following is the URL of the seeder that answered last; empty: none has since the start. Heard is when.
	Following string    `json:"following,omitempty"`
	Heard     time.Time `json:"heard,omitzero"`
	// Trouble is why nothing new comes; empty: it does.
	Trouble string `json:"trouble,omitempty"`
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

// New returns a mirror with what was kept.
func New(cfg Config) (*Mirror, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	for _, dir := range []string{cfg.Dir, cfg.Images, cfg.Loaders} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("make a folder of the mirror: %w", err)
		}
	}
	m := &Mirror{cfg: cfg, notes: openNotes(filepath.Join(cfg.Dir, "files.json")), versions: map[catalog.InfoHash]*Version{}, archives: map[string][]byte{}}
	m.carrier = &carrier{
		dir: cfg.Dir, engine: cfg.Engine, log: cfg.Log, now: cfg.Now, carry: cfg.Carry, disk: cfg.Disk, busy: cfg.Busy, source: m.source,
		byHash: map[catalog.InfoHash]*carried{}, wake: make(chan struct{}, 1),
	}
	var err error
	if m.current, err = loadDocuments(cfg.Dir, cfg.Key); err != nil {
		cfg.Log.Warn("nothing is served before another seeder answers", "err", err)
	}
	return m, nil
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
	for ctx.Err() == nil {
		wait := m.follow(ctx)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// recall serves what was kept, as far as it is here.
func (m *Mirror) recall() {
	for _, sys := range listed(m.current.catalog.Value) {
		v, err := loadVersion(m.versionDir(sys.InfoHash), sys)
		if err != nil {
			m.cfg.Log.Warn("a version's documents can't be used; they are read once more", "system", sys.Name, "err", err)
		}
		if v != nil {
			m.versions[sys.InfoHash] = v
		}
	}
	for _, f := range m.current.catalog.Value.Files {
		if b, err := os.ReadFile(m.archivePath(f)); err == nil && sumOf(b) == f.SHA256 {
			m.archives[f.SHA256] = b
		}
	}
	m.incomplete = true // until another seeder has said that nothing is missing
	m.publish()
	if err := m.carrier.sweep(); err != nil {
		m.cfg.Log.Warn("old versions can't be deleted", "err", err)
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
		if !changed && m.cfg.Now().Sub(began) < holdTime/2 {
			return pollTime
		}
		return 0
	}
	m.trouble(errors.Join(failed...))
	return askTime
}

// sync takes what a seeder has that is new.
func (m *Mirror) sync(ctx context.Context, from *upstream.Seeder) (changed bool, err error) {
	tag := ""
	if m.current != nil && !m.incomplete {
		tag = m.current.catalog.Tag
	}
	offered := documents{}
	offered.catalog, err = from.Catalog(ctx, tag, holdTime)
	if errors.Is(err, upstream.ErrUnchanged) {
		offered.catalog, err = m.current.catalog, nil
	}
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, syncTime, fmt.Errorf("%s did not answer within %s", from.Base, syncTime))
	defer cancel()
	if offered.manifest, err = from.Manifest(ctx); err != nil {
		return false, err
	}
	if err := m.current.follows(from.Base, offered); err != nil {
		return false, err
	}
	if m.current != nil && !m.incomplete && offered.sameAs(*m.current) {
		m.current = &offered // which has the tag
		return false, nil
	}
	place, err := m.fetchBootFiles(ctx, from, offered.manifest.Value)
	if err != nil {
		return false, err
	}
	missing := m.readVersions(ctx, from, offered.catalog.Value)
	missing = append(missing, m.readArchives(ctx, from, offered.catalog.Value)...)
	// From here on it is this release, or the one before if the mirror ends now.
	if err := place(); err != nil {
		return false, fmt.Errorf("put the boot files in place: %w", err)
	}
	if err := offered.save(m.cfg.Dir); err != nil {
		return false, fmt.Errorf("keep the catalog: %w", err)
	}
	m.current, m.incomplete = &offered, len(missing) > 0
	m.publish()
	if len(missing) > 0 {
		return true, errors.Join(missing...)
	}
	return true, nil
}

// sameAs reports whether two pairs of documents are the same bytes.
func (d documents) sameAs(other documents) bool {
	return slices.Equal(d.catalog.Document, other.catalog.Document) && slices.Equal(d.manifest.Document, other.manifest.Document)
}

// listed are the systems and runtimes of a catalog, what is needed first in front.
func listed(cat *catalog.Catalog) (all []catalog.System) {
	for _, r := range cat.Runtimes {
		all = append(all, r.System)
	}
	isDefault := func(s catalog.System) bool { return s.Name == cat.Defaults.System }
	if i := slices.IndexFunc(cat.Systems, isDefault); i >= 0 {
		all = append(all, cat.Systems[i])
	}
	for _, s := range cat.Systems {
		if !isDefault(s) {
			all = append(all, s)
		}
	}
	return all
}

func (m *Mirror) versionDir(h catalog.InfoHash) string { return filepath.Join(m.cfg.Dir, h.String()) }

// readVersions reads the documents of versions that are not here, and returns why some could not be had.
func (m *Mirror) readVersions(ctx context.Context, from *upstream.Seeder, cat *catalog.Catalog) (missing []error) {
	for _, sys := range listed(cat) {
		if m.versions[sys.InfoHash] != nil {
			continue
		}
		dir := m.versionDir(sys.InfoHash)
		v, err := loadVersion(dir, sys)
		if v == nil {
			v, err = m.readVersion(ctx, from, sys, dir)
		}
		if err != nil {
			missing = append(missing, fmt.Errorf("the documents of %s: %w", sys.Name, err))
			continue
		}
		m.versions[sys.InfoHash] = v
	}
	return missing
}

func (m *Mirror) readVersion(ctx context.Context, from *upstream.Seeder, sys catalog.System, dir string) (*Version, error) {
	read, err := from.Version(ctx, sys)
	if err == nil {
		err = swarm.CheckMetainfo(read.Torrent, sys, read.Files)
	}
	if err != nil {
		return nil, err
	}
	return saveVersion(dir, read)
}

// publish serves what is here.
func (m *Mirror) publish() {
	r := &Release{Catalog: m.current.catalog, Manifest: m.current.manifest, MachineFiles: map[string][]byte{}}
	for _, sys := range listed(r.Catalog.Value) {
		if v := m.versions[sys.InfoHash]; v != nil {
			r.Versions = append(r.Versions, v)
		}
	}
	for _, f := range r.Catalog.Value.Files {
		if b, ok := m.archives[f.SHA256]; ok {
			r.MachineFiles[f.SHA256] = b
		}
	}
	m.mu.Lock()
	m.state.Created = r.Catalog.Value.Created
	m.mu.Unlock()
	m.cfg.Publish(r)
	m.carrier.set(r.Versions)
	m.cfg.Log.Info("catalog taken over", "systems", len(r.Catalog.Value.Systems), "counter", r.Catalog.Value.Counter)
}

// source is what a version is fetched by: the seeder that was heard last, and those that the catalog names.
func (m *Mirror) source(v *Version) swarm.Source {
	src := swarm.Source{Torrent: v.Torrent, System: v.System, Files: v.Files, Dir: v.Dir}
	m.mu.Lock()
	bases := []string{m.state.Following}
	m.mu.Unlock()
	for _, u := range m.cfg.Upstream {
		bases = append(bases, u.Base)
	}
	for i, base := range bases {
		if base != "" && !slices.Contains(bases[:i], base) {
			src.Trackers = append(src.Trackers, base+catalog.PathAnnounce)
			src.WebSeeds = append(src.WebSeeds, base+catalog.WebSeedPath(v.System.InfoHash))
		}
	}
	return src
}

func (m *Mirror) heard(base string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state.Trouble != "" {
		m.cfg.Log.Info("the other seeder answers again", "seeder", base)
	}
	m.state.Following, m.state.Heard, m.state.Trouble = base, m.cfg.Now(), ""
}

func (m *Mirror) trouble(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state.Trouble != err.Error() {
		m.state.Trouble = err.Error()
		m.cfg.Log.Warn("nothing new comes from the other seeder; what is here is served on", "err", err, "catalog_made", m.state.Created)
	}
}
