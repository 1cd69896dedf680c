package swarm

import (
	"sync"
	"sync/atomic"
)

// window is what has not come in yet of the pieces that a torrent's chooser prefers. It goes by the blocks that come in, not by the
// pieces that are hashed: a busy machine hashes later, and meanwhile the seeder would be asked for what others have.
type window struct {
	// left is the sum of missing.
	left atomic.Int64

	mu sync.Mutex
	// missing is, of each preferred piece, the bytes that have not come in.
	missing map[int]int64
}

// add takes up that piece i is preferred now.
func (w *window) add(i int, bytes int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.missing == nil {
		w.missing = map[int]int64{}
	}
	w.left.Add(bytes - w.missing[i])
	w.missing[i] = bytes
}

// arrived reports whether all of piece i, which was preferred, has come in and nothing but its hash is missing.
func (w *window) arrived(i int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	left, ok := w.missing[i]
	return ok && left == 0
}

// received takes up that so many bytes of piece i have come in, and reports whether they were the last of it.
func (w *window) received(i int, bytes int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	left := w.missing[i]
	bytes = min(bytes, left)
	if bytes == 0 {
		return false
	}
	w.missing[i] = left - bytes
	w.left.Add(-bytes)
	return left == bytes
}

// drop forgets the pieces that are done: here, or to be had from others.
func (w *window) drop(done func(i int) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, left := range w.missing {
		if done(i) {
			w.left.Add(-left)
			delete(w.missing, i)
		}
	}
}
