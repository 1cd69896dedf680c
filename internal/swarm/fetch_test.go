package swarm

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/need"
)

func TestFetchFromSeeder(t *testing.T) {
	t.Parallel()
	s := newSample(t, 256<<10, 100, 3<<20, 1<<20+1, 0)
	seeder := newSeeder(t, s, Config{})
	node, dir := newNode(t, "127.0.0.11"), t.TempDir()
	var last Stats
	if err := node.Fetch(t.Context(), s.source(dir, seeder.addrPort()), func(st Stats) { last = st }); err != nil {
		t.Fatal(err)
	}
	s.checkFiles(t, dir)
	if last.Done != s.system.Size || last.Size != s.system.Size || last.FromSeeder != s.system.Size || last.FromNodes != 0 || last.FromHTTP != 0 {
		t.Errorf("final stats %+v, want everything (%d bytes) from the seeder", last, s.system.Size)
	}
	if st, ok := seeder.Stats(s.system.InfoHash); !ok || st.Uploaded != s.system.Size {
		t.Errorf("seeder's stats %+v, %v", st, ok)
	}
}

// TestRoom is a room of three that starts at once, with nothing but a tracker to find each other.
func TestRoom(t *testing.T) {
	s := newSample(t, 256<<10, 16<<20)
	seeder := newSeeder(t, s, Config{UploadLimit: 12 << 20})
	tracker := newTracker(t, seeder.addrPort())
	var room sync.WaitGroup
	for _, addr := range []string{"127.0.0.21", "127.0.0.22", "127.0.0.23"} {
		node, dir := newNode(t, addr), t.TempDir()
		room.Go(func() {
			src := s.source(dir, seeder.addrPort())
			src.Trackers = []string{tracker.url()}
			if err := node.Fetch(t.Context(), src, nil); err != nil {
				t.Errorf("node %s: %v", addr, err)
				return
			}
			s.checkFiles(t, dir)
			st, _ := node.Stats(s.system.InfoHash)
			t.Logf("node %s: %d from the seeder, %d from nodes", addr, st.FromSeeder, st.FromNodes)
			if st.FromNodes == 0 || st.FromSeeder == 0 {
				t.Errorf("node %s: %+v, want bytes from both", addr, st)
			}
			var given int64
			for _, s := range st.Sources {
				given += s.Bytes
				if a := s.Addr.String(); a == addr || !strings.HasPrefix(a, "127.0.0.2") {
					t.Errorf("node %s names %s as a source", addr, a)
				}
			}
			if given != st.FromNodes || st.Writing <= 0 {
				t.Errorf("node %s got %d bytes from nodes, and names sources of %d; it writes %d bytes a second", addr, st.FromNodes, given, st.Writing)
			}
		})
	}
	room.Wait()
	st, _ := seeder.Stats(s.system.InfoHash)
	// How few copies it sends is measured by integration/bench.
	if st.Uploaded < s.system.Size || st.Uploaded >= 3*s.system.Size {
		t.Errorf("the seeder sent %d bytes to 3 nodes, a copy has %d", st.Uploaded, s.system.Size)
	}
}

// TestSeedsOn has a second node fetch from the first alone.
func TestSeedsOn(t *testing.T) {
	t.Parallel()
	s := newSample(t, 256<<10, 2<<20)
	seeder := newSeeder(t, s, Config{})
	first, second := newNode(t, "127.0.0.31"), newNode(t, "127.0.0.32")
	if err := first.Fetch(t.Context(), s.source(t.TempDir(), seeder.addrPort()), nil); err != nil {
		t.Fatal(err)
	}
	if err := seeder.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := second.Fetch(t.Context(), s.source(dir, first.addrPort()), nil); err != nil {
		t.Fatal(err)
	}
	s.checkFiles(t, dir)
	if st, _ := second.Stats(s.system.InfoHash); st.FromNodes != s.system.Size || st.FromSeeder != 0 {
		t.Errorf("%+v, want everything from the other node", st)
	}
}

func TestForeignClientFetchesFromSeed(t *testing.T) {
	t.Parallel()
	aria2c := need.Command(t, "aria2c", "aria2")
	s := newSample(t, 256<<10, 1000, 4<<20)
	seeder := newSeeder(t, s, Config{})
	tracker := newTracker(t, seeder.addrPort())
	var clients sync.WaitGroup
	for host, crypto := range map[string]string{"127.0.0.41": "--bt-require-crypto=false", "127.0.0.42": "--bt-force-encryption=true"} {
		dir := t.TempDir()
		writeFile(t, filepath.Join(dir, "t.torrent"), s.torrent)
		clients.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), need.Patience)
			defer cancel()
			cmd := exec.CommandContext(ctx, aria2c, "--no-conf", "--dir="+dir, "--seed-time=0", "--enable-dht=false", "--bt-enable-lpd=false",
				"--file-allocation=none", "--interface="+host, "--bt-exclude-tracker=*", "--bt-tracker="+tracker.url(),
				crypto, "--summary-interval=0", filepath.Join(dir, "t.torrent"))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("aria2c %s: %v\n%s", crypto, err, out)
				return
			}
			s.checkFiles(t, dir)
		})
	}
	clients.Wait()
}

func TestRefusesOtherTorrent(t *testing.T) {
	t.Parallel()
	s, other := newSample(t, 256<<10, 1<<20), newSample(t, 256<<10, 1<<20, 5)
	node, dir := newNode(t, "127.0.0.51"), t.TempDir()
	src := s.source(dir)
	src.Torrent = other.torrent
	err := node.Fetch(t.Context(), src, nil)
	if err == nil || !strings.Contains(err.Error(), "this torrent is not the catalog's") {
		t.Fatalf("got %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("files were made: %v", entries)
	}
}

func TestRefusesOtherFile(t *testing.T) {
	t.Parallel()
	s := newSample(t, 256<<10, 1000, 1<<20).withoutPieceSums(t)
	seeder := newSeeder(t, s, Config{})
	node, dir := newNode(t, "127.0.0.52"), t.TempDir()
	src := s.source(dir, seeder.addrPort())
	src.Files = slices.Clone(s.files)
	src.Files[1].SHA256 = strings.Repeat("0", 64)
	err := node.Fetch(t.Context(), src, nil)
	var mismatch *MismatchError
	if !errors.As(err, &mismatch) || mismatch.File != s.files[1].Path || mismatch.Got != s.files[1].SHA256 ||
		!strings.Contains(err.Error(), mismatch.Got) || !strings.Contains(err.Error(), mismatch.Want) {
		t.Fatalf("got %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("files were left: %v", entries)
	}
	if _, ok := node.Stats(s.system.InfoHash); ok {
		t.Error("the torrent is still in the engine")
	}
	// A retry with the right catalog starts clean.
	if err := node.Fetch(t.Context(), s.source(dir, seeder.addrPort()), nil); err != nil {
		t.Fatal(err)
	}
}

func TestRetryResumes(t *testing.T) {
	t.Parallel()
	s := newSample(t, 256<<10, 6<<20)
	seeder := newSeeder(t, s, Config{UploadLimit: 8 << 20})
	node, dir := newNode(t, "127.0.0.71"), t.TempDir()
	src := s.source(dir, seeder.addrPort())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := node.Fetch(ctx, src, func(st Stats) {
		if st.Done > st.Size/3 {
			cancel()
		}
	})
	if err != context.Canceled {
		t.Fatalf("cancelled Fetch returned %v", err)
	}
	if _, ok := node.Stats(s.system.InfoHash); ok {
		t.Error("a cancelled torrent is still in the engine")
	}
	if err := node.Fetch(t.Context(), src, nil); err != nil {
		t.Fatal(err)
	}
	s.checkFiles(t, dir)
	st, _ := node.Stats(s.system.InfoHash)
	if st.FromSeeder > s.system.Size*3/4 {
		t.Errorf("the retry fetched %d of %d bytes again", st.FromSeeder, s.system.Size)
	}
	// Fetching what is here and seeded is no download at all.
	if err := node.Fetch(t.Context(), src, nil); err != nil {
		t.Fatal(err)
	}
	if st, _ := node.Stats(s.system.InfoHash); st.FromSeeder != 0 {
		t.Errorf("%d bytes were fetched again", st.FromSeeder)
	}
}

func TestGivesUp(t *testing.T) {
	t.Parallel()
	s := newSample(t, 256<<10, 1<<20)
	node := newNode(t, "127.0.0.72")
	src := s.source(t.TempDir())
	src.GiveUpAfter, src.StallAfter = 5*time.Second, 100*time.Millisecond
	src.Trackers = []string{"http://127.0.0.1:1/announce"}
	src.WebSeeds = []string{"http://127.0.0.1:1/web/"}
	unreachable := false
	err := node.Fetch(t.Context(), src, func(s Stats) { unreachable = unreachable || s.Unreachable })
	if err == nil {
		t.Fatal("fetched from nowhere")
	}
	if !unreachable {
		t.Error("that nobody answers is not told")
	}
	for _, want := range []string{"nothing came for", "0 of 1048576 bytes", "tracker http://127.0.0.1:1/announce", "HTTP: ", "refused"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

func TestFullMemory(t *testing.T) {
	t.Parallel()
	need.Namespaces(t)
	s := newSample(t, 256<<10, 4<<20)
	seeder := newSeeder(t, s, Config{})
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+strconv.Itoa(2<<20)); err != nil {
		t.Fatalf("mount a tmpfs: %v", err)
	}
	defer func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }()
	err := newNode(t, "127.0.0.73").Fetch(t.Context(), s.source(dir, seeder.addrPort()), nil)
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "no memory or space is left") {
		t.Fatalf("got %v", err)
	}
}

func TestRemoveEndsFetch(t *testing.T) {
	t.Parallel()
	s := newSample(t, 256<<10, 1<<20)
	node := newNode(t, "127.0.0.74")
	var once sync.Once
	err := node.Fetch(t.Context(), s.source(t.TempDir()), func(Stats) {
		once.Do(func() { go node.Remove(s.system.InfoHash) })
	})
	if !errors.Is(err, errRemoved) {
		t.Fatalf("got %v", err)
	}
}

func TestAnnounces(t *testing.T) {
	t.Parallel()
	s := newSample(t, 256<<10, 1<<20)
	seeder := newSeeder(t, s, Config{})
	tracker := newTracker(t, seeder.addrPort())
	node := newNode(t, "127.0.0.75")
	src := s.source(t.TempDir())
	src.Trackers = []string{tracker.url()}
	if err := node.Fetch(t.Context(), src, nil); err != nil {
		t.Fatal(err)
	}
	if err := node.Close(); err != nil {
		t.Fatal(err)
	}
	tracker.mu.Lock()
	defer tracker.mu.Unlock()
	got := strings.Join(tracker.events, " ")
	// "completed" may be overtaken by Close, or come in behind it.
	if got = strings.Replace(got, " completed", "", 1); got != "started stopped" {
		t.Errorf("events %q", got)
	}
	if want := node.addrPort(); tracker.peers[len(tracker.peers)-1].Addr() != want.Addr() {
		t.Errorf("the tracker saw %v, want %v", tracker.peers, want.Addr())
	}
}
