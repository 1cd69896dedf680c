package swarm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/internal/swarm/pick"
)

// The fallback to HTTP fetches whole pieces by range requests (RFC 9110) from the folder that a web seed URL names
// (BEP 19), verifies them and puts them into the store. It is not the library's web seeding: that asks for 64 MiB at a
// time, always from the front, so that a room would take as many copies from the server as it has nodes; and it pauses
// for up to a minute after an error it only logs. Here the picker chooses, so that a room in which nothing but HTTP
// works still divides the pieces and gives them to each other.

const (
	// fallbackWorkers is the number of requests at a time.
	fallbackWorkers = 4
	// idleTimeout ends a request that brings nothing.
	idleTimeout = 15 * time.Second
)

// fallback is one period of fetching by HTTP.
type fallback struct {
	engine *Engine
	entry  *entry
	seeds  *webSeeds
	picker *pick.Picker
	// silenceTimeout is how long peers may be silent before pieces they have are fetched as well.
	silenceTimeout time.Duration
	// fail ends the download: nothing can be stored, or what comes is not what the torrent says.
	fail func(error)

	mu      sync.Mutex
	claimed map[int]bool
	// spoiled counts how often a piece came with another hash than the torrent says. Such a piece waits until no other is
	// left: meanwhile a node that has it may turn up.
	spoiled map[int]int
}

// maxSpoiled is how often a piece may come with another hash before the download fails.
const maxSpoiled = 3

// SpoiledError says that the seeder's copy of a system is not the one it made the torrent of.
type SpoiledError struct {
	System, File string
	Piece        int
}

// Error implements error.
func (e *SpoiledError) Error() string {
	return fmt.Sprintf("the seeder's copy of %q is damaged: piece %d, which begins in the file %s, does not match the torrent, however "+
		"often it is fetched; on the seeder, stop it, delete the folder .boottorrent/store of its site and start it again",
		e.System, e.Piece, e.File)
}

// run fetches pieces until ctx ends.
func (b *fallback) run(ctx context.Context) {
	var workers sync.WaitGroup
	for range fallbackWorkers {
		workers.Go(func() { b.work(ctx) })
	}
	workers.Wait()
	b.entry.trouble.set("HTTP", nil)
}

func (b *fallback) work(ctx context.Context) {
	retry := minRetry
	for ctx.Err() == nil {
		i, ok := b.claim()
		if !ok {
			sleep(ctx, b.engine.cfg.tick)
			continue
		}
		seed, ok := b.seeds.next(time.Now())
		if !ok {
			b.release(i)
			sleep(ctx, b.engine.cfg.tick)
			continue
		}
		err := b.fetchPiece(ctx, seed, i)
		b.release(i)
		if ctx.Err() != nil {
			return
		}
		b.entry.trouble.set("HTTP", err)
		if err == nil {
			retry = minRetry
			b.seeds.worked(seed)
			continue
		}
		if spoiled := (*SpoiledError)(nil); errors.As(err, &spoiled) && b.spoil(i) == maxSpoiled {
			b.fail(spoiled)
			return
		}
		b.engine.log.Debug("fallback to HTTP failed", "system", b.entry.layout.name, "err", err)
		if b.seeds.failed(seed, time.Now()) {
			continue
		}
		sleep(ctx, retry/2+rand.N(retry)) // a room that was refused together doesn't come again together
		retry = min(2*retry, maxRetry)
	}
}

// claim takes the piece to fetch next.
func (b *fallback) claim() (int, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	skip := maps.Clone(b.claimed)
	for i := range b.spoiled {
		skip[i] = true
	}
	for _, i := range b.picker.Choose(1, skip) {
		b.claimed[i] = true
		return i, true
	}
	if b.entry.peersSilent(time.Now()) < b.silenceTimeout {
		return 0, false // what is left will come from other nodes
	}
	if i, ok := b.first(func(i int) bool { return !skip[i] }); ok {
		b.claimed[i] = true
		return i, true
	}
	if _, ok := b.first(func(i int) bool { return b.spoiled[i] == 0 }); ok {
		return 0, false // others are at what is left beside the spoiled pieces
	}
	i, ok := b.first(func(i int) bool { return !b.claimed[i] })
	if ok {
		b.claimed[i] = true
	}
	return i, ok
}

// first returns the first missing piece that is wanted.
func (b *fallback) first(wanted func(i int) bool) (int, bool) {
	for i := range b.entry.store.pieces {
		if b.entry.store.missing(i) && wanted(i) {
			return i, true
		}
	}
	return 0, false
}

// spoil notes that a piece came with another hash and returns how often it has.
func (b *fallback) spoil(i int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.spoiled[i]++
	return b.spoiled[i]
}

func (b *fallback) release(i int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.claimed, i)
}

func (b *fallback) fetchPiece(ctx context.Context, seed webSeed, i int) error {
	s := b.entry.store
	p := &s.pieces[i]
	data := make([]byte, p.size)
	rest := data
	err := s.each(p.offset, p.size, func(f *storedFile, at, n int64) error {
		part := rest[:n]
		rest = rest[n:]
		return b.fetchRange(ctx, seed, fileURL(seed.url, s.layout.name, s.layout.files[f.index].Path), at, part)
	})
	if err != nil {
		return err
	}
	if !s.verifies(i, data) {
		return fmt.Errorf("from %s: %w", seed.url, &SpoiledError{System: s.layout.name, File: s.fileOf(i), Piece: i})
	}
	if err := s.put(i, data); err != nil {
		b.fail(err)
		return err
	}
	b.entry.torrent.Piece(i).UpdateCompletion()
	return nil
}

// fetchRange fills data with the bytes of a file from offset at.
func (b *fallback) fetchRange(ctx context.Context, seed webSeed, fileURL string, at int64, data []byte) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	idle := time.AfterFunc(idleTimeout, func() { cancel(fmt.Errorf("nothing came for %s", idleTimeout)) })
	defer idle.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fileURL, nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", userAgent)
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", at, at+int64(len(data))-1))
	resp, err := b.engine.http.Do(req)
	if err != nil {
		return causeOf(ctx, err)
	}
	defer resp.Body.Close()
	// A server that ignores ranges sends the file from its beginning.
	if resp.StatusCode != http.StatusPartialContent && (resp.StatusCode != http.StatusOK || at != 0) {
		return fmt.Errorf("get %s: the server answered %s", fileURL, resp.Status)
	}
	body := &countingReader{resp.Body, func(n int) {
		idle.Reset(idleTimeout)
		b.seeds.received(seed, n)
	}}
	if _, err := io.ReadFull(b.engine.limits.reader(ctx, body), data); err != nil {
		return fmt.Errorf("get %s: %w", fileURL, causeOf(ctx, err))
	}
	return nil
}

// causeOf prefers the reason why ctx was cancelled to err.
func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, context.Canceled) {
		return cause
	}
	return err
}

// fileURL is where a web seed has a file (BEP 19).
func fileURL(base, name, path string) string {
	if !strings.HasSuffix(base, "/") {
		base += "/"
	}
	return base + (&url.URL{Path: name + "/" + path}).EscapedPath()
}

// countingReader tells count how much was read each time.
type countingReader struct {
	io.Reader
	count func(int)
}

func (r *countingReader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	r.count(n)
	return n, err
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
