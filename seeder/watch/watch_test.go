package watch

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/qemuruntime"
	"github.com/boottorrent/boottorrent/internal/site"
)

const quiet = 50 * time.Millisecond

// patience is how long a test waits for what must come. It is long, as it only ends tests that fail.
const patience = 30 * time.Second

func newSite(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "site")
	if err := site.Init(dir, "room"); err != nil {
		t.Fatal(err)
	}
	return dir
}

// watched is a watcher that runs until the test ends.
type watched struct {
	*Watcher
	t     *testing.T
	dir   string
	ended chan error
}

func watchSite(t *testing.T, dir string, quiet time.Duration) *watched {
	t.Helper()
	w, err := New(dir, quiet, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := &watched{w, t, dir, make(chan error, 1)}
	go func() { r.ended <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-r.ended; err != nil {
			t.Errorf("the watcher ended with %v", err)
		}
	})
	return r
}

// await waits until a change is told and, as one can be told of in parts, all is at rest.
func (w *watched) await(what string) {
	w.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case <-w.Changed():
			if w.atRest() {
				return
			}
		case <-deadline:
			w.t.Fatalf("%s: not told; restless are %v", what, w.Restless())
		}
	}
}

func (w *watched) atRest() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.rest.restless) == 0
}

// awaitRestless waits until these systems, and no others, are not at rest.
func (w *watched) awaitRestless(names ...string) {
	w.t.Helper()
	var got []string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if got = slices.Sorted(maps.Keys(w.Restless())); slices.Equal(got, names) {
			return
		}
	}
	w.t.Fatalf("restless are %v, want %v", got, names)
}

func (w *watched) file(name string) string { return filepath.Join(w.dir, name) }

func write(path, text string) error { return os.WriteFile(path, []byte(text), 0o644) }

func TestChangesAreTold(t *testing.T) {
	t.Parallel()
	dir := newSite(t)
	elsewhere := t.TempDir()
	w := watchSite(t, dir, quiet)
	for _, step := range []struct {
		name   string
		change func() error
	}{
		{"configuration", func() error { return write(w.file(site.ConfigFile), "version: 1\n") }},
		{"the original's configuration", func() error { return write(w.file(site.OriginalFile), "boottorrent:\n") }},
		{"new folders", func() error { return os.MkdirAll(w.file("oss/one/sub/deep"), 0o755) }},
		{"file in a new folder", func() error { return write(w.file("oss/one/sub/deep/file"), "1") }},
		{"file overwritten", func() error { return write(w.file("oss/one/sub/deep/file"), "2") }},
		{"file made readable", func() error { return os.Chmod(w.file("oss/one/sub/deep/file"), 0o600) }},
		{"folder elsewhere", func() error { return os.Symlink(elsewhere, w.file("oss/two")) }},
		{"the same folder once more", func() error { return os.Symlink(elsewhere, w.file("oss/twice")) }},
		{"one of them goes", func() error { return os.Remove(w.file("oss/twice")) }},
		{"file elsewhere", func() error { return write(filepath.Join(elsewhere, "file"), "1") }},
		{"folder renamed", func() error { return os.Rename(w.file("oss/one"), w.file("oss/three")) }},
		{"file in the renamed folder", func() error { return write(w.file("oss/three/sub/deep/file"), "3") }},
		{"folder removed", func() error { return os.RemoveAll(w.file("oss/three")) }},
		{"all systems moved away", func() error { return os.Rename(w.file("oss"), w.file("away")) }},
		{"and made again", func() error { return os.MkdirAll(w.file("oss/four"), 0o755) }},
		{"file in that", func() error { return write(w.file("oss/four/file"), "1") }},
		{"files for machines", func() error { return os.MkdirAll(w.file("files/all/root/.ssh"), 0o755) }},
		{"a hidden file of them", func() error { return write(w.file("files/all/root/.ssh/authorized_keys"), "1") }},
		{"its owner's alone", func() error { return os.Chmod(w.file("files/all/root/.ssh/authorized_keys"), 0o600) }},
		{"a link", func() error { return os.Symlink("nowhere", w.file("files/all/link")) }},
		{"files for others", func() error { return os.Rename(w.file("files/all"), w.file("files/teachers")) }},
		{"a hidden file of those", func() error { return os.Remove(w.file("files/teachers/root/.ssh/authorized_keys")) }},
		{"none any more", func() error { return os.RemoveAll(w.file("files")) }},
		{"the image's folder", func() error { return os.Mkdir(w.file(site.ImageDir), 0o755) }},
		{"modules for the runtime", func() error { return write(w.file("image/"+qemuruntime.ImageModules), "1") }},
		{"mkimage's way to replace them", func() error {
			return errors.Join(write(w.file("image/.new"), "2"), os.Rename(w.file("image/.new"), w.file("image/"+qemuruntime.ImageModules)))
		}},
	} {
		if err := step.change(); err != nil {
			t.Fatal(err)
		}
		w.await(step.name)
	}
}

// What doesn't belong to a system does not disturb it; what does is seen at once.
func TestForeignFilesAreNotTold(t *testing.T) {
	t.Parallel()
	dir := newSite(t)
	must(t, os.MkdirAll(filepath.Join(dir, "oss/one"), 0o755))
	w := watchSite(t, dir, time.Hour)
	foreign := []string{"unrelated", "oss/one/.config.yaml.swp", "oss/one/4913", "oss/one/config.yaml~", "oss/one/big.iso.part",
		"oss/one/#config.yaml#", "oss/.hidden"}
	for _, name := range foreign {
		if err := write(w.file(name), "x"); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("me@host.1:1", w.file("oss/one/.#config.yaml")); err != nil {
		t.Fatal(err)
	}
	// Its event comes after all those.
	must(t, os.Mkdir(w.file("oss/two"), 0o755))
	w.awaitRestless("two")
	must(t, write(w.file("oss/one/config.yaml"), "x"))
	w.awaitRestless("one", "two")
}

// A file that is open for writing keeps its own system from rest, however long nothing is written, also when it was open before the
// watcher began. The others are told of meanwhile.
func TestOpenFileDelaysItsOwnSystem(t *testing.T) {
	t.Parallel()
	dir := newSite(t)
	for _, name := range []string{"oss/slow", "oss/before", "oss/other"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	openBefore := openIn(t, filepath.Join(dir, "oss/before/initrd"))
	w := watchSite(t, dir, quiet)
	slow := openIn(t, w.file("oss/slow/initrd"))
	must(t, os.MkdirAll(w.file("files/all"), 0o755))
	hidden := openIn(t, w.file("files/all/.profile"))
	for i := range 3 {
		if err := write(w.file("oss/other/file"), string(rune('0'+i))); err != nil {
			t.Fatal(err)
		}
		<-w.Changed()
		w.awaitRestless("before", FilesOf("all"), "slow")
	}
	if err := errors.Join(slow.Close(), openBefore.Close(), hidden.Close()); err != nil {
		t.Fatal(err)
	}
	w.await("all files are closed")
}

// openIn makes a file, writes something and leaves it open.
func openIn(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("half"); err != nil {
		t.Fatal(err)
	}
	return f
}

// What was written shortly before the watcher began counts as not at rest.
func TestRecentFilesAreAwaited(t *testing.T) {
	t.Parallel()
	dir := newSite(t)
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, "oss/one"), 0o755), write(filepath.Join(dir, "oss/one/file"), "1")); err != nil {
		t.Fatal(err)
	}
	w, err := New(dir, time.Hour, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, restless := w.Restless()["one"]; !restless {
		t.Error("what was just written counts as finished")
	}
	// It would also, had this machine's clock been ahead.
	if recent(filepath.Join(dir, "oss/one"), site.Belongs, time.Now().Add(-2*time.Hour), time.Hour) {
		t.Error("a file from the future counts as just written")
	}
	must(t, w.tree.notifier.close())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A system with more folders than the kernel lets us watch costs only itself.
func TestTooManyFolders(t *testing.T) {
	dir := newSite(t)
	for _, name := range []string{"oss/huge/a/b/c/d", "oss/small"} {
		must(t, os.MkdirAll(filepath.Join(dir, name), 0o755))
	}
	n, err := newNotifier()
	must(t, err)
	tree := newTree(n, dir, slog.New(slog.DiscardHandler))
	tree.limit = 4
	must(t, tree.addAll())
	defer n.close()
	for _, paths := range n.paths {
		for _, p := range paths {
			if inside(p, tree.system("huge")) {
				t.Errorf("%s is watched", p)
			}
		}
	}
	if !tree.unwatched["huge"] || tree.unwatched["small"] {
		t.Errorf("unwatched are %v", tree.unwatched)
	}
}

// A link to the site itself is watched neither at the start nor when it is made: it would change with everything that is stored.
func TestLinkToTheSiteIsNotWatched(t *testing.T) {
	dir := newSite(t)
	must(t, os.Symlink("..", filepath.Join(dir, "oss/itself")))
	n, err := newNotifier()
	must(t, err)
	defer n.close()
	tree := newTree(n, dir, slog.New(slog.DiscardHandler))
	must(t, tree.addAll())
	must(t, os.Symlink("../..", filepath.Join(dir, "oss/parent")))
	must(t, tree.follow(event{path: filepath.Join(dir, "oss/parent"), bits: unix.IN_CREATE}))
	for _, paths := range n.paths {
		for _, p := range paths {
			if inside(p, tree.systems()) && p != tree.systems() {
				t.Errorf("%s is watched", p)
			}
		}
	}
}

// Where nothing can be watched, the watcher tells at least of what it is told to look at.
func TestWithoutNotifier(t *testing.T) {
	t.Parallel()
	w, err := New(filepath.Join(t.TempDir(), "nothing"), quiet, slog.New(slog.DiscardHandler))
	if !errors.Is(err, unix.ENOENT) {
		t.Errorf("a directory that is not there: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	w.Touch("one")
	<-w.Changed()
	cancel()
	must(t, <-ended)
}
