package swarm

import (
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anacrolix/torrent/metainfo"
	"github.com/anacrolix/torrent/storage"

	"github.com/boottorrent/boottorrent/internal/swarm/pick"
)

// store keeps one torrent in plain files below a folder, and knows which of its pieces are there. It stands in for the
// library's file storage for five reasons: a seeder's files are complete by definition, so nothing is hashed at start,
// and they are opened read-only, so nothing ever writes to them; few files are open at a time, however many there are; nothing is
// mapped into memory, so a node on tmpfs does not count its image twice; pieces of zeros take neither a transfer nor memory; and
// a node may put a piece here that came by HTTP.
type store struct {
	layout *layout
	dir    string
	cache  *fileCache
	files  []storedFile // in the torrent's order
	pieces []piece
	// zeros is how many bytes are in pieces of zeros, and blank how many such pieces there are.
	zeros int64
	blank int
	// readOnly is a seeder's store. sealed is one of a node that has everything and was verified.
	readOnly bool
	sealed   atomic.Bool
	// written is how fast files are written to.
	written speed
	// changed gets a value when a piece was completed, here or (while some are held) elsewhere.
	changed chan struct{}
}

// piece implements storage.PieceImpl.
type piece struct {
	store        *store
	offset, size int64
	state        atomic.Uint32
	// zero says that it consists of zeros.
	zero bool
	// proved says that its SHA-256 is the one that the catalog names.
	proved atomic.Bool
	// suspect says that it came from peers and was not right. The library hashes it the next time: it compares the blocks with those of
	// before, and bans who sent the wrong ones.
	suspect atomic.Bool
	// mu is held while the piece is written to or hashed, and guards what follows.
	mu sync.Mutex
	// received says that blocks of peers were written to it.
	received bool
}

// index is the piece's place in the torrent.
func (p *piece) index() int { return int(p.offset / p.store.layout.pieceLength) }

// The states of a piece.
const (
	unknown  = iota // there is data, but it must be hashed
	missing         // not there, or not all of it
	complete        // verified, or a hole that is to be zeros
)

// openSeed is the store of complete files below dir/NAME, which are read.
func openSeed(l *layout, dir string, cache *fileCache) (*store, error) {
	s := newStore(l, dir, cache)
	if err := s.offer(); err != nil {
		return nil, err
	}
	return s, nil
}

// offer makes the store one of complete files, which are read.
func (s *store) offer() error {
	s.readOnly = true
	for i := range s.files {
		if err := s.files[i].identify(); err != nil {
			return err
		}
	}
	for i := range s.pieces {
		s.pieces[i].state.Store(complete)
	}
	return nil
}

// openFetch opens or makes the files below dir/NAME for reading and writing. What they hold already (an earlier Fetch
// that did not finish) is left to be hashed; where they have holes, there is nothing to hash.
func openFetch(l *layout, dir string, cache *fileCache) (*store, error) {
	s := newStore(l, dir, cache)
	holes := make([]int64, len(s.pieces)) // bytes of each piece
	parent := ""
	for i := range s.files {
		f := &s.files[i]
		if p := filepath.Dir(f.path()); p != parent {
			if err := os.MkdirAll(p, 0o755); err != nil {
				return nil, err
			}
			parent = p
		}
		if err := f.prepare(holes); err != nil {
			return nil, err
		}
	}
	for i := range s.pieces {
		s.pieces[i].begin(holes[i])
	}
	return s, nil
}

func newStore(l *layout, dir string, cache *fileCache) *store {
	s := &store{layout: l, dir: dir, cache: cache, changed: make(chan struct{}, 1)}
	size := l.size()
	zeros := newZeroPieces(l.pieces, l.pieceLength, size)
	s.pieces, s.zeros = make([]piece, len(l.pieces)/sha1.Size), zeros.bytes()
	for i := range s.pieces {
		p := &s.pieces[i]
		p.store, p.offset, p.zero = s, int64(i)*l.pieceLength, zeros.has(i)
		p.size = min(l.pieceLength, size-p.offset)
		if p.zero {
			s.blank++
		}
	}
	s.files = make([]storedFile, len(l.files))
	var offset int64
	for i, f := range l.files {
		s.files[i] = storedFile{store: s, index: i, offset: offset, size: f.Size}
		offset += f.Size
	}
	return s
}

// prepare makes the file and adds to each piece the bytes of it that are in holes.
func (f *storedFile) prepare(sums []int64) error {
	file, before, err := f.make()
	if err != nil {
		return err
	}
	length := f.store.layout.pieceLength
	err = holes(file, before, f.size, func(begin, end int64) {
		for at := f.offset + begin; at < f.offset+end; {
			i := at / length
			next := min((i+1)*length, f.offset+end)
			sums[i] += next - at
			at = next
		}
	})
	return errors.Join(err, file.Close())
}

// begin sets the state of a piece of which so many bytes are in holes.
func (p *piece) begin(holes int64) {
	switch {
	case p.zero && holes == p.size:
		p.state.Store(complete)
	case !p.zero && holes > 0:
		p.state.Store(missing)
	}
}

// OpenTorrent implements storage.ClientImpl for the one torrent the store is of.
func (s *store) OpenTorrent(context.Context, *metainfo.Info, metainfo.Hash) (storage.TorrentImpl, error) {
	return storage.TorrentImpl{
		Piece: func(p metainfo.Piece) storage.PieceImpl { return s.pieces[p.Index()].impl() },
		Close: s.Close,
	}, nil
}

// impl is the piece as the library is to use it.
func (p *piece) impl() storage.PieceImpl {
	if p.suspect.Load() {
		return p
	}
	return selfHashing{p}
}

// Close closes the files.
func (s *store) Close() error { return s.cache.drop(s.files) }

// seal says that everything is here and verified. No file is open for writing then: a program among them can be executed
// (execve(2), ETXTBSY).
func (s *store) seal() error {
	s.sealed.Store(true)
	return s.cache.drop(s.files)
}

// missing reports whether piece i is known not to be here.
func (s *store) missing(i int) bool { return s.pieces[i].state.Load() == missing }

// fileOf is the path of the file that piece i begins in.
func (s *store) fileOf(i int) (path string) {
	_ = s.each(s.pieces[i].offset, 1, func(f *storedFile, _, _ int64) error {
		path = s.layout.files[f.index].Path
		return nil
	})
	return path
}

// verifies reports whether data is piece i.
func (s *store) verifies(i int, data []byte) bool {
	sum := s.layout.newHash()
	_, _ = sum.Write(data) // never fails
	return s.layout.isPiece(i, sum.Sum(nil))
}

// put stores data, which was verified, as piece i.
func (s *store) put(i int, data []byte) error {
	p := &s.pieces[i]
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state.Load() == complete {
		return nil
	}
	if _, err := p.write(data, 0); err != nil {
		return err
	}
	p.proved.Store(s.layout.sums != nil)
	return p.MarkComplete()
}

// each calls do for every part of the size bytes at offset that lies in one file, with its place in that file.
func (s *store) each(offset, size int64, do func(f *storedFile, at, n int64) error) error {
	i := sort.Search(len(s.files), func(i int) bool { return s.files[i].offset+s.files[i].size > offset })
	for ; size > 0 && i < len(s.files); i++ {
		f := &s.files[i]
		n := min(size, f.offset+f.size-offset)
		if n == 0 {
			continue // an empty file
		}
		if err := do(f, offset-f.offset, n); err != nil {
			return err
		}
		offset, size = offset+n, size-n
	}
	return nil
}

// ReadAt implements io.ReaderAt within the piece.
func (p *piece) ReadAt(b []byte, at int64) (n int, err error) {
	size := min(int64(len(b)), p.size-at)
	if p.zero && p.state.Load() == complete {
		clear(b[:max(size, 0)])
		n = int(max(size, 0))
	} else {
		err = p.store.each(p.offset+at, size, func(f *storedFile, at, size int64) error {
			return f.use(func(file *os.File) error {
				m, err := file.ReadAt(b[n:n+int(size)], at)
				n += m
				return err
			})
		})
	}
	if err == nil && n < len(b) {
		err = io.EOF
	}
	return n, err
}

// WriteAt implements io.WriterAt within the piece. A piece that is complete is left as it is: a block of it that was
// on its way when it was completed some other way is accepted and forgotten. Zeros become holes.
func (p *piece) WriteAt(b []byte, at int64) (n int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state.Load() == complete {
		return len(b), nil
	}
	p.received = true
	return p.write(b, at)
}

// writeSparse writes b, in which blocks of zeros become holes: what comes at a time may have both.
func writeSparse(file *os.File, b []byte, at int64) (n int, err error) {
	for n < len(b) {
		begin, zero := n, isZero(b[n:min(n+pick.BlockSize, len(b))])
		for n < len(b) && isZero(b[n:min(n+pick.BlockSize, len(b))]) == zero {
			n = min(n+pick.BlockSize, len(b))
		}
		if zero && punch(file, at+int64(begin), int64(n-begin)) {
			continue
		}
		if m, err := file.WriteAt(b[begin:n], at+int64(begin)); err != nil {
			return begin + m, err
		}
	}
	return n, nil
}

// write writes to the piece's files. mu is held.
func (p *piece) write(b []byte, at int64) (n int, err error) {
	if p.store.readOnly {
		return 0, fmt.Errorf("piece %d of %q: %w", p.index(), p.store.layout.name, fs.ErrPermission)
	}
	began := time.Now()
	err = p.store.each(p.offset+at, int64(len(b)), func(f *storedFile, at, size int64) error {
		part := b[n : n+int(size)]
		return f.use(func(file *os.File) error {
			m, err := writeSparse(file, part, at)
			n += m
			return err
		})
	})
	p.store.written.add(n, time.Since(began))
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
	p.proved.Store(false)
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
