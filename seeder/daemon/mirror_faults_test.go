package daemon

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"aead.dev/minisign"
	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/status"
)

// answerOf is the status and text of what is served at a path.
func answerOf(base, path string) (code int, text string) {
	resp, err := http.Get(base + path)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

// siteWithImage is a site with the system one and an image.
func siteWithImage(t *testing.T) *site.Site {
	t.Helper()
	s := newSite(t)
	writeImage(t, s.Dir, 'i')
	return s
}

// awaitSame waits until a mirror serves the catalog of a seeder, and its boot files and system files.
func awaitSame(t *testing.T, first, mirror string) {
	t.Helper()
	await(t, "the mirror serves what the first seeder does", func() bool { return differs(first, mirror) == "" })
}

// differs says what a mirror doesn't serve as the first seeder does; empty: nothing.
func differs(first, mirror string) string {
	paths := []string{catalog.PathCatalog, catalog.PathSignature, "/boot/vmlinuz", "/boot/initramfs.img"}
	for _, s := range statusOf(first).Systems {
		if s.InfoHash != nil && !isRuntime(s.Name) {
			paths = append(paths, catalog.WebSeedPath(*s.InfoHash)+s.Name+"/vmlinuz")
		}
	}
	for _, path := range paths {
		if a, b := read(first, path), read(mirror, path); a == nil || !bytes.Equal(a, b) {
			return path
		}
	}
	return ""
}

// A mirror that is started on an empty disk while the seeder is away waits, says so everywhere, and serves as soon as that is there.
func TestMirrorWaitsForTheFirstOne(t *testing.T) {
	s := siteWithImage(t)
	base := fmt.Sprintf("http://%s:%d", s.Serve.Address, s.Ports.HTTP)
	mirror, _ := startMirror(t, newMirror(t, s, base, "127.0.0.1", ""))
	mirror.awaitLog("nothing new comes from the other seeder", "connection refused")
	for _, path := range []string{catalog.PathCatalog, catalog.PathSignature, "/boot/vmlinuz", "/readyz"} {
		if code, text := answerOf(mirror.base, path); code != http.StatusServiceUnavailable || !strings.Contains(text, "connection refused") {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
	if code, _ := answerOf(mirror.base, catalog.PathManifest); code != http.StatusServiceUnavailable {
		t.Errorf("the boot manifest: %d", code)
	}
	if problems := statusOf(mirror.base).Problems; len(problems) != 1 || !strings.Contains(problems[0], "connection refused") {
		t.Errorf("its status says %q", problems)
	}
	first := start(t, s)
	awaitSame(t, first.base, mirror.base)
	if code, text := answerOf(mirror.base, "/readyz"); code != http.StatusOK {
		t.Errorf("/readyz: %d %s", code, text)
	}
}

// On a full disk a mirror says so, serves what it has, and goes on by itself when there is room.
func TestMirrorOnAFullDisk(t *testing.T) {
	s := siteWithImage(t)
	first := start(t, s)
	dir := newMirror(t, s, first.base, "127.0.0.1", "")
	state := filepath.Join(dir, site.StateDir)
	smallDisk(t, state, "8m")
	mirror, _ := startMirror(t, dir)
	awaitSame(t, first.base, mirror.base)

	big := filepath.Join(s.Dir, site.SystemsDir, "one", "vmlinuz")
	must(t, os.WriteFile(big, kernel(12<<20, 'b'), 0o644))
	lack := awaitTrouble(t, mirror.base, "one")
	if !strings.Contains(lack, "there is no room for") || !strings.Contains(lack, "make room there, and it goes on by itself") {
		t.Errorf("it says %q", lack)
	}
	if read(mirror.base, "/boot/vmlinuz") == nil {
		t.Error("it serves no kernel any more")
	}
	must(t, unix.Mount("none", state, "tmpfs", unix.MS_REMOUNT, "size=64m"))
	awaitSame(t, first.base, mirror.base)

	filler := fill(t, state)
	before := read(mirror.base, catalog.PathCatalog)
	writeSystem(t, s.Dir, "two", 'c')
	mirror.awaitLog("nothing new comes", "is full; make room there")
	if !bytes.Equal(read(mirror.base, catalog.PathCatalog), before) || differs(mirror.base, mirror.base) != "" {
		t.Error("it does not serve on what it had")
	}
	must(t, os.Remove(filler))
	awaitSame(t, first.base, mirror.base)
}

// awaitTrouble waits until a system has a problem, and returns that.
func awaitTrouble(t *testing.T, base, name string) (trouble string) {
	t.Helper()
	await(t, "there is trouble with "+name, func() bool {
		for _, s := range statusOf(base).Systems {
			if s.Name == name && len(s.Problems) > 0 {
				trouble = s.Problems[0]
			}
		}
		return trouble != ""
	})
	return trouble
}

// Nothing goes by the clock: a mirror whose clock is wrong by decades either way follows, and keeps what it has.
func TestMirrorWithAWrongClock(t *testing.T) {
	s := siteWithImage(t)
	first := start(t, s)
	dir := newMirror(t, s, first.base, "127.0.0.1", "")
	for i, years := range []int{-50, 0, 40, -30} {
		mirror, stop := startMirrorWith(t, dir, func(m *Mirror) {
			m.Now = func() time.Time { return time.Now().Add(time.Duration(years) * 365 * 24 * time.Hour) }
		})
		awaitSame(t, first.base, mirror.base)
		writeSystem(t, s.Dir, fmt.Sprintf("clock%d", i), byte('A'+i))
		awaitSystem(t, mirror.base, fmt.Sprintf("clock%d", i), status.Published)
		awaitSame(t, first.base, mirror.base)
		stop()
	}
}

// A file that is damaged on the mirror's own disk is found and fetched again; what is wrong is not handed out as a boot file.
func TestMirrorMendsItsDisk(t *testing.T) {
	s := siteWithImage(t)
	first := start(t, s)
	dir := newMirror(t, s, first.base, "127.0.0.1", "")
	soon := func(m *Mirror) { m.Look = 100 * time.Millisecond }
	mirror, stop := startMirrorWith(t, dir, soon)
	awaitSame(t, first.base, mirror.base)
	one := awaitSystem(t, mirror.base, "one", status.Published)
	file := filepath.Join(dir, site.StateDir, MirrorDir, one.InfoHash.String(), "one", "vmlinuz")
	image := filepath.Join(dir, site.ImageDir, "vmlinuz")
	kernelOf := read(first.base, "/boot/vmlinuz")

	damage(t, file, false)
	damage(t, image, false)
	mended := 0
	for deadline := time.Now().Add(30 * time.Second); mended < 2 && time.Now().Before(deadline); {
		if got := read(mirror.base, "/boot/vmlinuz"); got != nil && !bytes.Equal(got, kernelOf) {
			t.Fatal("a damaged kernel was handed out")
		}
		mended = 0
		for _, line := range []string{"a boot file on this disk is damaged", "a file on this disk is damaged"} {
			if strings.Contains(mirror.log.all(), line) {
				mended++
			}
		}
	}
	awaitSame(t, first.base, mirror.base)
	stop()

	// What no time tells is found by reading, after the start.
	damage(t, file, true)
	damage(t, image, true)
	mirror, _ = startMirrorWith(t, dir, soon)
	mirror.awaitLog("a file on this disk is damaged")
	awaitSame(t, first.base, mirror.base)
}

// damage changes a byte of a file; hidden: so that its times don't tell.
func damage(t *testing.T, path string, hidden bool) {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	_, err = f.WriteAt([]byte("!"), info.Size()/2)
	must(t, err)
	if hidden {
		must(t, os.Chtimes(path, info.ModTime(), info.ModTime()))
	}
}

// A mirror whose state was cut off, each file in turn, comes up and is right.
func TestMirrorWithTruncatedState(t *testing.T) {
	s := siteWithImage(t)
	must(t, os.MkdirAll(filepath.Join(s.Dir, site.FilesDir, "all"), 0o755))
	must(t, os.WriteFile(filepath.Join(s.Dir, site.FilesDir, "all", "motd"), []byte("hello\n"), 0o644))
	first := start(t, load(t, s))
	dir := newMirror(t, s, first.base, "127.0.0.1", "")
	mirror, stop := startMirror(t, dir)
	awaitSame(t, first.base, mirror.base)
	stop()
	var files []string
	must(t, filepath.Walk(dir, func(at string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() && filepath.Dir(at) != dir && !strings.Contains(at, "/logs/") {
			files = append(files, at)
		}
		return err
	}))
	if len(files) < 10 {
		t.Fatalf("there are only %q", files)
	}
	for _, part := range []int64{0, 2} { // nothing, or half
		for _, file := range files {
			if info, err := os.Stat(file); err == nil {
				must(t, os.Truncate(file, info.Size()*part/4))
			}
			if part == 2 {
				continue // all at once
			}
			mirror, stop := startMirrorWith(t, dir, func(m *Mirror) { m.Look = 100 * time.Millisecond })
			await(t, "after "+file+" was cut off all is there", func() bool { return differs(first.base, mirror.base) == "" })
			stop()
		}
	}
	mirror, _ = startMirrorWith(t, dir, func(m *Mirror) { m.Look = 100 * time.Millisecond })
	awaitSame(t, first.base, mirror.base)
}

// forger hands on what a seeder serves, but for what is forged.
type forger struct {
	*httptest.Server
	// gate is held by requests; who holds it for itself changes several things at once.
	gate   sync.RWMutex
	mu     sync.Mutex
	forged map[string][]byte // by path; nil: what is served is changed
}

func newForger(t *testing.T, base string) *forger {
	to, err := url.Parse(base)
	must(t, err)
	f := &forger{forged: map[string][]byte{}}
	proxy := httputil.NewSingleHostReverseProxy(to)
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.gate.RLock()
		defer f.gate.RUnlock()
		f.mu.Lock()
		body, ok := f.forged[r.URL.Path]
		f.mu.Unlock()
		switch {
		case ok && body == nil:
			b := bytes.Clone(read(base, r.URL.Path))
			if len(b) > 0 {
				b[len(b)/2] ^= 1
			}
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
		case ok:
			_, _ = w.Write(body)
		default:
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *forger) forge(path string, body []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forged[path] = body
}

func (f *forger) honest() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.forged)
}

// Whatever is forged is refused by its name, and what was here is served on; when the seeder is honest again, it is followed.
func TestMirrorRefusesWhatIsForged(t *testing.T) {
	s := siteWithImage(t)
	config := filepath.Join(s.Dir, site.ConfigFile)
	text, err := os.ReadFile(config)
	must(t, err)
	must(t, os.WriteFile(config, append(text, "phase1: {helpers: off}\n"...), 0o644)) // the kernel comes by HTTP
	first := start(t, load(t, s))
	forger := newForger(t, first.base)
	mirror, _ := startMirrorWith(t, newMirror(t, s, forger.URL, "127.0.0.1", ""), func(m *Mirror) { m.Poll = 50 * time.Millisecond })
	awaitSame(t, first.base, mirror.base)
	key, err := s.SecretKey()
	must(t, err)
	stranger, err := newSite(t).SecretKey()
	must(t, err)
	signed := func(key minisign.PrivateKey, change func(*catalog.Catalog)) {
		cat := first.catalog()
		change(cat)
		document, err := cat.Encode()
		must(t, err)
		forger.forge(catalog.PathCatalog, document)
		forger.forge(catalog.PathSignature, catalog.Sign(key, document))
	}
	fill := byte('0')
	for _, c := range []struct {
		what string
		// forge forges something of what is published next; logged is what is said of it.
		forge  func(h catalog.InfoHash)
		logged []string
	}{
		{"a catalog of another key", func(catalog.InfoHash) { signed(stranger, func(*catalog.Catalog) {}) }, []string{"catalog", "signature"}},
		{"an older catalog", func(catalog.InfoHash) { signed(key, func(c *catalog.Catalog) { c.Counter = 1 }) }, []string{"catalog with the counter 1", "is refused"}},
		{"a changed catalog", func(catalog.InfoHash) { forger.forge(catalog.PathCatalog, nil) }, []string{"catalog", "signature"}},
		{"a changed boot manifest", func(catalog.InfoHash) { forger.forge(catalog.PathManifest, nil) }, []string{"manifest", "signature"}},
		{"a changed list", func(h catalog.InfoHash) { forger.forge(catalog.FileListPath(h), nil) }, []string{"the documents of one", "list of the files"}},
		{"a changed torrent", func(h catalog.InfoHash) { forger.forge(catalog.TorrentPath(h), nil) }, []string{"the documents of one", "torrent"}},
		{"a changed kernel", func(catalog.InfoHash) { forger.forge("/boot/vmlinuz", nil) }, []string{"the boot file vmlinuz", "not what was signed"}},
		{"a changed archive", func(catalog.InfoHash) {
			for _, f := range first.catalog().Files {
				forger.forge(catalog.FilesPath(f.SHA256), nil)
			}
		}, []string{"the files for all", "is not what the catalog says"}},
	} {
		before := read(mirror.base, catalog.PathCatalog)
		forger.forge(catalog.PathCatalog, before) // the mirror sees nothing new until all is forged
		forger.forge(catalog.PathSignature, read(mirror.base, catalog.PathSignature))
		forger.forge(catalog.PathManifest, read(mirror.base, catalog.PathManifest))
		forger.forge(catalog.PathManifestSignature, read(mirror.base, catalog.PathManifestSignature))
		was, _ := first.catalog().System("one")
		fill++
		writeSystem(t, s.Dir, "one", fill)
		writeImage(t, s.Dir, fill)
		must(t, os.MkdirAll(filepath.Join(s.Dir, site.FilesDir, "all"), 0o755))
		must(t, os.WriteFile(filepath.Join(s.Dir, site.FilesDir, "all", "motd"), []byte{fill}, 0o644))
		sum := func() string {
			if files := first.catalog().Files; len(files) > 0 {
				return files[0].SHA256
			}
			return ""
		}
		oldSum := ""
		var m catalog.Catalog
		if c, err := catalog.Open(key.Public().(minisign.PublicKey), before, read(mirror.base, catalog.PathSignature)); err == nil {
			m = *c
		}
		if len(m.Files) > 0 {
			oldSum = m.Files[0].SHA256
		}
		await(t, "all of it is published", func() bool {
			now, ok := first.catalog().System("one")
			return ok && now.InfoHash != was.InfoHash && sum() != oldSum && bytes.Equal(read(first.base, "/boot/vmlinuz"), kernel(300<<10, fill))
		})
		now, _ := first.catalog().System("one")
		forger.gate.Lock()
		forger.honest()
		c.forge(now.InfoHash)
		forger.gate.Unlock()
		mirror.awaitLog(append([]string{"nothing new comes"}, c.logged...)...)
		if !bytes.Equal(read(mirror.base, catalog.PathCatalog), before) || differs(mirror.base, mirror.base) != "" {
			t.Errorf("%s: it does not serve on what it had: %s", c.what, differs(mirror.base, mirror.base))
		}
		forger.honest()
		awaitSame(t, first.base, mirror.base)
	}
}

// An older catalog is refused after a restart as well, also where the documents are lost.
func TestMirrorRemembersHowNew(t *testing.T) {
	s := siteWithImage(t)
	ctx, cancel := context.WithCancel(t.Context())
	first := startUntil(t, ctx, s)
	dir := newMirror(t, s, first.base, "127.0.0.1", "")
	mirror, stop := startMirror(t, dir)
	awaitSame(t, first.base, mirror.base)
	earlier := earlierSeeder(t, s, mirror.base)
	stop()
	cancel()
	<-first.ended
	config := filepath.Join(dir, site.MirrorFile)
	text, err := os.ReadFile(config)
	must(t, err)
	must(t, os.WriteFile(config, bytes.ReplaceAll(text, []byte(first.base), []byte(earlier)), 0o644))
	must(t, os.Remove(filepath.Join(dir, site.StateDir, MirrorDir, "documents.json")))
	mirror, _ = startMirror(t, dir)
	mirror.awaitLog("catalog with the counter 1", "is refused")
	if code, text := answerOf(mirror.base, catalog.PathCatalog); code != http.StatusServiceUnavailable || !strings.Contains(text, "is refused") {
		t.Errorf("%d %s", code, text)
	}
}

// Where a version's documents alone are damaged, its files stay: they are verified and served once the documents are here again.
func TestMirrorWithDamagedDocuments(t *testing.T) {
	s := siteWithImage(t)
	first := start(t, s)
	dir := newMirror(t, s, first.base, "127.0.0.1", "")
	mirror, stop := startMirror(t, dir)
	awaitSame(t, first.base, mirror.base)
	one := awaitSystem(t, mirror.base, "one", status.Published)
	stop()
	folder := filepath.Join(dir, site.StateDir, MirrorDir, one.InfoHash.String())
	before, err := os.Stat(filepath.Join(folder, "one", "vmlinuz"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(folder, "version.json"), []byte("{"), 0o644))

	mirror, _ = startMirror(t, dir)
	mirror.awaitLog("a version's documents can't be used")
	awaitSystem(t, mirror.base, "one", status.Published)
	awaitSame(t, first.base, mirror.base)
	if now, err := os.Stat(filepath.Join(folder, "one", "vmlinuz")); err != nil || !os.SameFile(before, now) {
		t.Errorf("the files did not stay (%v)", err)
	}
}
