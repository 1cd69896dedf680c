package daemon

import (
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/internal/swarm"
)

// oddNames are names that mean something elsewhere: in URLs, to shells, to file systems that know no case.
var oddNames = []string{"50%", "%41", "a?b=c", "c#d", "e&f;g+h", " ", "README", "readme", "\u00fc", "u\u0308", "-rf", "'\"$(x)`", "a..", "sub/a.hidden"}

// writeLarge writes a system of n files and more, and of an image of 1 GiB in which 4 KiB were written, and returns the small files.
func writeLarge(t *testing.T, dir string, n int) map[string]string {
	t.Helper()
	files := map[string]string{"run": "#!/bin/sh\n"}
	for i := range n {
		name := fmt.Sprintf("tree/%03d/file-%d", i/100, i)
		files[name] = name
	}
	for _, name := range oddNames {
		files["odd/"+name] = "content of " + name
	}
	for name, content := range files {
		path := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(content), 0o644))
	}
	disk, err := os.Create(filepath.Join(dir, "disk.img"))
	must(t, err)
	_, err = disk.WriteAt(nonzero(4096), 512<<20)
	must(t, err)
	must(t, disk.Truncate(1<<30))
	must(t, disk.Close())
	must(t, os.WriteFile(filepath.Join(dir, site.SystemFile), []byte("dispname: Large\nmethod: bin\nbin: run\n"), 0o644))
	return files
}

// nonzero is n bytes that are not zeros.
func nonzero(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i%255) + 1
	}
	return b
}

// A system of more files than a process may have open, and a sparse image, from its folder to a node's, over HTTP and BitTorrent as nodes do it: what is
// transferred is what was written, and so is what it takes on both disks. Its catalog is small.
func TestLargeSystem(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	files := writeLarge(t, filepath.Join(s.Dir, site.SystemsDir, "large"), 6000)
	s, problems := site.Load(s.Dir)
	if len(problems) > 0 || len(s.Systems) != 2 {
		t.Fatal(problems, s.AllProblems())
	}
	r := start(t, s)
	document := r.get(catalog.PathCatalog)
	key, err := s.PublicKey()
	must(t, err)
	cat, err := catalog.Open(key, document, r.get(catalog.PathSignature))
	must(t, err)
	sys, _ := cat.System("large")
	list := r.get(catalog.FileListPath(sys.InfoHash))
	fileList, err := sys.OpenFiles(list)
	must(t, err)
	torrent := r.get(catalog.TorrentPath(sys.InfoHash))
	t.Logf("a catalog of %d bytes, a list of %d, a torrent of %d; %d of %d bytes to fetch", len(document), len(list), len(torrent), sys.ToFetch(), sys.Size)
	if len(document) > 4096 || sys.ToFetch() > 4<<20 {
		t.Errorf("the catalog has %d bytes; %d are to be fetched", len(document), sys.ToFetch())
	}

	node, err := swarm.New(swarm.Config{Listen: netip.MustParseAddrPort("127.0.0.2:0"), Seeders: []swarm.Seeder{{Torrent: netip.MustParseAddrPort("127.0.0.1:0")}}})
	must(t, err)
	t.Cleanup(func() { node.Close() })
	dir := t.TempDir()
	must(t, node.Fetch(t.Context(), swarm.Source{Torrent: torrent, System: sys, Files: fileList, Dir: dir, Trackers: cat.Trackers}, nil))
	for name, want := range files {
		if got, err := os.ReadFile(filepath.Join(dir, "large", name)); err != nil || string(got) != want {
			t.Errorf("%q: %q, %v", name, got, err)
		}
	}
	stats, _ := node.Stats(sys.InfoHash)
	if got := stats.FromSeeder + stats.FromHTTP; got > sys.ToFetch()+1<<20 {
		t.Errorf("%d bytes came over the wire of %d", got, sys.ToFetch())
	}
	stored := filepath.Join(s.Dir, site.StateDir, "store", sys.InfoHash.String(), "large/disk.img")
	for _, path := range []string{stored, filepath.Join(dir, "large/disk.img")} {
		var st unix.Stat_t
		must(t, unix.Stat(path, &st))
		if st.Size != 1<<30 || st.Blocks*512 > 128<<10 {
			t.Errorf("%s: %d bytes take %d", path, st.Size, st.Blocks*512)
		}
	}
	// By HTTP each name finds its own file, as the catalog writes its path.
	for _, name := range oddNames {
		if got := string(r.get(sys.FilePath("odd/" + name))); got != "content of "+name {
			t.Errorf("%q is served as %q", name, got)
		}
		if u, err := url.Parse(sys.FilePath("odd/" + name)); err != nil || filepath.Base(u.Path) != filepath.Base(name) {
			t.Errorf("%q becomes the URL %v, %v", name, u, err)
		}
	}
}
