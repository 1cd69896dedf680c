package stay

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/swarm"
)

// offerPhase1 has the seeder offer an image, which another machine gives away, and ask for it. The folder has the image's files.
func (g *given) offerPhase1(dir string) Plan {
	g.t.Helper()
	public, secret, err := minisign.GenerateKey(nil)
	if err != nil {
		g.t.Fatal(err)
	}
	p := planOf(g.t, dir, catalog.Phase1Name(arch.AMD64), []string{image.Initramfs, image.Kernel}, 400_000, 200_000)
	cat := catalog.Catalog{
		Version: catalog.Version, Site: "room", Counter: 7, Trackers: []string{g.plan.Seeder + catalog.PathAnnounce},
		Runtimes: []catalog.Runtime{{System: p.System, Unpacked: p.System.Size}},
	}
	doc, err := cat.Encode()
	if err != nil {
		g.t.Fatal(err)
	}
	list, err := p.Files.Encode()
	if err != nil {
		g.t.Fatal(err)
	}
	for path, b := range map[string][]byte{
		catalog.PathCatalog: doc, catalog.PathSignature: catalog.Sign(secret, doc),
		catalog.FileListPath(p.System.InfoHash): list, catalog.TorrentPath(p.System.InfoHash): p.Torrent,
	} {
		g.seeder.mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(b) })
	}
	g.seeder.asks = p.System.InfoHash.String()
	g.plan.PublicKey, g.plan.Counter = public.String(), 7
	other, err := swarm.New(swarm.Config{Listen: netip.MustParseAddrPort("127.0.0.31:0")})
	if err != nil {
		g.t.Fatal(err)
	}
	files, err := OpenFiles(filepath.Join(dir, p.System.Name), p.Files)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _, _ = other.Close(), closeAll(files) })
	if _, err := other.Give(p.Torrent, files, []string{g.plan.Seeder + catalog.PathAnnounce}); err != nil {
		g.t.Fatal(err)
	}
	return p
}

// The process that stays gives phase 1 away when the seeder asks for it, and again from another address.
func TestGivesPhase1(t *testing.T) {
	if !need.OwnNamespaces(t) {
		return
	}
	dir := t.TempDir()
	var phase1 Plan
	g := newGivenWith(t, func(g *given) { phase1 = g.offerPhase1(dir) })
	for i, address := range []string{"10.9.0.2", "10.9.1.7"} {
		if i > 0 {
			ip(t, "link set sw0 down")
			ip(t, "address flush dev eth0")
			await(t, "a status without an address", func() bool { return readStatus(g.run).State == Waiting })
		}
		ip(t, "address add "+address+"/24 dev eth0")
		ip(t, "link set eth0 up")
		ip(t, "link set sw0 up")
		port := 0
		await(t, "a report that it gives phase 1 away from "+address, func() bool {
			return g.seeder.reported(func(r report.Report) bool {
				if r.IP != address || r.Phase1 == nil || r.Phase1.Image != phase1.System.InfoHash.String() {
					return false
				}
				port = r.Phase1.Port
				return true
			})
		})
		for _, f := range phase1.Files {
			want, err := os.ReadFile(filepath.Join(dir, phase1.System.Name, f.Path))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.Get(fmt.Sprintf("http://%s:%d%s", address, port, catalog.BootPath(f.Path, f.SHA256)))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s from %s: %s, %d bytes, %v", f.Path, address, resp.Status, len(got), err)
			}
		}
	}
}

func TestRoomAndCounter(t *testing.T) {
	if !need.OwnNamespaces(t) {
		return
	}
	if err := room(1); err != nil {
		t.Error(err)
	}
	if err := room(1 << 50); err == nil || !strings.Contains(err.Error(), "too little memory") {
		t.Errorf("%v", err)
	}
	g := &Giver{Config: Config{Plan: Plan{Counter: 5}}}
	if err := g.newest(4, "x"); err == nil {
		t.Error("an older catalog is taken")
	}
	if err := g.newest(5, "x"); err != nil {
		t.Error(err)
	}
}
