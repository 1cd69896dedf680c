package mirror

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/swarm"
	"github.com/boottorrent/boottorrent/seeder/upstream"
)

// sync takes what a seeder has that is new: all of it, or nothing.
func (m *Mirror) sync(ctx context.Context, from *upstream.Seeder) (changed bool, err error) {
	offered, err := m.ask(ctx, from)
	if err != nil {
		return false, err
	}
	if m.current != nil && !m.incomplete && offered.sameAs(*m.current) {
		m.current = offered // which has the tag
		return false, nil
	}
	versions, err := m.readVersions(ctx, from, offered.catalog.Value)
	if err != nil {
		return false, err
	}
	archives, err := m.readArchives(ctx, from, offered.catalog.Value)
	if err != nil {
		return false, err
	}
	if err := m.fetchBootFiles(ctx, from, offered.manifest.Value, versions); err != nil {
		return false, err
	}
	swap, err := m.boot.prepare(offered.manifest.Value)
	if err != nil {
		return false, fmt.Errorf("put the boot files in place: %w", err)
	}
	if err := m.keep(offered); err != nil {
		return false, fmt.Errorf("keep the catalog: %w", err)
	}
	// From here on it is this release, also if the mirror ends now.
	m.current, m.versions, m.archives, m.incomplete = offered, versions, archives, false
	if err := swap(); err != nil {
		m.incomplete = true
		return false, fmt.Errorf("put the boot files in place: %w", err)
	}
	m.publish()
	m.sweep()
	return true, nil
}

// ask reads catalog and boot manifest, and returns an error if they are older than what has been here. While there is nothing new at the other
// seeder it waits for some time.
func (m *Mirror) ask(ctx context.Context, from *upstream.Seeder) (*documents, error) {
	tag := ""
	if m.current != nil && !m.incomplete {
		tag = m.current.catalog.Tag
	}
	offered := &documents{}
	var err error
	if offered.catalog, err = m.waitForCatalog(ctx, from, tag); tag != "" && errors.Is(err, upstream.ErrUnchanged) {
		offered.catalog, err = m.current.catalog, nil
	}
	if err != nil {
		return nil, err
	}
	if offered.manifest, err = from.Manifest(ctx); err != nil {
		return nil, err
	}
	return offered, m.seen.allows(from.Base, offered)
}

// waitForCatalog reads the catalog. Waiting for another one ends when something here has to be mended.
func (m *Mirror) waitForCatalog(ctx context.Context, from *upstream.Seeder, tag string) (upstream.Signed[*catalog.Catalog], error) {
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	stirred := make(chan bool, 1)
	go func() {
		select {
		case <-m.wake:
			cancel()
			stirred <- true
		case <-waiting.Done():
			stirred <- false
		}
	}()
	cat, err := from.Catalog(waiting, tag, holdTime)
	cancel()
	if <-stirred {
		m.incomplete = true
		if err != nil {
			return from.Catalog(ctx, "", 0)
		}
	}
	return cat, err
}

// keep writes what is served from now on, and how new it is.
func (m *Mirror) keep(d *documents) error {
	if err := d.save(m.cfg.Dir); err != nil {
		return err
	}
	return m.seen.note(d)
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

// readVersions are the versions of a catalog with their documents, which are read where they are not here.
func (m *Mirror) readVersions(ctx context.Context, from *upstream.Seeder, cat *catalog.Catalog) (map[catalog.InfoHash]*Version, error) {
	versions := map[catalog.InfoHash]*Version{}
	for _, sys := range listed(cat) {
		v := m.versions[sys.InfoHash]
		if v == nil || !reflect.DeepEqual(v.System, sys) {
			dir := m.versionDir(sys.InfoHash)
			var err error
			if v, err = loadVersion(dir, sys); v == nil {
				if err != nil { // the files beside damaged documents are verified before they are given away
					err = os.RemoveAll(filepath.Join(dir, wholeFile))
				}
				if err == nil {
					v, err = m.readVersion(ctx, from, sys)
				}
			}
			if err != nil {
				return nil, fmt.Errorf("the documents of %s (%s): %w", sys.Name, sys.InfoHash, err)
			}
		}
		versions[sys.InfoHash] = v
	}
	return versions, nil
}

func (m *Mirror) readVersion(ctx context.Context, from *upstream.Seeder, sys catalog.System) (*Version, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, documentsTime, fmt.Errorf("%s did not send them within %s", from.Base, documentsTime))
	defer cancel()
	read, err := from.Version(ctx, sys)
	if err != nil {
		return nil, err
	}
	if err := swarm.CheckMetainfo(read.Torrent, sys, read.Files); err != nil {
		return nil, fmt.Errorf("%s offers another torrent than the catalog names, which is refused: %w", from.Base, err)
	}
	return saveVersion(m.versionDir(sys.InfoHash), read)
}

// fetchBootFiles brings the files of a manifest here that are not here yet: by the swarm where a version of the catalog has them, else by HTTP.
func (m *Mirror) fetchBootFiles(ctx context.Context, from *upstream.Seeder, manifest *catalog.BootManifest, versions map[catalog.InfoHash]*Version) error {
	for _, f := range m.boot.missing(manifest) {
		if v, name := phase1With(versions, f.SHA256); v != nil {
			err := m.carrier.obtain(ctx, v)
			if err == nil {
				err = m.boot.take(v.file(name), f)
			}
			if err == nil {
				continue
			}
			if ctx.Err() != nil || errors.Is(err, unix.ENOSPC) {
				return fmt.Errorf("the boot file %s: %w", f.Path, err)
			}
			m.cfg.Log.Warn("a boot file can't be had from the swarm; it comes by HTTP", "file", f.Path, "err", err)
		}
		m.cfg.Log.Info("fetching a boot file", "file", f.Path, "bytes", f.Size, "from", from.Base)
		if err := m.boot.fetch(ctx, from, f); err != nil {
			return fmt.Errorf("the boot file %s: %w", f.Path, err)
		}
	}
	return nil
}

// phase1With is the version of phase 1 that has a file of that SHA-256, and the file's path in it; nil: none has.
func phase1With(versions map[catalog.InfoHash]*Version, sum string) (*Version, string) {
	for _, v := range versions {
		if !catalog.IsPhase1(v.System.Name) {
			continue
		}
		for _, f := range v.Files {
			if f.SHA256 == sum {
				return v, f.Path
			}
		}
	}
	return nil, ""
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
	m.carrier.set(r.Versions)
	m.mu.Lock()
	m.state.Created, m.published = r.Catalog.Value.Created, r
	m.mu.Unlock()
	m.cfg.Publish(r)
	m.cfg.Log.Info("catalog taken over", "systems", len(r.Catalog.Value.Systems), "counter", r.Catalog.Value.Counter)
}

// source is what the engine is told of a version. From whom to fetch it knows.
func (v *Version) source() swarm.Source {
	return swarm.Source{Torrent: v.Torrent, System: v.System, Files: v.Files, Dir: v.Dir}
}

func (m *Mirror) heard(base string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state.Trouble != "" || m.state.Since.IsZero() {
		m.state.Since = m.cfg.Now()
	}
	if m.state.Trouble != "" && !m.state.Heard.IsZero() {
		m.cfg.Log.Info("the other seeder answers again", "seeder", base)
	}
	m.state.Following, m.state.Heard, m.state.Trouble = base, m.cfg.Now(), ""
}

func (m *Mirror) trouble(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state.Trouble == "" || m.state.Since.IsZero() {
		m.state.Since = m.cfg.Now()
	}
	switch {
	case m.state.Trouble == err.Error():
		return
	case m.state.Created.IsZero():
		m.cfg.Log.Warn("nothing new comes from the other seeder, and there is nothing to serve yet", "err", err)
	default:
		m.cfg.Log.Warn("nothing new comes from the other seeder; what is here is served on", "err", err, "catalog_made", m.state.Created)
	}
	m.state.Trouble = err.Error()
}
