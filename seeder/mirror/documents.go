package mirror

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/internal/atomicfile"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/seeder/upstream"
)

// documentsFile has the signed documents that are served, in the mirror's state.
const documentsFile = "documents.json"

// documents are what the site's key has signed, as it was read.
type documents struct {
	catalog  upstream.Signed[*catalog.Catalog]
	manifest upstream.Signed[*catalog.BootManifest]
}

// kept is how documents are written.
type kept struct {
	Catalog           []byte `json:"catalog"`
	CatalogSignature  []byte `json:"catalog_signature"`
	Manifest          []byte `json:"manifest"`
	ManifestSignature []byte `json:"manifest_signature"`
}

// save writes documents, all of them or none.
func (d documents) save(dir string) error {
	b, err := json.Marshal(kept{d.catalog.Document, d.catalog.Signature, d.manifest.Document, d.manifest.Signature})
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, documentsFile), b, 0o644)
}

// loadDocuments reads documents that were written, if the key has signed them; nil: there are none. They are what a mirror goes by for as long
// as no other seeder answers, and what it takes no older ones than.
func loadDocuments(dir string, key minisign.PublicKey) (*documents, error) {
	b, err := os.ReadFile(filepath.Join(dir, documentsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var k kept
	if err == nil {
		err = json.Unmarshal(b, &k)
	}
	d := &documents{}
	if err == nil {
		d.catalog.Document, d.catalog.Signature = k.Catalog, k.CatalogSignature
		d.catalog.Value, err = catalog.Open(key, k.Catalog, k.CatalogSignature)
	}
	if err == nil {
		d.manifest.Document, d.manifest.Signature = k.Manifest, k.ManifestSignature
		d.manifest.Value, err = catalog.OpenManifest(key, k.Manifest, k.ManifestSignature)
	}
	if err != nil {
		return nil, fmt.Errorf("what was kept in %s can't be used: %w", filepath.Join(dir, documentsFile), err)
	}
	return d, nil
}

// OldError says that a seeder offers an older document than the mirror has had.
type OldError struct {
	Seeder, What string
	Has, Offered uint64
}

// Error implements error.
func (e *OldError) Error() string {
	return fmt.Sprintf("%s offers a %s with the counter %d, and one with %d has been here: it is refused; check whether somebody else answers there, "+
		"or whether that seeder was put back to an old state", e.Seeder, e.What, e.Offered, e.Has)
}

// seenFile has how new the documents are that have been here, in the mirror's state.
const seenFile = "seen.json"

// seen are the highest counters of documents that were taken. They are kept beside the documents: where those are lost, an older
// catalog is still none.
type seen struct {
	path     string
	Catalog  uint64 `json:"catalog"`
	Manifest uint64 `json:"manifest"`
}

// readSeen reads the counters that were written. Without them, the documents that are here count.
func readSeen(dir string, log *slog.Logger) *seen {
	s := &seen{path: filepath.Join(dir, seenFile)}
	b, err := os.ReadFile(s.path)
	if err == nil {
		err = json.Unmarshal(b, s)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("how new the catalog was that has been here is known by the catalog alone", "err", err)
	}
	return s
}

// allows returns an error if documents are older than what was taken; from names where they are from. It takes nil.
func (s *seen) allows(from string, d *documents) error {
	switch {
	case d == nil:
		return nil
	case d.catalog.Value.Counter < s.Catalog:
		return &OldError{from, "catalog", s.Catalog, d.catalog.Value.Counter}
	case d.manifest.Value.Counter < s.Manifest:
		return &OldError{from, "boot manifest", s.Manifest, d.manifest.Value.Counter}
	}
	return nil
}

// note remembers that documents are taken, over a restart as well.
func (s *seen) note(d *documents) error {
	now := &seen{s.path, max(s.Catalog, d.catalog.Value.Counter), max(s.Manifest, d.manifest.Value.Counter)}
	if *now == *s {
		return nil
	}
	b, err := json.Marshal(now)
	if err == nil {
		err = atomicfile.Write(s.path, b, 0o644)
	}
	if err == nil {
		*s = *now
	}
	return err
}
