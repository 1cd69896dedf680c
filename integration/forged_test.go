package integration

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/integration/kit"
	"github.com/boottorrent/boottorrent/integration/lab"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/site"
)

// Addresses of what stands beside the seeder.
const (
	otherMirrorAddr = "10.77.0.2/16"
	forgedAddr      = "10.77.0.66/16"
)

// signedByAnother returns a recording whose catalog and boot manifest somebody else has signed, with a key that says it is for the site.
func (r *room) signedByAnother(from kit.Recording) kit.Recording {
	r.t.Helper()
	_, key, err := minisign.GenerateKey(rand.Reader)
	r.must(err)
	return from.With(catalog.PathSignature, catalog.Sign(key, from[catalog.PathCatalog])).
		With(catalog.PathManifestSignature, catalog.SignManifest(key, from[catalog.PathManifest]))
}

// oldAndNew records what the seeder serves, before and after a system gets another title.
func (r *room) oldAndNew() (old, now kit.Recording) {
	r.t.Helper()
	old, err := r.seeder.Record(r.t.Context())
	r.must(err)
	r.retitle("tiny", "The newer one")
	r.awaitTitle(r.seeder, "The newer one", soon)
	now, err = r.seeder.Record(r.t.Context())
	r.must(err)
	return old, now
}

// mirrorCommand starts `seeder mirror` and doesn't wait for anything.
func (r *room) mirrorCommand(host *lab.Host, upstream, dir string) *lab.Process {
	r.t.Helper()
	p, err := host.Start(r.t.Context(), r.site.Kit.Seeder, "mirror", upstream, dir, "--key", r.site.Path(site.PublicKeyFile))
	r.must(err)
	return p
}

// A mirror that follows somebody who forges one thing says what it refuses, and does not hand it on.
func TestMirrorOfForgedMirror(t *testing.T) {
	t.Parallel()
	r := emptyRoom(t, "default: tiny\ntimeout: 0\nseed_time: 0\n")
	ctx := t.Context()
	var err error
	r.host, err = r.Host("seeder", lab.Addr(seederAddr))
	r.must(err)
	other, err := r.Host("mirror", lab.Addr(otherMirrorAddr))
	r.must(err)
	forger, err := r.Host("forger", lab.Addr(forgedAddr))
	r.must(err)
	r.must(r.site.AddTiny(ctx, "tiny", 1<<20))
	r.serve()
	old, now := r.oldAndNew()
	tiny := now.Catalog().Systems[0]
	files, err := r.seeder.Files(ctx, tiny)
	r.must(err)
	loader := ""
	for _, f := range now.Manifest().Files {
		if f.Kind == catalog.KindLoader {
			loader = catalog.PathBoot + f.Path
		}
	}

	// What has followed the site's own seeder knows how new its catalog is.
	followed := filepath.Join(t.TempDir(), "followed")
	m, err := r.site.Kit.Mirror(ctx, other, r.host.IP().String(), followed, r.site.Path(site.PublicKeyFile))
	r.must(err)
	r.awaitTitle(m, "The newer one", soon)
	m.Stop()

	torrent, list, file := catalog.TorrentPath(tiny.InfoHash), catalog.FileListPath(tiny.InfoHash), tiny.FilePath(files[0].Path)
	for name, forged := range map[string]struct {
		served kit.Recording
		// says is in the mirror's log; withheld are paths that the mirror does not serve.
		says     string
		withheld []string
	}{
		"another key":       {r.signedByAnother(now), `/catalog\.json: .*signature`, []string{catalog.PathCatalog, catalog.PathManifest}},
		"a changed catalog": {now.Flipped(catalog.PathCatalog), `/catalog\.json: .*signature`, []string{catalog.PathCatalog}},
		"a changed kernel":  {now.Flipped(catalog.PathKernel), `/boot/vmlinuz: it is not what was signed`, []string{catalog.PathCatalog, catalog.PathKernel}},
		"a changed loader":  {now.Flipped(loader), regexp.QuoteMeta(loader) + `: it is not what was signed`, []string{catalog.PathCatalog, loader}},
		"a changed torrent": {now.Flipped(torrent), `offers another torrent than the catalog names, which is refused`, []string{catalog.PathCatalog, torrent, file}},
		"a changed list":    {now.Flipped(list), `the list of the files of`, []string{catalog.PathCatalog, list, file}},
	} {
		t.Run(name, func(t *testing.T) {
			server, err := forged.served.Serve(ctx, forger, nil)
			r.must(err)
			defer server.Stop()
			p := r.mirrorCommand(other, server.Base, filepath.Join(t.TempDir(), "mirror"))
			defer p.Stop()
			t.Logf("it says: %s", lab.Await(t, p, soon, `level=WARN.*`+forged.says+`.*`)[0])
			for _, path := range forged.withheld {
				if status := r.status(other, path); status < http.StatusNotFound {
					t.Errorf("%s: the mirror answers %d, although that was forged", path, status)
				}
			}
		})
	}

	t.Run("an old catalog", func(t *testing.T) {
		server, err := old.Serve(ctx, forger, nil)
		r.must(err)
		defer server.Stop()
		path := filepath.Join(followed, site.MirrorFile)
		config, err := os.ReadFile(path)
		r.must(err)
		r.must(os.WriteFile(path, regexp.MustCompile(`(?m)^upstream:.*$`).ReplaceAll(config, []byte("upstream: ["+server.Base+"]")), 0o644))
		p := r.mirrorCommand(other, server.Base, followed)
		defer p.Stop()
		t.Logf("it says: %s", lab.Await(t, p, soon, `level=WARN.*refused.*`)[0])
		r.awaitTitle(kit.Served(other), "The newer one", soon)
	})
}

// status is how a server on a host answers a request for a path.
func (r *room) status(host *lab.Host, path string) int {
	r.t.Helper()
	resp, err := host.HTTP().Get("http://" + host.IP().String() + ":8080" + path)
	r.must(err)
	resp.Body.Close()
	return resp.StatusCode
}

// A machine's boot script came from a forged mirror, which lists others like it. As long as nobody else is there the machine starts nothing, and
// says of each what it refuses. When the site's own seeder is there, it starts from that.
func TestMachineAmongForgedMirrors(t *testing.T) {
	r := newRoom(t, "default: tiny\ntimeout: 0\nseed_time: 0\n")
	ctx := t.Context()
	r.must(r.site.AddTiny(ctx, "tiny", 1<<20))
	r.dhcp()
	r.serve()
	old, now := r.oldAndNew()
	tiny := now.Catalog().Systems[0]

	forgeries := []struct {
		name   string
		served kit.Recording
		// says is what the machine's console says of it.
		says string
	}{
		{"list", now.Flipped(catalog.FileListPath(tiny.InfoHash)), `(?i)list`},
		{"key", r.signedByAnother(now), `signature`},
		{"old", old, `older|seen`},
		{"torrent", now.Flipped(catalog.TorrentPath(tiny.InfoHash)), `torrent`},
	}
	var known []catalog.SeederAddress
	var hosts []*lab.Host
	for i, f := range forgeries {
		host, err := r.Host(f.name, lab.Addr(fmt.Sprintf("10.77.0.%d/16", 60+i)))
		r.must(err)
		hosts = append(hosts, host)
		known = append(known, catalog.SeederAddress{HTTP: "http://" + host.IP().String() + ":8080"})
	}
	for i, f := range forgeries {
		_, err := f.served.Serve(ctx, hosts[i], known)
		r.must(err)
	}
	r.must(r.host.SetLink(ctx, false))
	n := r.node(r.direct("n1", "bt.seeder="+known[0].HTTP))
	for i, f := range forgeries {
		lab.Await(t, n.Console(), toMessage, `the seeder `+regexp.QuoteMeta(known[i].HTTP)+` is refused: .*`+f.says)
	}
	if strings.Contains(n.Console().Output(), "hands over to") {
		t.Error("the machine has started something")
	}
	r.must(r.host.SetLink(ctx, true))
	r.awaitTiny(n, toSystem)
	if said := r.reports()[n.Config.NICs[0].MAC]; said.System != "tiny" || said.InfoHash != tiny.InfoHash.String() {
		t.Errorf("the site's own seeder was told %+v", said)
	}
}
