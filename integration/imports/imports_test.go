// Package imports_test joins mkimage import with the seeder's watcher: what is published of a site while something is imported into it.
package imports_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/mkimage/source"
	"github.com/boottorrent/boottorrent/seeder/watch"
)

// quiet is how long nothing may happen to a system here before it is published.
const quiet = 200 * time.Millisecond

// slow is a kind whose systems are a disk image that is written in two halves, with what the test wants in between.
type slow struct {
	between func() error
	content string
}

func (slow) Name() string                                            { return "slow" }
func (slow) Example() source.Example                                 { return source.Example{} }
func (slow) Recognise(context.Context, *source.Source) (bool, error) { return true, nil }
func (k slow) Import(_ context.Context, j *source.Job) error {
	s, err := j.NewSystem("")
	if err != nil {
		return err
	}
	s.QEMU = &source.QEMU{Args: []string{"-hda", "disk.raw"}}
	f, err := os.Create(s.Path("disk.raw"))
	if err != nil {
		return err
	}
	defer f.Close()
	half := len(k.content) / 2
	if _, err := io.WriteString(f, k.content[:half]); err != nil {
		return err
	}
	if err := k.between(); err != nil {
		return err
	}
	s.Made("disk.raw", "the test")
	_, err = io.WriteString(f, k.content[half:])
	return err
}

// A seeder that serves the site meanwhile sees nothing of an import until it is whole; of one that replaces a system, the old one until
// then and the new one after, and it goes on to see that one's changes.
func TestServedMeanwhile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "site")
	if err := site.Init(dir, "test"); err != nil {
		t.Fatal(err)
	}
	disk := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(disk, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	w, err := watch.New(dir, quiet, log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	published := func() string {
		select {
		case <-w.Changed():
		case <-time.After(need.Patience):
			t.Fatal("nothing has come to rest")
		}
		return served(t, dir)
	}
	o := source.Options{Source: disk, Target: filepath.Join(dir, "oss", "x"), Log: log, Replace: true}
	nothingMoves := func(want string) func() error {
		return func() error {
			select {
			case <-w.Changed():
				return errors.New("the seeder saw half an import")
			case <-time.After(3 * quiet): // as long as the seeder would take to publish it
			}
			if got := served(t, dir); got != want {
				t.Errorf("meanwhile %q is served, want %q", got, want)
			}
			return nil
		}
	}
	for _, step := range []struct{ content, before string }{{"first one", ""}, {"the second", "first one"}, {"a third one", "the second"}} {
		if _, err := source.Import(t.Context(), o, []source.Kind{slow{nothingMoves(step.before), step.content}}); err != nil {
			t.Fatal(err)
		}
		if got := published(); got != step.content {
			t.Errorf("%q is served, want %q", got, step.content)
		}
	}
	// It is watched where it is now.
	if err := os.WriteFile(filepath.Join(o.Target, "disk.raw"), []byte("changed by hand"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := published(); got != "changed by hand" {
		t.Errorf("%q is served after a change by hand", got)
	}
	if _, err := source.Import(t.Context(), o, []source.Kind{slow{func() error { return errors.New("broken") }, "broken"}}); err == nil {
		t.Error("an import that fails says nothing")
	}
	if got := served(t, dir); got != "changed by hand" {
		t.Errorf("after an import that failed %q is served", got)
	}
}

// served is what a seeder offers of the site: the content of its system's disk.
func served(t *testing.T, dir string) string {
	s, problems := site.Load(dir)
	if len(problems) > 0 || len(s.AllProblems()) > 0 || len(s.Unfinished) > 0 {
		t.Errorf("the site: %v, %v, %v", problems, s.AllProblems(), s.Unfinished)
	}
	var all []string
	for _, system := range s.Systems {
		b, err := os.ReadFile(filepath.Join(system.Dir, "disk.raw"))
		if err != nil {
			t.Error(err)
		}
		all = append(all, string(b))
	}
	slices.Sort(all)
	return strings.Join(all, ",")
}
