package pick

import (
	"testing"
	"time"
)

func TestQueueFollowsSpeed(t *testing.T) {
	for _, c := range []struct {
		bytesPerSecond int
		want           int
	}{
		{0, 4}, {100_000, 4}, {1_500_000, 9}, {5_000_000, 30}, {15_000_000, 91}, {500_000_000, 128},
	} {
		now := time.Unix(1000, 0)
		q := NewQueue(now)
		for range 10 {
			now = now.Add(100 * time.Millisecond)
			q.Received(c.bytesPerSecond/10, now)
		}
		if q.Depth(4) != c.want {
			t.Errorf("at %d bytes/s: %d blocks, want %d", c.bytesPerSecond, q.Depth(4), c.want)
		}
	}
}

func TestWindowSpansRequests(t *testing.T) {
	for _, c := range []struct {
		depth       int
		pieceLength int64
		want        int
	}{
		{0, 256 << 10, 2}, {8, 256 << 10, 2}, {16, 256 << 10, 3}, {128, 256 << 10, 10}, {128, 4 << 20, 2}, {8, 16 << 10, 10},
	} {
		if got := Window(c.depth, c.pieceLength); got != c.want {
			t.Errorf("%d blocks of pieces of %d bytes: %d, want %d", c.depth, c.pieceLength, got, c.want)
		}
	}
}

func TestLeast(t *testing.T) {
	for _, c := range []struct {
		seeder      bool
		connections int
		want        int
	}{
		{true, 0, 4}, {true, 80, 4}, {false, 0, 2}, {false, 1, 2}, {false, 24, 2}, {false, 25, 1}, {false, 80, 1},
	} {
		if got := Least(c.seeder, c.connections); got != c.want {
			t.Errorf("seeder %t, %d connections: %d, want %d", c.seeder, c.connections, got, c.want)
		}
	}
}
