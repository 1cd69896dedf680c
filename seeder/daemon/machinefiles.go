package daemon

import (
	"bytes"
	"cmp"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/boottorrent/boottorrent/internal/atomicfile"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/machinefiles"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/watch"
)

// machineFiles are the archives of files for machines that are published. Where a folder has a problem, its last archive without one stays, also over
// a restart: the state keeps them, for the seeder's user alone.
type machineFiles struct {
	dir string
	log *slog.Logger
	// last are the archives by the folders' names.
	last map[string][]byte
}

func newMachineFiles(state string, log *slog.Logger) *machineFiles {
	return &machineFiles{dir: filepath.Join(state, "files"), log: log, last: map[string][]byte{}}
}

// recall reads what was published before the last restart.
func (m *machineFiles) recall() {
	entries, err := os.ReadDir(m.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.log.Warn("files for machines that were published before are not known", "err", err)
	}
	for _, e := range entries {
		if e.Name()[0] == '.' {
			continue // what was being written when the seeder was killed
		}
		archive, err := os.ReadFile(filepath.Join(m.dir, e.Name()))
		if err == nil {
			_, err = machinefiles.Decode(archive) // nobody else writes there, but a disk may have been full
		}
		if err != nil {
			m.log.Warn("files for machines that were published before can't be read", "folder", e.Name(), "err", err)
			continue
		}
		m.last[e.Name()] = archive
	}
}

// consider takes what a site has, but for folders that are not at rest, and returns the problems of the others: of those the last archive stays.
func (m *machineFiles) consider(s *site.Site, restless map[string]time.Time) (problems site.Problems) {
	kept := map[string]bool{}
	for name := range m.last {
		_, writing := restless[watch.FilesOf(name)]
		kept[name] = writing || s.FilesUnknown
	}
	for _, b := range s.BrokenFiles {
		kept[b.Name] = true
		if _, writing := restless[watch.FilesOf(b.Name)]; !writing {
			problems = append(problems, b.Problems...)
		}
	}
	for _, f := range s.Files {
		if _, writing := restless[watch.FilesOf(f.For)]; writing {
			continue
		}
		kept[f.For] = true
		if !bytes.Equal(m.last[f.For], f.Archive) {
			m.last[f.For] = f.Archive
			m.keep(f.For)
			m.log.Info("files for machines have changed", "for", f.For, "files", f.Entries, "bytes", len(f.Archive))
		}
	}
	for name := range m.last {
		if !kept[name] {
			m.forget(name)
		}
	}
	return problems
}

func (m *machineFiles) keep(name string) {
	err := os.MkdirAll(m.dir, 0o700)
	if err == nil {
		err = atomicfile.Write(filepath.Join(m.dir, name), m.last[name], 0o600)
	}
	if err != nil {
		m.log.Warn("files for machines can't be kept for the next start; machines get them nevertheless", "for", name, "err", err)
	}
}

func (m *machineFiles) forget(name string) {
	delete(m.last, name)
	m.log.Info("files for machines are gone", "for", name)
	if err := os.Remove(filepath.Join(m.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.log.Warn("that files for machines are gone can't be noted", "for", name, "err", err)
	}
}

// listed is what the catalog says of the archives: those for which there is room, by name. What a folder had before may take the room of what
// others have now.
func (m *machineFiles) listed() (list []catalog.Files) {
	var size int64
	for _, name := range slices.SortedFunc(maps.Keys(m.last), cmp.Compare[string]) {
		f := machinefiles.Listed(name, m.last[name])
		if len(list) == catalog.MaxFileTrees || size+f.Size > catalog.MaxFileTreesSize {
			m.log.Warn("there is no room for files for machines beside what others had before", "for", name)
			continue
		}
		size += f.Size
		list = append(list, f)
	}
	return list
}

// archives are those that are listed, by their SHA-256.
func (m *machineFiles) archives() map[string][]byte {
	all := map[string][]byte{}
	for _, f := range m.listed() {
		all[f.SHA256] = m.last[f.For]
	}
	return all
}
