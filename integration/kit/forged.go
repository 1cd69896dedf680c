package kit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"time"

	"github.com/boottorrent/boottorrent/integration/lab"
	"github.com/boottorrent/boottorrent/internal/catalog"
)

// Recording is all that a mirror reads of a seeder at one time, by its path: catalog, boot manifest, signatures, boot files, torrents, lists of
// files and files. Whoever has read that can serve it, and change it: it is what a forged mirror is made of.
type Recording map[string][]byte

// Record reads what a seeder serves.
func (s *Seeder) Record(ctx context.Context) (Recording, error) {
	r := Recording{}
	read := func(path string) error {
		body, err := s.read(ctx, path)
		r[path] = body
		return err
	}
	for _, path := range []string{catalog.PathCatalog, catalog.PathSignature, catalog.PathManifest, catalog.PathManifestSignature} {
		if err := read(path); err != nil {
			return nil, err
		}
	}
	cat, manifest := r.Catalog(), r.Manifest()
	for _, f := range manifest.Files {
		if err := read(catalog.PathBoot + f.Path); err != nil {
			return nil, err
		}
	}
	systems := cat.Systems
	for _, runtime := range cat.Runtimes {
		systems = append(systems, runtime.System)
	}
	for _, sys := range systems {
		for _, path := range []string{catalog.TorrentPath(sys.InfoHash), catalog.FileListPath(sys.InfoHash)} {
			if err := read(path); err != nil {
				return nil, err
			}
		}
		list, err := s.Files(ctx, sys)
		if err != nil {
			return nil, err
		}
		for _, f := range list {
			if err := read(sys.FilePath(f.Path)); err != nil {
				return nil, err
			}
		}
	}
	return r, nil
}

// Catalog is the recorded catalog, unverified.
func (r Recording) Catalog() (c catalog.Catalog) { return recorded(r, catalog.PathCatalog, c) }

// Manifest is the recorded boot manifest, unverified.
func (r Recording) Manifest() (m catalog.BootManifest) { return recorded(r, catalog.PathManifest, m) }

func recorded[T any](r Recording, path string, into T) T {
	if err := json.Unmarshal(r[path], &into); err != nil {
		panic(fmt.Sprintf("%s, as a seeder served it: %v", path, err)) // it would not have started
	}
	return into
}

// With returns a copy in which a path has another content.
func (r Recording) With(path string, content []byte) Recording {
	changed := maps.Clone(r)
	changed[path] = content
	return changed
}

// Flipped returns a copy in which one bit in the middle of a path's content is another one, wherever that content stands: kernel and initramfs are in
// a torrent too.
func (r Recording) Flipped(path string) Recording {
	original := r[path]
	if len(original) == 0 {
		panic("nothing was recorded at " + path)
	}
	content := bytes.Clone(original)
	content[len(content)/2] ^= 1
	changed := maps.Clone(r)
	for at, body := range r {
		if bytes.Equal(body, original) {
			changed[at] = content
		}
	}
	return changed
}

// Forged is a server that claims to be a mirror.
type Forged struct {
	// Base is its HTTP base URL.
	Base   string
	server *http.Server
}

// forgedPort is where forged mirrors serve, as seeders do.
const forgedPort = 8080

// Serve serves a recording on a host until ctx ends, and the list of seeders that is given as that of the site.
func (r Recording) Serve(ctx context.Context, host *lab.Host, list []catalog.SeederAddress) (*Forged, error) {
	l, err := host.Listen(forgedPort)
	if err != nil {
		return nil, err
	}
	seeders, err := json.Marshal(catalog.SeederList{Seeders: list})
	if err != nil {
		return nil, err
	}
	r = r.With(catalog.PathSeeders, seeders)
	f := &Forged{Base: "http://" + l.Addr().String(), server: &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second}}
	context.AfterFunc(ctx, func() { f.server.Close() })
	go func() { _ = f.server.Serve(l) }()
	return f, nil
}

// Stop ends it.
func (f *Forged) Stop() { f.server.Close() }

// ServeHTTP implements http.Handler. Reports are taken, and nobody reads them.
func (r Recording) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, ok := r[req.URL.Path]
	switch {
	case req.Method == http.MethodPost:
		w.WriteHeader(http.StatusNoContent)
	case req.URL.Path == catalog.PathAnnounce:
		_, _ = io.WriteString(w, "d8:intervali5e5:peers0:e") // BEP 3: nobody is there
	case !ok:
		http.NotFound(w, req)
	default:
		http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(body))
	}
}
