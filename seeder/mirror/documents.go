package mirror

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
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

// follows returns an error if documents that a seeder offers are older than these; nil has no age.
func (d *documents) follows(seeder string, offered documents) error {
	switch {
	case d == nil:
		return nil
	case offered.catalog.Value.Counter < d.catalog.Value.Counter:
		return &OldError{seeder, "catalog", d.catalog.Value.Counter, offered.catalog.Value.Counter}
	case offered.manifest.Value.Counter < d.manifest.Value.Counter:
		return &OldError{seeder, "boot manifest", d.manifest.Value.Counter, offered.manifest.Value.Counter}
	}
	return nil
}
