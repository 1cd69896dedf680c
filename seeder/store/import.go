package store

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/boottorrent/boottorrent/internal/atomicfile"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/internal/swarm"
)

// attempts is how often a system that changes while it is read is tried.
const attempts = 3

// Import stores a system with its boot part, unless their files are those that were stored last, and returns it. A system whose
// files are written at the same time is tried a few times; then it is an error. progress may be nil; it is not called for a system
// that needs no reading. Imports run one after the other.
func (s *Store) Import(ctx context.Context, sys site.System, progress Progress) (Version, error) {
	select {
	case s.importing <- struct{}{}:
		defer func() { <-s.importing }()
	case <-ctx.Done():
		return Version{}, ctx.Err()
	}
	if progress == nil {
		progress = func(string, int64, int64) {}
	}
	return withBoot(sys, func(sys site.System) (Version, error) { return s.importPart(ctx, sys, progress) })
}

// withBoot gets a system and the boot part that belongs to it, each with get.
func withBoot(sys site.System, get func(site.System) (Version, error)) (v Version, err error) {
	part, ok := sys.BootPart()
	if !ok {
		return get(sys)
	}
	boot, err := get(part)
	if err != nil {
		return v, err
	}
	kernel := sys.Launch.Root.Boot.Kernel
	i := slices.IndexFunc(boot.Files, func(f catalog.File) bool { return f.Path == kernel })
	if i < 0 {
		return v, fmt.Errorf("store system %s: its boot part has no %s", sys.Name, kernel)
	}
	sys.Launch = sys.Launch.WithKernel(boot.Files[i].SHA256)
	if v, err = get(sys); err == nil {
		v.Boot = &boot
	}
	return v, err
}

// importPart stores the files of a system or of a boot part.
func (s *Store) importPart(ctx context.Context, sys site.System, progress Progress) (Version, error) {
	for attempt := 1; ; attempt++ {
		h, r, err := s.importOnce(ctx, sys, progress)
		if err == nil {
			return s.version(sys, h, r)
		}
		var changed *changedError
		if !errors.As(err, &changed) || attempt == attempts {
			return Version{}, err
		}
		s.log.Warn("a file changed while it was read; trying again", "system", sys.Name, "file", changed.file)
		if err := sleep(ctx, s.retryAfter); err != nil {
			return Version{}, err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Store) importOnce(ctx context.Context, sys site.System, progress Progress) (h catalog.InfoHash, r record, err error) {
	src, err := openSource(sys)
	if err != nil {
		return h, r, err
	}
	defer src.close()
	if wait := src.unsettled(time.Now()); wait > 0 {
		if err := sleep(ctx, wait); err != nil {
			return h, r, err
		}
		if err := src.takeStamps(); err != nil {
			return h, r, err
		}
	}
	if h, r, ok, err := s.cached(src); ok || err != nil {
		return h, r, err
	}
	temp, err := os.MkdirTemp(s.dir, tempPrefix)
	if err != nil {
		return h, r, fmt.Errorf("store system %s: %w", sys.Name, err)
	}
	defer os.RemoveAll(temp)
	start := time.Now()
	s.log.Info("storing and hashing system", "system", sys.Name, "bytes", src.size)
	if r, err = s.fill(ctx, src, temp, progress); err != nil {
		return h, r, err
	}
	if _, h, err = metainfo(sys.Name, r); err != nil {
		return h, r, err
	}
	if err := s.commit(temp, src, h, &r); err != nil {
		return h, r, fmt.Errorf("store system %s: %w", sys.Name, err)
	}
	s.log.Info("system stored", "system", sys.Name, "infohash", h, "bytes", src.size, "took", time.Since(start).Round(time.Millisecond))
	return h, r, nil
}

// cached finds the stored version of a source that hasn't changed since.
func (s *Store) cached(src *source) (h catalog.InfoHash, r record, ok bool, err error) {
	s.files.Lock()
	defer s.files.Unlock()
	o, ok, err := s.index.origin(src.system)
	if err != nil || !ok || o.Fingerprint != src.fingerprint() {
		return h, r, false, err
	}
	r, ok, err = s.index.version(o.InfoHash)
	if err != nil || !ok {
		return h, r, false, err
	}
	if err := s.intact(o.InfoHash, src.system, r); err != nil {
		s.log.Warn("a stored system was damaged; storing it again", "system", src.system, "err", err)
		return h, r, false, nil
	}
	// Another release may encode torrents differently.
	if _, now, err := metainfo(src.system, r); err != nil || now != o.InfoHash {
		return h, r, false, err
	}
	return o.InfoHash, r, true, nil
}

// intact returns an error if someone has touched a stored version.
func (s *Store) intact(h catalog.InfoHash, system string, r record) error {
	for _, f := range r.Files {
		path := s.path(h, system, f.Path)
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		if info.Size() != f.Size || info.ModTime().UnixNano() != f.Modified {
			return fmt.Errorf("%s has changed", path)
		}
	}
	return nil
}

func (s *Store) path(h catalog.InfoHash, system, file string) string {
	return filepath.Join(s.dir, h.String(), system, filepath.FromSlash(file))
}

// fill stores and hashes the files of src in a folder of its name in temp.
func (s *Store) fill(ctx context.Context, src *source, temp string, progress Progress) (r record, err error) {
	dir := filepath.Join(temp, src.system)
	if err := errors.Join(os.Chmod(temp, 0o755), os.Mkdir(dir, 0o755)); err != nil {
		return r, fmt.Errorf("store system %s: %w", src.system, err)
	}
	c, err := newCopier(src, dir, s.clone)
	if err != nil {
		return r, err
	}
	h := &hasher{
		pieceLength: src.pieceLength,
		open:        c.open,
		progress:    func(done int64) { progress(src.system, done, src.size) },
	}
	for _, st := range src.stamps {
		h.sizes = append(h.sizes, st.size)
	}
	sums, err := h.run(ctx)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return r, &changedError{src.system, "a file"}
	}
	if err != nil {
		return r, err
	}
	if err := src.compare(sums.files); err != nil {
		return r, err
	}
	if err := c.sync(); err != nil {
		return r, err
	}
	// A cloned file may have changed since, but then the stamps belong to what is in the store no more.
	if err := src.unchanged(); err != nil {
		return r, err
	}
	r = record{PieceLength: src.pieceLength, Pieces: sums.pieces, PieceSums: sums.pieces256}
	for i, name := range src.files {
		info, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			return r, fmt.Errorf("store system %s: %w", src.system, err)
		}
		f := catalog.File{Path: name, Size: info.Size(), SHA256: hex.EncodeToString(sums.files[i][:])}
		r.Files = append(r.Files, storedFile{f, info.ModTime().UnixNano()})
	}
	return r, nil
}

// commit gives a filled folder its name, and puts it into the index. If the version is there already, that one stays,
// as nodes may be reading it, and r becomes its record.
func (s *Store) commit(temp string, src *source, h catalog.InfoHash, r *record) error {
	s.files.Lock()
	defer s.files.Unlock()
	o := origin{src.fingerprint(), h}
	stored, ok, err := s.index.version(h)
	if err != nil {
		return err
	}
	if ok && s.intact(h, src.system, stored) == nil {
		*r = stored
		return s.index.put(src.system, o, stored)
	}
	if err := s.remove(h.String()); err != nil {
		return err
	}
	if err := os.Rename(temp, filepath.Join(s.dir, h.String())); err != nil {
		return err
	}
	if err := atomicfile.SyncFolder(s.dir); err != nil {
		return err
	}
	return s.index.put(src.system, o, *r)
}

func metainfo(name string, r record) ([]byte, catalog.InfoHash, error) {
	var files []swarm.FileEntry
	for _, f := range r.Files {
		files = append(files, swarm.FileEntry{Path: f.Path, Size: f.Size})
	}
	return swarm.EncodeMetainfo(name, files, r.PieceLength, r.Pieces, nil)
}

// version is what Import returns for a stored version.
func (s *Store) version(sys site.System, h catalog.InfoHash, r record) (Version, error) {
	torrent, _, err := metainfo(sys.Name, r)
	if err != nil {
		return Version{}, err
	}
	sums := ""
	if len(r.PieceSums) > 0 {
		if torrent, sums, err = swarm.WithPieceSums(torrent, r.PieceSums); err != nil {
			return Version{}, fmt.Errorf("the torrent of %q %w", sys.Name, err)
		}
	}
	v := Version{Torrent: torrent, Dir: filepath.Join(s.dir, h.String())}
	v.System = catalog.System{
		Name: sys.Name, Title: sys.Title, Description: sys.Description, Hidden: sys.Hidden, Arch: sys.Arch,
		Launch: sys.Launch, InfoHash: h, PieceLength: r.PieceLength, PieceSums: sums,
	}
	for _, f := range r.Files {
		v.Files = append(v.Files, f.File)
	}
	if v.FileList, err = v.System.SetFiles(v.Files); err != nil {
		return Version{}, err
	}
	v.System.Zeros = swarm.Zeros(r.Pieces, r.PieceLength, v.System.Size)
	return v, v.System.Validate()
}
