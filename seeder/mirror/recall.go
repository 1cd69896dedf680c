package mirror

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Names in the mirror's state, beside documentsFile, seenFile, the folders of versions and the archives of files for machines.
const (
	// poolDir has the boot files by their SHA-256.
	poolDir  = "boot"
	usesFile = "uses.json"
	lockFile = "lock"
)

// lock is an open file that this process alone has locked.
type lock struct{ *os.File }

// lockDir keeps other processes out of a folder until what it returns is closed.
func lockDir(dir string) (*lock, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock the mirror: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("another process serves %s already (%w); stop it first", filepath.Dir(filepath.Dir(dir)), err)
	}
	return &lock{f}, nil
}

// recall serves what was kept, as far as it is here.
func (m *Mirror) recall() {
	m.load()
	m.incomplete = true // until another seeder has said that nothing is missing
	swap, err := m.boot.prepare(m.current.manifest.Value)
	if err == nil {
		err = swap()
	}
	if err != nil {
		m.cfg.Log.Warn("the boot files can't be put in place; they are once another seeder answers", "err", explain(err, m.cfg.Dir))
	}
	m.publish()
	m.sweep()
}

// load reads the documents of versions, and the files for machines, that are here.
func (m *Mirror) load() {
	for _, sys := range listed(m.current.catalog.Value) {
		v, err := loadVersion(m.versionDir(sys.InfoHash), sys)
		if err != nil {
			m.cfg.Log.Warn("a version's documents can't be used; they are read once more", "system", sys.Name, "err", err)
		}
		if v != nil {
			m.versions[sys.InfoHash] = v
		}
	}
	for _, f := range m.current.catalog.Value.Files {
		if b, err := os.ReadFile(m.archivePath(f)); err == nil && sumOf(b) == f.SHA256 {
			m.archives[f.SHA256] = b
		}
	}
}

// sweep deletes what no release needs any more.
func (m *Mirror) sweep() {
	if err := errors.Join(m.carrier.sweep(listed(m.current.catalog.Value)), m.sweepArchives()); err != nil {
		m.cfg.Log.Warn("what is old can't be deleted", "err", err)
	}
}
