package lab

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/need"
)

// ForTest makes a room that ends with the test. It needs root; the texts of consoles and processes are kept in the
// test's artifact directory (go test -artifacts). When the test has failed, what each node's console showed last is
// logged, and a picture of its screen is put beside the texts.
func ForTest(t testing.TB, opts ...Option) *Room {
	t.Helper()
	need.Namespaces(t)
	// A test's own context ends before its cleanups: the nodes would be off before their screens can be saved.
	ctx := context.WithoutCancel(t.Context())
	room, err := New(ctx, t.Name(), append([]Option{LogDir(t.ArtifactDir())}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			room.show(ctx, t)
		}
		if err := room.Close(); err != nil {
			t.Error(err)
		}
		t.Logf("the room's machines and programs took %.0f s of a processor", room.processor.Seconds())
	})
	return room
}

// show logs what a person would look at after a failure.
func (r *Room) show(ctx context.Context, t testing.TB) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for _, n := range r.Nodes() {
		t.Logf("the console of node %s ends with:\n%s", n.Config.Name, n.Console().Tail(tailLines))
		select {
		case <-n.Done():
			continue // it has no screen any more
		default:
		}
		if n.Config.NoDisplay {
			continue
		}
		if err := n.SavePNG(ctx, filepath.Join(r.logDir, n.Config.Name+"-screen.png")); err != nil {
			t.Log(err)
		}
	}
	t.Logf("texts and screens are in %s (kept with go test -artifacts)", r.logDir)
}

// Expecter is a console or a process.
type Expecter interface {
	Expect(ctx context.Context, pattern string) ([]string, error)
}

// Await is Expect with a time limit, that fails the test.
func Await(t testing.TB, on Expecter, within time.Duration, pattern string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	match, err := on.Expect(ctx, pattern)
	if err != nil {
		t.Fatal(err)
	}
	return match
}

// AwaitScreen is ExpectScreen with a time limit, that fails the test.
func AwaitScreen(t testing.TB, on *Console, within time.Duration, pattern string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	match, err := on.ExpectScreen(ctx, pattern)
	if err != nil {
		t.Fatal(err)
	}
	return match
}
