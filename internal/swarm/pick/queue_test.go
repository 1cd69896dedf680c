package pick

import (
	"testing"
	"time"
)

func TestQueueFollowsSpeed(t *testing.T) {
	seeder, foreign := Side{Seeder: true, Wanted: 1 << 30}, Side{Foreign: true}
	for _, c := range []struct {
		side           Side
		bytesPerSecond int
		want           int
	}{
		{seeder, 0, 4}, {seeder, 100_000, 4}, {seeder, 1_500_000, 9}, {seeder, 5_000_000, 30}, {seeder, 15_000_000, 91}, {seeder, 500_000_000, 128},
		{foreign, 0, 16}, {foreign, 100_000, 16}, {foreign, 500_000, 30}, {foreign, 500_000_000, 128},
	} {
		now := time.Unix(1000, 0)
		q := NewQueue(now)
		for range 10 {
			now = now.Add(100 * time.Millisecond)
			q.Received(c.bytesPerSecond/10, now)
		}
		if got := q.Depth(c.side); got != c.want {
			t.Errorf("%+v at %d bytes/s: %d blocks, want %d", c.side, c.bytesPerSecond, got, c.want)
		}
	}
}

func TestWindowSpansRequests(t *testing.T) {
	for _, c := range []struct {
		depth       int
		pieceLength int64
		want        int
	}{
		{0, 256 << 10, 2}, {4, 256 << 10, 2}, {8, 256 << 10, 3}, {128, 256 << 10, 18}, {128, 4 << 20, 3}, {8, 16 << 10, 18},
	} {
		if got := Window(c.depth, c.pieceLength); got != c.want {
			t.Errorf("%d blocks of pieces of %d bytes: %d, want %d", c.depth, c.pieceLength, got, c.want)
		}
	}
}

func TestLeastDepth(t *testing.T) {
	for _, c := range []struct {
		side Side
		want int
	}{
		{Side{Seeder: true, Wanted: 1 << 20}, 4}, {Side{Seeder: true, Wanted: 1 << 20, Connections: 80}, 4}, {Side{Seeder: true}, 1},
		{Side{}, 2}, {Side{Connections: 1, Wanted: 1}, 2}, {Side{Connections: 24}, 2}, {Side{Connections: 25}, 1}, {Side{Connections: 80}, 1},
	} {
		q := NewQueue(time.Unix(1000, 0))
		if got := q.Depth(c.side); got != c.want {
			t.Errorf("%+v: %d, want %d", c.side, got, c.want)
		}
	}
}

// TestSeederIsAskedForWhatOnlyItHas has a node that is served fast ask the seeder for no more than it needs from there, and other nodes
// for all it can get.
func TestSeederIsAskedForWhatOnlyItHas(t *testing.T) {
	now := time.Unix(1000, 0)
	q := NewQueue(now)
	q.Received(50<<20, now.Add(time.Second))
	for _, c := range []struct {
		side Side
		want int
	}{
		{Side{Seeder: true, Wanted: 1 << 30}, 128}, {Side{Seeder: true, Wanted: 40 * BlockSize}, 40},
		{Side{Seeder: true, Wanted: 39*BlockSize + 1}, 40}, {Side{Seeder: true}, 1}, {Side{}, 128},
	} {
		if got := q.Depth(c.side); got != c.want {
			t.Errorf("%+v: %d blocks, want %d", c.side, got, c.want)
		}
	}
}

func TestHoldTimeout(t *testing.T) {
	for _, c := range []struct {
		held          int
		average, want time.Duration
	}{
		{1, time.Millisecond, 500 * time.Millisecond}, {3, 100 * time.Millisecond, 600 * time.Millisecond}, {40, time.Second, 80 * time.Second},
	} {
		if got := HoldTimeout(c.held, c.average); got != c.want {
			t.Errorf("%d held, %s each: %s, want %s", c.held, c.average, got, c.want)
		}
	}
}

func TestRequestSize(t *testing.T) {
	for piece, want := range map[int64]int64{1 << 10: 16 << 10, 16 << 10: 16 << 10, 64 << 10: 32 << 10, 80 << 10: 80 << 10, 100 << 10: 96 << 10, 128 << 10: 128 << 10, 4 << 20: 128 << 10} {
		if got := RequestSize(piece); got != want {
			t.Errorf("pieces of %d bytes: requests of %d, want %d", piece, got, want)
		}
	}
	for _, c := range []struct {
		blocks     int
		size, want int64
	}{{4, 16 << 10, 4}, {4, 32 << 10, 2}, {2, 32 << 10, 1}, {1, 64 << 10, 1}, {128, 64 << 10, 32}} {
		if got := Requests(c.blocks, c.size); got != int(c.want) {
			t.Errorf("%d blocks in requests of %d bytes: %d, want %d", c.blocks, c.size, got, c.want)
		}
	}
}
