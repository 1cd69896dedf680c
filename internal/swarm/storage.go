package swarm

import (
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"sync/atomic"

	"github.com/anacrolix/torrent/metainfo"
	"github.com/anacrolix/torrent/storage"
	"golang.org/x/sys/unix"
)

// store keeps one torrent in plain files below a folder, and knows which of its pieces are there. It stands in for the
// library's file storage for four reasons: a seeder's files are complete by definition, so nothing is hashed at start,
// and they are opened read-only, so nothing ever writes to them; every file stays open, so what replaces it under its
// name does not disturb a swarm in the middle of the old version; nothing is mapped into memory, so a node on tmpfs
// does not count its image twice; and a node may put a piece here that came by HTTP.
type store struct {
	layout *layout
	files  []openFile // in the torrent's order
	pieces []piece
	// readOnly is a seeder's store.
	readOnly bool
	// changed gets a value when a piece was completed, here or (while some are held) elsewhere.
	changed chan struct{}
}

// openFile is a file at its offset in the torrent.
type openFile struct {
	*os.File
	offset, size int64
}

// piece implements storage.PieceImpl.
type piece struct {
	store        *store
	offset, size int64
	state        atomic.Uint32
}

// The states of a piece.
const (
	unknown  = iota // there is data, but it must be hashed
	missing         // not there, or not all of it
	complete        // verified
)

// openSeed opens complete files below dir/NAME for reading.
func openSeed(l *layout, dir string) (*store, error) {
	return openStore(l, dir, true)
}

// openFetch opens or makes the files below dir/NAME for reading and writing. What they hold already (an earlier Fetch
// that did not finish) is left to be hashed; where they have holes, there is nothing to hash.
func openFetch(l *layout, dir string) (*store, error) {
	return openStore(l, dir, false)
}

func openStore(l *layout, dir string, readOnly bool) (*store, error) {
	s := &store{layout: l, readOnly: readOnly, changed: make(chan struct{}, 1)}
	s.pieces = make([]piece, len(l.pieces)/sha1.Size)
	size := l.size()
	for i := range s.pieces {
		p := &s.pieces[i]
		p.store, p.offset = s, int64(i)*l.pieceLength
		p.size = min(l.pieceLength, size-p.offset)
		if readOnly {
			p.state.Store(complete)
		}
	}
	open := openToWrite
	if readOnly {
		open = openToRead
	}
	var offset int64
	for _, f := range l.files {
		file, err := open(filepath.Join(dir, l.name, filepath.FromSlash(f.Path)), f.Size)
		if err != nil {
			_ = s.Close()
			return nil, err
		}
		s.files = append(s.files, openFile{file, offset, f.Size})
		offset += f.Size
	}
	if readOnly {
		return s, nil
	}
	if err := s.markHoles(); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

func openToRead(path string, size int64) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && (!info.Mode().IsRegular() || info.Size() != size) {
		err = fmt.Errorf("%s has changed since it was hashed: it has %d bytes, its torrent says %d", path, info.Size(), size)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func openToWrite(path string, size int64) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	// Sparse: memory is taken only as data arrives.
	if err := f.Truncate(size); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// markHoles marks the pieces missing that lie in a hole of a file (lseek(2), SEEK_DATA and SEEK_HOLE). A file system
// that does not know about holes calls everything data.
func (s *store) markHoles() error {
	for _, f := range s.files {
		for at := int64(0); at < f.size; {
			data, err := f.Seek(at, unix.SEEK_DATA)
			if errors.Is(err, unix.ENXIO) {
				data, err = f.size, nil // a hole up to the end
			}
			if err != nil {
				return fmt.Errorf("look for data in %s: %w", f.Name(), err)
			}
			s.markMissing(f.offset+at, f.offset+min(data, f.size))
			if data >= f.size {
				break
			}
			if at, err = f.Seek(data, unix.SEEK_HOLE); err != nil {
				return fmt.Errorf("look for holes in %s: %w", f.Name(), err)
			}
		}
	}
	return nil
}

// markMissing marks the pieces that have a byte in [begin, end).
func (s *store) markMissing(begin, end int64) {
	for at := begin; at < end; {
		i := at / s.layout.pieceLength
		s.pieces[i].state.Store(missing)
		at = (i + 1) * s.layout.pieceLength
	}
}

// OpenTorrent implements storage.ClientImpl for the one torrent the store is of.
func (s *store) OpenTorrent(context.Context, *metainfo.Info, metainfo.Hash) (storage.TorrentImpl, error) {
	return storage.TorrentImpl{
		Piece: func(p metainfo.Piece) storage.PieceImpl { return &s.pieces[p.Index()] },
		Close: s.Close,
	}, nil
}

// Close closes the files.
func (s *store) Close() error {
	var errs []error
	for _, f := range s.files {
		if err := f.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// missing reports whether piece i is known not to be here.
func (s *store) missing(i int) bool { return s.pieces[i].state.Load() == missing }

// fileOf is the path of the file that piece i begins in.
func (s *store) fileOf(i int) (path string) {
	_ = s.each(s.pieces[i].offset, 1, func(_ *openFile, file int, _, _ int64) error {
		path = s.layout.files[file].Path
		return nil
	})
	return path
}

// verifies reports whether data is piece i.
func (s *store) verifies(i int, data []byte) bool {
	sum := sha1.Sum(data)
	return bytes.Equal(sum[:], s.layout.pieces[i*sha1.Size:(i+1)*sha1.Size])
}

// put stores data, which was verified, as piece i.
func (s *store) put(i int, data []byte) error {
	if _, err := s.pieces[i].WriteAt(data, 0); err != nil {
		return err
	}
	return s.pieces[i].MarkComplete()
}

// each calls f for every part of the size bytes at offset that lies in one file, with its place in that file.
func (s *store) each(offset, size int64, f func(file *openFile, index int, at, n int64) error) error {
	i := sort.Search(len(s.files), func(i int) bool { return s.files[i].offset+s.files[i].size > offset })
	for ; size > 0 && i < len(s.files); i++ {
		file := &s.files[i]
		n := min(size, file.offset+file.size-offset)
		if n == 0 {
			continue // an empty file
		}
		if err := f(file, i, offset-file.offset, n); err != nil {
			return err
		}
		offset, size = offset+n, size-n
	}
	return nil
}

// ReadAt implements io.ReaderAt within the piece.
func (p *piece) ReadAt(b []byte, at int64) (n int, err error) {
	err = p.store.each(p.offset+at, min(int64(len(b)), p.size-at), func(f *openFile, _ int, at, size int64) error {
		m, err := f.ReadAt(b[n:n+int(size)], at)
		n += m
		return err
	})
	if err == nil && n < len(b) {
		err = io.EOF
	}
	return n, err
}

// WriteAt implements io.WriterAt within the piece. A piece that is complete is left as it is: a block of it that was
// on its way when it was completed some other way is accepted and forgotten.
func (p *piece) WriteAt(b []byte, at int64) (n int, err error) {
	if p.state.Load() == complete {
		return len(b), nil
	}
	if p.store.readOnly {
		return 0, fmt.Errorf("piece %d of %q: %w", p.offset/p.store.layout.pieceLength, p.store.layout.name, fs.ErrPermission)
	}
	err = p.store.each(p.offset+at, int64(len(b)), func(f *openFile, _ int, at, size int64) error {
		m, err := f.WriteAt(b[n:n+int(size)], at)
		n += m
		return err
	})
	return n, err
}

// MarkComplete implements storage.PieceImpl.
func (p *piece) MarkComplete() error {
	p.state.Store(complete)
	p.store.signal()
	return nil
}

// signal says that something has changed; several signals may become one.
func (s *store) signal() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// MarkNotComplete implements storage.PieceImpl.
func (p *piece) MarkNotComplete() error {
	p.state.Store(missing)
	return nil
}

// Completion implements storage.PieceImpl.
func (p *piece) Completion() storage.Completion {
	state := p.state.Load()
	return storage.Completion{Ok: state != unknown, Complete: state == complete}
}

// hashing reports whether a piece found at the start is still to be hashed.
func (s *store) hashing() bool {
	for i := range s.pieces {
		if s.pieces[i].state.Load() == unknown {
			return true
		}
	}
	return false
}
