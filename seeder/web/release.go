package web

import (
	"bytes"
	"net/http"
	"os"
	"path"
	"strings"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/seeder/admit"
)

// The folders of torrents with their lists of files, of systems' files, and of files for machines, as catalog.TorrentPath,
// catalog.FileListPath, catalog.WebSeedPath and catalog.FilesPath write them.
const (
	torrentPrefix  = "/torrents/"
	torrentSuffix  = ".torrent"
	fileListSuffix = ".files.json"
	systemsPrefix  = "/systems/"
	filesPrefix    = "/files/"
	filesSuffix    = ".cpio"
)

// Release is what is published at one time. Nothing in it may be changed afterwards.
type Release struct {
	// Site is the site's name and Default that of the default system, for the page.
	Site, Default string
	// Counter is the catalog's, for the page.
	Counter uint64
	// Catalog is the encoded catalog, Signature the minisign signature file of exactly these bytes.
	Catalog, Signature []byte
	Torrents           map[catalog.InfoHash]Torrent
	// MachineFiles are the archives of files for machines that the catalog lists, by their SHA-256 in hexadecimal.
	MachineFiles map[string][]byte
}

// Torrent is one system's torrent and where its files are.
type Torrent struct {
	Metainfo []byte
	System   catalog.System
	// Files are the system's, and FileList the same as the document that System.List identifies.
	Files    catalog.FileList
	FileList []byte
	// Dir is the parent of the folder System.Name that holds the files.
	Dir string
	// Whole reports whether all files are there, as they are; nil: they always are. Until then they are not served.
	Whole func() bool
}

// published is a release as it is served.
type published struct {
	release            *Release
	catalog, signature document
	// machineFiles are this release's, earlierFiles those of the release before, for nodes that have read its catalog.
	machineFiles, earlierFiles map[string]document
}

// torrent is a Torrent as it is served.
type torrent struct {
	metainfo  document
	list      document
	name, dir string
	files     map[string]catalog.File
	whole     func() bool
}

// same reports whether a torrent is served already as it is published again.
func (t *torrent) same(p Torrent) bool {
	return t.name == p.System.Name && t.dir == p.Dir && bytes.Equal(t.metainfo.data, p.Metainfo) && bytes.Equal(t.list.data, p.FileList)
}

// Publish makes a release the one that is served, all of it at once. Torrents of earlier releases, and their files,
// stay reachable for the nodes that still load them, until Retire.
func (s *Server) Publish(release *Release) {
	torrents := map[catalog.InfoHash]*torrent{}
	for h, t := range release.Torrents {
		if old := s.served(h); old != nil && old.same(t) {
			torrents[h] = old // what was compressed once is not compressed again
			continue
		}
		files := make(map[string]catalog.File, len(t.Files))
		for _, f := range t.Files {
			files[f.Path] = f
		}
		torrents[h] = &torrent{metainfo: newDocument(t.Metainfo), list: newDocument(t.FileList), name: t.System.Name, dir: t.Dir, files: files, whole: t.Whole}
	}
	current := &published{
		release: release, catalog: newDocument(release.Catalog), signature: newDocument(release.Signature), machineFiles: map[string]document{},
	}
	if before := s.published(); before != nil {
		current.earlierFiles = before.machineFiles
	}
	for sum, archive := range release.MachineFiles {
		d, served := current.earlierFiles[sum]
		if !served {
			d = newDocument(archive)
		}
		current.machineFiles[sum] = d
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = current
	close(s.changed)
	s.changed = make(chan struct{})
	for h, t := range torrents {
		s.torrents[h] = t
	}
}

// Retire ends the serving of a torrent and its files; downloads that have begun end undisturbed. A torrent of the
// current release stays.
func (s *Server) Retire(h catalog.InfoHash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil {
		if _, ok := s.current.release.Torrents[h]; ok {
			return
		}
	}
	delete(s.torrents, h)
}

// Release is the one that is served; nil before the first Publish.
func (s *Server) Release() *Release {
	if p := s.published(); p != nil {
		return p.release
	}
	return nil
}

func (s *Server) published() *published {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.current
}

// torrent finds what 40 hexadecimal digits stand for; nil if nothing.
func (s *Server) torrent(digits string) (h catalog.InfoHash, t *torrent) {
	if h.UnmarshalText([]byte(digits)) != nil {
		return h, nil
	}
	return h, s.served(h)
}

func (s *Server) served(h catalog.InfoHash) *torrent {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.torrents[h]
}

// serveDocument serves what is small and always at hand: the catalog with its signature, torrents, and what HEAD tells of files.
func (s *Server) serveDocument(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == catalog.PathCatalog:
		s.serveCatalog(w, r)
	case r.URL.Path == catalog.PathSignature:
		s.serveSignature(w, r)
	case strings.HasPrefix(r.URL.Path, torrentPrefix):
		s.serveTorrent(w, r)
	case strings.HasPrefix(r.URL.Path, filesPrefix):
		s.serveMachineFiles(w, r)
	default:
		s.serveSystem(w, r)
	}
}

func (s *Server) serveCatalog(w http.ResponseWriter, r *http.Request) {
	if s.cfg.Mirrored != nil {
		s.cfg.Mirrored(clientAddr(r), r.Header)
	}
	s.hold(w, r)
	if p := s.published(); p != nil {
		p.catalog.serve(w, r, "application/json")
		return
	}
	s.notYet(w)
}

func (s *Server) serveSignature(w http.ResponseWriter, r *http.Request) {
	if p := s.published(); p != nil {
		p.signature.serve(w, r, "text/plain; charset=utf-8")
		return
	}
	s.notYet(w)
}

func (s *Server) serveTorrent(w http.ResponseWriter, r *http.Request) {
	digits, kind, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, torrentPrefix), ".")
	h, t := s.torrent(digits)
	switch {
	case t == nil:
	case "."+kind == torrentSuffix:
		if r.Method == http.MethodGet && r.Header.Get(catalog.HeaderListed) == "" {
			s.want(h)
		}
		t.metainfo.serve(w, r, "application/x-bittorrent")
		return
	case "."+kind == fileListSuffix:
		t.list.serve(w, r, "application/json")
		return
	}
	notFound(w, "no such torrent (any more); "+catalog.PathCatalog+" lists those there are")
}

// want tells that somebody fetches a version.
func (s *Server) want(h catalog.InfoHash) {
	if s.cfg.Wanted != nil {
		s.cfg.Wanted(h)
	}
}

// notYet answers that there is no release yet.
func (s *Server) notYet(w http.ResponseWriter) {
	why := "the seeder is still reading its site"
	if s.cfg.NotYet != nil {
		why = s.cfg.NotYet()
	}
	admit.ComeAgain(w, why+"; come again in a few seconds")
}

// serveMachineFiles serves /files/<sha256>.cpio.
func (s *Server) serveMachineFiles(w http.ResponseWriter, r *http.Request) {
	if p := s.published(); p != nil {
		sum := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, filesPrefix), filesSuffix)
		for _, files := range []map[string]document{p.machineFiles, p.earlierFiles} {
			if d, ok := files[sum]; ok && r.URL.Path == catalog.FilesPath(sum) {
				d.serve(w, r, "application/x-cpio")
				return
			}
		}
	}
	notFound(w, "no such files for machines (any more); "+catalog.PathCatalog+" lists those there are")
}

// serveSystem serves /systems/<infohash>/<name>/<path>.
func (s *Server) serveSystem(w http.ResponseWriter, r *http.Request) {
	digits, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, systemsPrefix), "/")
	name, filePath, _ := strings.Cut(rest, "/")
	h, t := s.torrent(digits)
	if t == nil {
		notFound(w, "no such version of a system (any more); "+catalog.PathCatalog+" lists those there are")
		return
	}
	f, ok := t.files[filePath]
	if !ok || name != t.name {
		notFound(w, "the system has no such file; "+catalog.PathCatalog+" lists those it has")
		return
	}
	if r.Method == http.MethodGet {
		s.want(h)
	}
	if t.whole != nil && !t.whole() {
		admit.ComeAgain(w, "this seeder is still fetching the system; come again in a few seconds")
		return
	}
	s.serveSystemFile(w, r, t, f)
}

func (s *Server) serveSystemFile(w http.ResponseWriter, r *http.Request, t *torrent, f catalog.File) {
	file, err := openBelow(t.dir, path.Join(t.name, f.Path))
	if err != nil {
		s.cfg.Log.Warn("HTTP: a system's file can't be read", "system", t.name, "file", f.Path, "err", err)
		notFound(w, "the file is missing at the seeder; see its log")
		return
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() || info.Size() != f.Size {
		s.cfg.Log.Warn("HTTP: a system's file is not the one in the catalog", "system", t.name, "file", f.Path)
		notFound(w, "the file was changed at the seeder, which will offer a new version in a moment")
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("ETag", etag(f.SHA256))
	if resp, ok := w.(*response); ok {
		resp.system = t.name
	}
	if s.cfg.Limit != nil {
		w = &limitedResponse{w, r.Context(), s.cfg.Limit}
	}
	http.ServeContent(w, r, "", time.Time{}, file)
}

// openBelow opens a file below dir, and no other, wherever symbolic links point.
func openBelow(dir, name string) (*os.File, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	// Opening a named pipe would wait for its writer.
	if info, err := root.Stat(name); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, &os.PathError{Op: "open", Path: name, Err: os.ErrInvalid}
	}
	return root.Open(name)
}
