package swarm

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestFittingFollowsUse(t *testing.T) {
	f := fitting{all: 4}
	for i, c := range []struct {
		used  float64
		ticks int
		want  int
	}{
		{0.1, 5, 1}, {0.7, 20, 1}, {0.9, 1, 4}, {3.5, 20, 4}, {0.6, 20, 4}, {0.1, calmTicks - 1, 4}, {0.7, 1, 4}, {0.1, calmTicks, 1},
	} {
		for range c.ticks {
			f.look(c.used)
		}
		if got := f.processors(); got != c.want {
			t.Errorf("step %d: %d processors, want %d", i, got, c.want)
		}
	}
}

// TestBusyProgramGetsAllProcessors has a program use nothing, then two processors, then nothing.
func TestBusyProgramGetsAllProcessors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		began, processors := time.Now(), 1
		used := func() time.Duration {
			return 2 * min(10*time.Second, max(0, time.Since(began)-5*time.Second))
		}
		go fitting{all: 4}.run(ctx, used, func(n int) { processors = n })
		for _, c := range []struct {
			after time.Duration
			want  int
		}{{5 * time.Second, 1}, {6 * time.Second, 4}, {16 * time.Second, 4}, {18 * time.Second, 1}} {
			time.Sleep(time.Until(began.Add(c.after)))
			synctest.Wait()
			if processors != c.want {
				t.Errorf("after %s it has %d processors, want %d", c.after, processors, c.want)
			}
		}
		cancel()
		synctest.Wait()
		if processors != 4 {
			t.Errorf("in the end it has %d processors, want all", processors)
		}
	})
}
