package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/atomicfile"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/swarm"
	"github.com/boottorrent/boottorrent/seeder/upstream"
)

// A version's folder is named by its infohash. It has the version's documents, from when they were read, its files in a folder of the system's
// name, from when somebody wanted them, and a note of the files from when all of them were there and verified.
const (
	metaFile  = "version.json"
	wholeFile = "whole.json"
)

// Version is one that the catalog lists, or has listed, with its documents. Its files are here, arrive, or are still elsewhere.
type Version struct {
	upstream.Version
	// Dir is the folder in which the folder of its files is.
	Dir string
	// whole says that all files are here and verified. It is the same for a version that the catalog describes in another way than before.
	whole *atomic.Bool
}

// Whole reports whether all files are here and verified.
func (v *Version) Whole() bool { return v.whole.Load() }

// meta is how a version's documents are written. FileList is what its System.List identifies.
type meta struct {
	System   catalog.System `json:"system"`
	Torrent  []byte         `json:"torrent"`
	FileList []byte         `json:"file_list"`
}

// saveVersion writes a version's documents.
func saveVersion(dir string, v upstream.Version) (*Version, error) {
	b, err := json.Marshal(meta{v.System, v.Torrent, v.FileList})
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err == nil {
		err = atomicfile.Write(filepath.Join(dir, metaFile), b, 0o644)
	}
	if err != nil {
		return nil, err
	}
	return &Version{Version: v, Dir: dir, whole: new(atomic.Bool)}, nil
}

// keepDocuments writes a version's documents where they are not here, as after it left.
func (v *Version) keepDocuments() error {
	_, err := os.Lstat(filepath.Join(v.Dir, metaFile))
	if errors.Is(err, fs.ErrNotExist) {
		_, err = saveVersion(v.Dir, v.Version)
	}
	return err
}

// loadVersion reads the documents of a version as the catalog has it; nil: they are not here. That they are the catalog's is checked.
func loadVersion(dir string, sys catalog.System) (*Version, error) {
	b, err := os.ReadFile(filepath.Join(dir, metaFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var m meta
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil {
		return nil, err
	}
	v := &Version{Version: upstream.Version{System: sys, Torrent: m.Torrent, FileList: m.FileList}, Dir: dir, whole: new(atomic.Bool)}
	if v.Files, err = sys.OpenFiles(m.FileList); err != nil {
		return nil, err
	}
	if err := swarm.CheckMetainfo(v.Torrent, sys, v.Files); err != nil {
		return nil, err
	}
	return v, nil
}

// file is the path of a file of the version.
func (v *Version) file(name string) string {
	return filepath.Join(v.Dir, v.System.Name, filepath.FromSlash(name))
}

// note is what a file was when it was verified.
type note struct {
	SHA256 string `json:"sha256"`
	// Size is in bytes, Modified in ns since 1970.
	Size     int64 `json:"size"`
	Modified int64 `json:"modified"`
}

// stamp is a note of a file as it is now.
func stamp(at, sum string) (note, error) {
	info, err := os.Lstat(at)
	if err != nil {
		return note{}, err
	}
	if !info.Mode().IsRegular() {
		return note{}, fmt.Errorf("%s is no file", at)
	}
	return note{sum, info.Size(), info.ModTime().UnixNano()}, nil
}

// seal notes that all files are here and verified, as they are now.
func (v *Version) seal() error {
	stamps, err := v.stamps()
	if err != nil {
		return err
	}
	b, err := json.Marshal(stamps)
	if err == nil {
		err = atomicfile.Write(filepath.Join(v.Dir, wholeFile), b, 0o644)
	}
	if err == nil {
		v.whole.Store(true)
	}
	return err
}

// stamps are the files' notes by their paths in the version.
func (v *Version) stamps() (map[string]note, error) {
	stamps := map[string]note{}
	for _, f := range v.Files {
		n, err := stamp(v.file(f.Path), f.SHA256)
		if err == nil && n.Size != f.Size {
			err = fmt.Errorf("%s has %d bytes, want %d", f.Path, n.Size, f.Size)
		}
		if err != nil {
			return nil, err
		}
		stamps[f.Path] = n
	}
	return stamps, nil
}

// sealed reports whether the files are as they were when they were verified.
func (v *Version) sealed() bool {
	b, err := os.ReadFile(filepath.Join(v.Dir, wholeFile))
	var noted map[string]note
	if err != nil || json.Unmarshal(b, &noted) != nil {
		return false
	}
	now, err := v.stamps()
	if err != nil || len(now) != len(noted) {
		return false
	}
	for path, n := range now {
		if noted[path] != n {
			return false
		}
	}
	return true
}

// size is what the files take on the disk at most, in bytes.
func (v *Version) size() int64 { return v.System.ToFetch() }

// unseal says that the files are not what they should be.
func (v *Version) unseal() error {
	v.whole.Store(false)
	return os.RemoveAll(filepath.Join(v.Dir, wholeFile))
}

// drop deletes the files, and keeps the documents.
func (v *Version) drop() error {
	return errors.Join(v.unseal(), os.RemoveAll(filepath.Join(v.Dir, v.System.Name)))
}

// taken is how many bytes of the disk the files take now.
func (v *Version) taken() (bytes int64) {
	for _, f := range v.Files {
		var st unix.Stat_t
		if unix.Lstat(v.file(f.Path), &st) == nil {
			bytes += st.Blocks * 512
		}
	}
	return bytes
}

// verify reads all files, and returns what is wrong with the first that is not the catalog's.
func (v *Version) verify(ctx context.Context) error {
	for _, f := range v.Files {
		if err := ctx.Err(); err != nil {
			return err
		}
		sum, err := hashFile(v.file(f.Path))
		if err == nil && sum != f.SHA256 {
			err = fmt.Errorf("%s has the SHA-256 %s, the catalog says %s", f.Path, sum, f.SHA256)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// arrived reports whether any of the files is here, whole or not.
func (v *Version) arrived() bool {
	_, err := os.Lstat(filepath.Join(v.Dir, v.System.Name))
	return err == nil
}
