package daemon

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/status"
)

// vendor is a web server with TLS for kernels, which waits before it sends one until the test lets it.
type vendor struct {
	*httptest.Server
	mu    sync.Mutex
	files map[string][]byte
	asked map[string]int
	let   chan struct{}
}

func newVendor(t *testing.T) *vendor {
	v := &vendor{files: map[string][]byte{}, asked: map[string]int{}, let: make(chan struct{})}
	v.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v.mu.Lock()
		body, known := v.files[r.URL.Path]
		v.asked[r.URL.Path]++
		v.mu.Unlock()
		if !known {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		_, _ = w.Write(body[:1000])
		w.(http.Flusher).Flush()
		select {
		case <-v.let:
		case <-r.Context().Done():
		}
		_, _ = w.Write(body[1000:])
	}))
	t.Cleanup(v.Close)
	return v
}

// put has the server serve a kernel, and returns its SHA-256.
func (v *vendor) put(path string, fill byte) string {
	body := kernel(300<<10, fill)
	sum := sha256.Sum256(body)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.files[path] = body
	return hex.EncodeToString(sum[:])
}

func (v *vendor) times(path string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.asked[path]
}

// system has a system's kernel come from the server.
func (v *vendor) system(t *testing.T, dir, name, path, sum string) {
	t.Helper()
	folder := filepath.Join(dir, site.SystemsDir, name)
	must(t, os.MkdirAll(folder, 0o755))
	config := fmt.Sprintf("dispname: %s\nmethod: kexec\nkernel: vmlinuz\nfrom: {vmlinuz: {url: %s%s, sha256: %q}}\n", name, v.URL, path, sum)
	must(t, os.WriteFile(filepath.Join(folder, site.SystemFile), []byte(config), 0o644))
}

// awaitStatus polls the status of a system until it is as wanted.
func (r *running) awaitStatus(name, what string, as func(status.System) bool) status.System {
	r.t.Helper()
	deadline := time.After(need.Patience)
	for {
		var s status.Site
		must(r.t, json.Unmarshal(r.get(status.Path), &s))
		var one status.System
		for _, sys := range s.Systems {
			if sys.Name == name {
				one = sys
			}
		}
		if as(one) {
			return one
		}
		select {
		case <-deadline:
			r.t.Fatalf("%s did not come to be %s: %+v", name, what, one)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func in(state status.State, says string) func(status.System) bool {
	return func(s status.System) bool {
		return s.State == state && strings.Contains(strings.Join(s.Problems, "\n"), says)
	}
}

// A file from elsewhere is fetched once, shown meanwhile, and published; a new digest brings another version; a digest that is wrong, or a
// file that is not there, leaves the last good version, and everybody else alone.
func TestFilesFromElsewhere(t *testing.T) {
	t.Parallel()
	s, v := newSite(t), newVendor(t)
	first := v.put("/12/vmlinuz", 'x')
	v.system(t, s.Dir, "two", "/12/vmlinuz", first)
	loaded, problems := site.Load(s.Dir)
	if loaded == nil || len(loaded.Absent) != 1 {
		t.Fatal(problems)
	}
	r := startWith(t, t.Context(), loaded, v.Client().Transport)
	if c := r.catalog(); len(c.Systems) != 1 || c.Systems[0].Name != "one" {
		t.Errorf("the first catalog has %+v", c.Systems)
	}
	at := r.awaitStatus("two", "being fetched", func(s status.System) bool {
		return s.State == status.Fetching && s.Fetch != nil && s.Fetch.Done == 1000
	})
	if at.Fetch.Total != 300<<10 || at.Fetch.From != v.URL+"/12/vmlinuz" || !strings.Contains(at.Says(), "being fetched: 1000 B of 300 KiB (0 %), vmlinuz from https://") {
		t.Errorf("shown as %q: %+v", at.Says(), at.Fetch)
	}
	close(v.let)
	c := r.await("the system from elsewhere", func(c *catalog.Catalog) bool { return len(c.Systems) == 2 })
	old, _ := c.System("two")
	if got := sha256.Sum256(r.get(old.FilePath("vmlinuz"))); hex.EncodeToString(got[:]) != first {
		t.Error("served is something else")
	}
	// It is on the disk once.
	fetched, err := os.Stat(filepath.Join(s.Dir, site.FetchedDir, first))
	must(t, err)
	stored, err := os.Stat(filepath.Join(s.Dir, site.StateDir, "store", old.InfoHash.String(), "two", "vmlinuz"))
	must(t, err)
	if !os.SameFile(fetched, stored) {
		t.Error("the version has a copy of what was fetched")
	}

	second := v.put("/13/vmlinuz", 'y')
	v.system(t, s.Dir, "two", "/13/vmlinuz", second)
	c = r.await("the new version", func(c *catalog.Catalog) bool {
		two, ok := c.System("two")
		return ok && two.InfoHash != old.InfoHash
	})
	current, _ := c.System("two")
	r.get(old.FilePath("vmlinuz")) // for whoever is at it

	v.system(t, s.Dir, "two", "/14/vmlinuz", strings.Repeat("1", 64))
	r.awaitStatus("two", "kept", in(status.Kept, "vmlinuz from "+v.URL+"/14/vmlinuz: the server answers 404 Not Found; correct the URL"))
	v.system(t, s.Dir, "two", "/13/vmlinuz", strings.Repeat("2", 64))
	r.awaitStatus("two", "kept", in(status.Kept, "what came has the SHA-256 "+second+", and not 222"))
	if two, ok := r.catalog().System("two"); !ok || two.InfoHash != current.InfoHash {
		t.Errorf("the last good version is not offered: %+v", two)
	}
	before := v.times("/13/vmlinuz")
	writeSystem(t, s.Dir, "three", 'z')
	r.await("another system", func(c *catalog.Catalog) bool { return len(c.Systems) == 3 })
	if v.times("/13/vmlinuz") != before {
		t.Error("what came and was wrong was fetched again at once")
	}

	// What a stored version has is not fetched: not by a system of another name, and not by this one when its digest is right again.
	v.system(t, s.Dir, "four", "/12/vmlinuz", first)
	must(t, os.Remove(filepath.Join(s.Dir, site.FetchedDir, first)))
	v.system(t, s.Dir, "two", "/13/vmlinuz", second)
	r.await("the system of a stored file", func(c *catalog.Catalog) bool { _, ok := c.System("four"); return ok })
	r.awaitStatus("two", "published", in(status.Published, ""))
	if n := v.times("/12/vmlinuz"); n != 1 || v.times("/13/vmlinuz") != before {
		t.Errorf("fetched %d times, and the other again", n)
	}
}

// A server that is away is tried again, and a damaged file is fetched again.
func TestFetchIsTriedAgain(t *testing.T) {
	t.Parallel()
	s, v := newSite(t), newVendor(t)
	close(v.let)
	sum := v.put("/later", 'x')
	v.mu.Lock()
	body := v.files["/later"]
	delete(v.files, "/later")
	v.mu.Unlock()
	v.system(t, s.Dir, "two", "/later", sum)
	damaged := v.put("/damaged", 'y')
	must(t, os.MkdirAll(filepath.Join(s.Dir, site.FetchedDir), 0o755))
	must(t, os.WriteFile(filepath.Join(s.Dir, site.FetchedDir, damaged), kernel(300<<10, 'z'), 0o444))
	v.system(t, s.Dir, "three", "/damaged", damaged)
	loaded, problems := site.Load(s.Dir)
	if loaded == nil {
		t.Fatal(problems)
	}
	r := startWith(t, t.Context(), loaded, v.Client().Transport)
	r.awaitStatus("two", "left out", in(status.LeftOut, "404 Not Found"))
	v.mu.Lock()
	v.files["/later"] = body
	v.mu.Unlock()
	now, err := Control{Dir: s.Dir}.Publish(t.Context(), "two") // waits for the file
	if err != nil || now.State != status.Published {
		t.Errorf("%+v, %v", now, err)
	}
	c := r.await("both", func(c *catalog.Catalog) bool { return len(c.Systems) == 3 })
	three, _ := c.System("three")
	if got := sha256.Sum256(r.get(three.FilePath("vmlinuz"))); hex.EncodeToString(got[:]) != damaged {
		t.Error("what was damaged is served")
	}
}
