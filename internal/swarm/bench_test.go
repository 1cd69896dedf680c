package swarm

import "testing"

// BenchmarkFetch is one node and one seeder on loopback, without a limit: what the engine itself costs.
func BenchmarkFetch(b *testing.B) {
	const size = 128 << 20
	s := newSample(b, PieceLength(size), size)
	seeder := newSeeder(b, s, Config{})
	b.SetBytes(size)
	for b.Loop() {
		node := newNode(b, "127.0.0.91")
		if err := node.Fetch(b.Context(), s.source(b.TempDir(), seeder.addrPort()), nil); err != nil {
			b.Fatal(err)
		}
		if err := node.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
