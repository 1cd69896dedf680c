package mirror

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/swarm"
	"github.com/boottorrent/boottorrent/seeder/upstream"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fakeEngine says what is asked of it, and does what a test sets.
type fakeEngine struct {
	fetch  func(ctx context.Context, src swarm.Source, progress func(swarm.Stats)) error
	remove func(h catalog.InfoHash)

	mu      sync.Mutex
	removed []catalog.InfoHash
	fetches map[catalog.InfoHash]int
}

func (e *fakeEngine) Fetch(ctx context.Context, src swarm.Source, progress func(swarm.Stats)) error {
	e.mu.Lock()
	e.fetches[src.System.InfoHash]++
	e.mu.Unlock()
	return e.fetch(ctx, src, progress)
}

func (e *fakeEngine) Seed([]byte, string) (catalog.InfoHash, error) { return catalog.InfoHash{}, nil }

func (e *fakeEngine) Remove(h catalog.InfoHash) {
	e.mu.Lock()
	e.removed = append(e.removed, h)
	e.mu.Unlock()
	if e.remove != nil {
		e.remove(h)
	}
}

func (e *fakeEngine) count(h catalog.InfoHash) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.fetches[h]
}

// newCarrier is a carrier in a folder of its own, whose clock runs ahead by ahead, with an engine that writes what it is to fetch.
func newCarrier(t *testing.T) (c *carrier, e *fakeEngine, ahead *atomic.Int64) {
	t.Helper()
	e, ahead = &fakeEngine{fetches: map[catalog.InfoHash]int{}, fetch: write}, &atomic.Int64{}
	dir := t.TempDir()
	return &carrier{
		dir: dir, engine: e, log: slog.New(slog.DiscardHandler), now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
		carry: func(string) bool { return false }, busy: func(catalog.InfoHash) bool { return false }, gone: func(catalog.InfoHash) {},
		free: func(string) (int64, error) { return 1 << 40, nil }, uses: openUses(filepath.Join(dir, usesFile), slog.New(slog.DiscardHandler)),
		byHash: map[catalog.InfoHash]*carried{}, wake: make(chan struct{}, 1),
	}, e, ahead
}

// write is a fetch that succeeds.
func write(_ context.Context, src swarm.Source, _ func(swarm.Stats)) error {
	for _, f := range src.Files {
		at := filepath.Join(src.Dir, src.System.Name, f.Path)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(at, make([]byte, f.Size), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// version is one of so many zeros, in one file.
func (c *carrier) version(t *testing.T, name string, size int64) *Version {
	t.Helper()
	sum := sha256.Sum256(make([]byte, size))
	v := upstream.Version{
		System: catalog.System{Name: name, Size: size, InfoHash: catalog.InfoHash{byte(len(name)), name[0]}},
		Files:  catalog.FileList{{Path: "kernel", Size: size, SHA256: hex.EncodeToString(sum[:])}},
	}
	saved, err := saveVersion(filepath.Join(c.dir, v.System.InfoHash.String()), v)
	must(t, err)
	return saved
}

// here puts the files of a version where they belong, as they are after a fetch.
func (c *carrier) here(t *testing.T, name string, size int64) *Version {
	t.Helper()
	v := c.version(t, name, size)
	must(t, write(t.Context(), v.source(), nil))
	must(t, v.seal())
	return v
}

// await waits until something holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}
