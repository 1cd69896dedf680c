package swarm

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// openFiles opens the sample's files for reading, in the torrent's order.
func (s *sampleSystem) openFiles(t testing.TB) (files []*os.File) {
	t.Helper()
	for _, f := range s.files {
		file, err := os.Open(filepath.Join(s.dir, "demo", f.Path))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { file.Close() })
		files = append(files, file)
	}
	return files
}

// What is open is given away although its names are gone, and the tracker is told, so that nodes find it.
func TestGiveOpenFiles(t *testing.T) {
	t.Parallel()
	s := newSample(t, 64<<10, 300_000, 1_000_000)
	files := s.openFiles(t)
	if err := os.RemoveAll(filepath.Join(s.dir, "demo")); err != nil {
		t.Fatal(err)
	}
	tracker := newTracker(t)
	giver := newNode(t, "127.0.0.20")
	h, err := giver.Give(s.torrent, files, []string{tracker.url()})
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the giver announces itself", func() bool {
		tracker.mu.Lock()
		defer tracker.mu.Unlock()
		return len(tracker.peers) == 1
	})
	dir := t.TempDir()
	src := s.source(dir)
	src.Trackers = []string{tracker.url()}
	if err := newNode(t, "127.0.0.21").Fetch(t.Context(), src, nil); err != nil {
		t.Fatal(err)
	}
	s.checkFiles(t, dir)
	if stats, ok := giver.Stats(h); !ok || stats.Uploaded < s.system.Size || !stats.Complete {
		t.Errorf("the giver counts %+v", stats)
	}
	if err := giver.Close(); err != nil {
		t.Error(err)
	}
	tracker.mu.Lock()
	defer tracker.mu.Unlock()
	if !slices.Contains(tracker.events, "stopped") {
		t.Errorf("the tracker was told %q, but not that the giver has stopped", tracker.events)
	}
}

// Where the seeder is switched off and one node has everything, the others divide what comes of it, as they do with the seeder.
func TestOneGiverStandsInForTheSeeder(t *testing.T) {
	t.Parallel()
	s := newSample(t, 64<<10, 6_000_000)
	tracker := newTracker(t)
	giver := newEngine(t, "127.0.0.23", Config{Seeders: knownSeeders(), UploadLimit: 2_000_000})
	if _, err := giver.Give(s.torrent, s.openFiles(t), []string{tracker.url()}); err != nil {
		t.Fatal(err)
	}
	var fetches sync.WaitGroup
	for _, addr := range []string{"127.0.0.24", "127.0.0.25", "127.0.0.26", "127.0.0.27", "127.0.0.28", "127.0.0.29"} {
		node, src := newNode(t, addr), s.source(t.TempDir())
		src.Trackers = []string{tracker.url()}
		fetches.Go(func() {
			if err := node.Fetch(t.Context(), src, nil); err != nil {
				t.Errorf("%s: %v", addr, err)
			}
		})
	}
	fetches.Wait()
	stats, _ := giver.Stats(s.system.InfoHash)
	copies := float64(stats.Uploaded) / float64(s.system.Size)
	t.Logf("it gave %.2f copies to 6 nodes", copies)
	if copies > 1.5 {
		t.Errorf("it gave %.2f copies to 6 nodes: they do not share", copies)
	}
}

func TestGiveRefusesWhatTheTorrentDoesNotSay(t *testing.T) {
	t.Parallel()
	s := newSample(t, 64<<10, 300_000, 100_000)
	giver := newNode(t, "127.0.0.22")
	files := s.openFiles(t)
	for name, c := range map[string]struct {
		files []*os.File
		want  string
	}{
		"a file is missing": {files[:1], "there are 1 open files, its torrent has 2"},
		"another order":     {[]*os.File{files[1], files[0]}, "it has 100000 bytes, its torrent says 300000"},
	} {
		if _, err := giver.Give(s.torrent, c.files, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, ok := giver.Stats(s.system.InfoHash); ok {
		t.Error("what was refused is given away")
	}
}
