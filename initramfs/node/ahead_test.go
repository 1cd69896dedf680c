package node

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/initramfs/boot"
	"github.com/boottorrent/boottorrent/internal/catalog"
)

// withAhead is a node that has fetched ahead what its catalog lists.
func withAhead(t *testing.T) (*Node, *seeder, *catalog.Catalog) {
	t.Helper()
	s := newSeeder(t)
	n, _ := newNode(t, s.url)
	gone := kexec("gone")
	gone.InfoHash, gone.Size = catalog.InfoHash{1}, 1
	cat := &catalog.Catalog{Systems: []catalog.System{s.system, gone}}
	n.session.catalog = cat
	n.download.ahead.fetch(t.Context(), n.session.Seeders, cat, "amd64")
	if _, ok := n.download.ahead.find(gone); ok {
		t.Error("there is something ahead that the seeder doesn't have")
	}
	return n, s, cat
}

// The seeder is switched off while the chooser waits: what is needed of it is here, and the catalog that was read before holds.
func TestWhatWasFetchedAheadStandsIn(t *testing.T) {
	n, s, cat := withAhead(t)
	s.server.Close()
	files, err := n.download.files(t.Context(), s.system)
	if err != nil || len(files) != 1 || files[0].Path != "vmlinuz" {
		t.Errorf("the list is %v, %v", files, err)
	}
	torrent, err := n.download.torrent(t.Context(), s.system)
	if err != nil || !bytes.Equal(torrent, s.torrent) {
		t.Errorf("the torrent has %d bytes, %v", len(torrent), err)
	}
	if !n.session.Silent() {
		t.Error("it isn't noticed that the seeder is away")
	}
	if got, err := n.Catalog(t.Context()); err != nil || got != cat {
		t.Errorf("the catalog is %v, %v", got, err)
	}
	other := kexec("other")
	other.InfoHash = catalog.InfoHash{2}
	if _, err := n.download.files(t.Context(), other); err == nil {
		t.Error("there is a list of a system of which nothing was fetched ahead")
	}
	n.session.catalog = &catalog.Catalog{Systems: []catalog.System{other}}
	if _, err := n.Catalog(t.Context()); err == nil {
		t.Error("a catalog of which nothing was fetched ahead stands in")
	}
}

// A seeder that answers knows better: a version that it no longer offers is not started.
func TestWhatWasFetchedAheadIsStale(t *testing.T) {
	n, s, _ := withAhead(t)
	s.server.Config.Handler = http.NotFoundHandler()
	if _, err := n.download.files(t.Context(), s.system); !errors.Is(err, boot.ErrStale) {
		t.Errorf("the list: %v, want %v", err, boot.ErrStale)
	}
	if _, err := n.download.torrent(t.Context(), s.system); !errors.Is(err, boot.ErrStale) {
		t.Errorf("the torrent: %v, want %v", err, boot.ErrStale)
	}
	n.download.ahead.fetch(t.Context(), n.session.Seeders, &catalog.Catalog{}, "amd64")
	if _, ok := n.download.ahead.find(s.system); ok {
		t.Error("another catalog doesn't replace what was of the one before")
	}
}

func TestWhatIsFetchedAhead(t *testing.T) {
	system := func(name, arch string, size int64, files int) catalog.System {
		return catalog.System{Name: name, Arch: arch, Size: size, PieceLength: 1 << 20, List: catalog.List{Files: files}}
	}
	many := make([]catalog.System, aheadSystems+10)
	for i := range many {
		many[i] = system("s", "amd64", 1, 1)
	}
	for name, c := range map[string]struct {
		cat  catalog.Catalog
		want string
		n    int
	}{
		"small ones first, boot parts among them": {catalog.Catalog{
			Systems:  []catalog.System{system("large", "amd64", 9<<30, 1), system("other", "arm64", 1, 1), system("small", "amd64", 1<<20, 1)},
			Runtimes: []catalog.Runtime{{System: system("large@boot", "amd64", 12<<20, 2)}},
		}, "small large@boot large", 3},
		"what takes too much is left, with all that is larger": {catalog.Catalog{
			Systems: []catalog.System{system("a", "amd64", 1, 1), system("b", "amd64", 2, 90_000), system("c", "amd64", 3, 1)},
		}, "a", 1},
		"no more than so many": {catalog.Catalog{Systems: many}, "", aheadSystems},
	} {
		var names []string
		for _, s := range aheadOf(&c.cat, "amd64") {
			names = append(names, s.Name)
		}
		if got := strings.Join(names, " "); len(names) != c.n || c.want != "" && got != c.want {
			t.Errorf("%s: %d, %q, want %q", name, len(names), got, c.want)
		}
	}
}
