package swarm

import (
	"testing"
)

// TestCountsWhatRemovedConnectionsBring takes every connection out of the books as soon as it is there: all that comes is counted, by
// whom it came from.
func TestCountsWhatRemovedConnectionsBring(t *testing.T) {
	t.Parallel()
	s := newSample(t, 64<<10, 2<<20, 1<<20)
	seeder := newSeeder(t, s, Config{UploadLimit: 1 << 20})
	other := newEngine(t, "127.0.0.54", Config{UploadLimit: 1 << 20})
	if _, err := other.Seed(s.torrent, s.dir); err != nil {
		t.Fatal(err)
	}
	node := newNode(t, "127.0.0.55")
	fetched := make(chan error, 1)
	go func() {
		fetched <- node.Fetch(t.Context(), s.source(t.TempDir(), seeder.addrPort(), other.addrPort()), nil)
	}()
	waitFor(t, "two connections that bring something", func() bool {
		stats, ok := node.Stats(s.system.InfoHash)
		return ok && stats.FromSeeder > 0 && stats.FromNodes > 0
	})
	before, _ := node.Stats(s.system.InfoHash)
	for _, pc := range node.entry(s.system.InfoHash).torrent.PeerConns() {
		node.conns.closed(pc)
	}
	if err := <-fetched; err != nil {
		t.Fatal(err)
	}
	after, _ := node.Stats(s.system.InfoHash)
	if after.FromSeeder+after.FromNodes != s.system.Size || after.FromSeeder <= before.FromSeeder || after.FromNodes <= before.FromNodes {
		t.Errorf("of %d bytes %d are counted as the seeder's and %d as nodes', after %d and %d when the connections were removed",
			s.system.Size, after.FromSeeder, after.FromNodes, before.FromSeeder, before.FromNodes)
	}
}
