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
		{0, 8}, {100_000, 8}, {1_500_000, 9}, {5_000_000, 30}, {15_000_000, 91}, {500_000_000, 128},
	} {
		now := time.Unix(1000, 0)
		q := NewQueue(8, now)
		for range 10 {
			now = now.Add(100 * time.Millisecond)
			q.Received(c.bytesPerSecond/10, now)
		}
		if q.Depth() != c.want {
			t.Errorf("at %d bytes/s: %d blocks, want %d", c.bytesPerSecond, q.Depth(), c.want)
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
