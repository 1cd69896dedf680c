package swarm

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"hash"
	"io"
	"sync"

	"github.com/anacrolix/torrent/metainfo"
)

// A piece is hashed once. Where the torrent has the SHA-256 sums that the catalog names (layout.sums), that hash is SHA-256: the
// piece is then verified as the catalog wants it, its SHA-1 isn't made, and nothing is read again when all pieces are here. Elsewhere
// it is SHA-1, and store.verify reads all files in the end. What is hashed is what the file has, not what came: hashing blocks as they
// are written, where they come in order, was no faster.

// newHash is the hash that pieces are verified by.
func (l *layout) newHash() hash.Hash {
	if l.sums != nil {
		return sha256.New()
	}
	return sha1.New()
}

// isPiece reports whether sum is piece i's, by newHash.
func (l *layout) isPiece(i int, sum []byte) bool {
	if l.sums != nil {
		return bytes.Equal(sum, l.sums[i*sha256.Size:(i+1)*sha256.Size])
	}
	return bytes.Equal(sum, l.pieces[i*sha1.Size:(i+1)*sha1.Size])
}

// readPool has the buffers that pieces are read into to be hashed. They fit into a processor's second cache.
var readPool = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// read calls do with the piece's bytes in order.
func (p *piece) read(do func([]byte) error) error {
	buffer := readPool.Get().(*[64 << 10]byte)
	defer readPool.Put(buffer)
	for at := int64(0); at < p.size; {
		b := buffer[:min(int64(len(buffer)), p.size-at)]
		if _, err := p.ReadAt(b, at); err != nil {
			return err
		}
		if err := do(b); err != nil {
			return err
		}
		at += int64(len(b))
	}
	return nil
}

// check hashes the piece and reports whether it is right. mu is held.
func (p *piece) check() (bool, error) {
	sum := p.store.layout.newHash()
	err := p.read(func(b []byte) error {
		_, err := sum.Write(b)
		return err
	})
	if err != nil {
		return false, err
	}
	right := p.store.layout.isPiece(p.index(), sum.Sum(nil))
	p.proved.Store(right && p.store.layout.sums != nil)
	return right, nil
}

// selfHashing is a piece that the library has hash itself.
type selfHashing struct{ *piece }

// SelfHash implements storage.SelfHashing. The library wants the SHA-1, and gets the torrent's if the piece is right; else it gets one
// that is no piece's.
func (p selfHashing) SelfHash() (sum metainfo.Hash, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	right := p.state.Load() == complete // it came by HTTP meanwhile
	if !right {
		if right, err = p.check(); err != nil {
			return sum, err
		}
	}
	if right {
		return metainfo.Hash(p.store.layout.pieces[p.index()*sha1.Size:]), nil
	}
	p.suspect.Store(p.received)
	return sum, nil
}

// WriteTo implements io.WriterTo, by which the library reads a piece that does not hash itself. It makes the SHA-1; the SHA-256 is made
// here.
func (p *piece) WriteTo(w io.Writer) (n int64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	sum := p.store.layout.newHash()
	err = p.read(func(b []byte) error {
		_, _ = sum.Write(b) // never fails
		m, err := w.Write(b)
		n += int64(m)
		return err
	})
	p.proved.Store(err == nil && p.store.layout.sums != nil && p.store.layout.isPiece(p.index(), sum.Sum(nil)))
	return n, err
}

// proved reports whether every piece is here and was found to have the SHA-256 that the catalog names.
func (s *store) proved() bool {
	if s.layout.sums == nil {
		return false
	}
	zeros := map[int64][]byte{} // SHA-256 sums by length
	for i := range s.pieces {
		p := &s.pieces[i]
		if p.state.Load() != complete {
			return false
		}
		if p.proved.Load() {
			continue
		}
		if !p.zero {
			return false
		}
		if zeros[p.size] == nil {
			zeros[p.size] = zeroSum(sha256.New(), p.size)
		}
		if !s.layout.isPiece(i, zeros[p.size]) {
			return false
		}
	}
	return true
}
