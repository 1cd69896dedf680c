package mirror

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// Kept is what a mirror that does not run has on its disk. Until Close no mirror runs there.
type Kept struct {
	Catalog  *catalog.Catalog
	Manifest *catalog.BootManifest
	// Counter is the highest of a catalog or boot manifest that has been here.
	Counter uint64
	// Versions are those of the catalog's systems and runtimes whose documents are here, by infohash.
	Versions map[catalog.InfoHash]*Version
	// MachineFiles are the archives of files for machines that are here, by SHA-256.
	MachineFiles map[string][]byte

	lock io.Closer
}

// ErrNothingKept says that a mirror has no catalog yet.
var ErrNothingKept = errors.New("this mirror has no catalog yet; let it run until it has what it follows")

// OpenKept reads what a mirror keeps in the folder of its state, as far as the key has signed it.
func OpenKept(dir string, key minisign.PublicKey, log *slog.Logger) (*Kept, error) {
	if _, err := os.Stat(filepath.Join(dir, documentsFile)); err != nil {
		return nil, ErrNothingKept
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	m := &Mirror{cfg: Config{Dir: dir, Log: log}, versions: map[catalog.InfoHash]*Version{}, archives: map[string][]byte{}}
	if m.current, err = loadDocuments(dir, key); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	m.load()
	s := readSeen(dir, log)
	cat, manifest := m.current.catalog.Value, m.current.manifest.Value
	return &Kept{
		Catalog: cat, Manifest: manifest, Counter: max(s.Catalog, s.Manifest, cat.Counter, manifest.Counter),
		Versions: m.versions, MachineFiles: m.archives, lock: lock,
	}, nil
}

// Close lets a mirror run again.
func (k *Kept) Close() error { return k.lock.Close() }

// Check reads all files of a version, and returns an error unless they are here and right.
func (v *Version) Check(ctx context.Context) error { return v.verify(ctx) }

// File is the path of a file of the version, of which name is the path in it.
func (v *Version) File(name string) string { return v.file(name) }

// Sealed reports whether all files of a version are here, as they were when they were verified.
func (v *Version) Sealed() bool { return v.sealed() }
