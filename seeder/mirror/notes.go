package mirror

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/boottorrent/boottorrent/internal/atomicfile"
	"github.com/boottorrent/boottorrent/internal/catalog"
)

// notes remember of files what their SHA-256 is and what they were then, so that they need not be read at each start.
type notes struct {
	// path is where they are written.
	path string

	mu     sync.Mutex
	byPath map[string]note
}

// note is of one file.
type note struct {
	SHA256 string `json:"sha256"`
	// Size is in bytes, Modified in ns since 1970.
	Size     int64 `json:"size"`
	Modified int64 `json:"modified"`
}

// openNotes reads what was written; without it, files are read once more.
func openNotes(path string) *notes {
	n := &notes{path: path, byPath: map[string]note{}}
	if b, err := os.ReadFile(path); err == nil && json.Unmarshal(b, &n.byPath) != nil {
		n.byPath = map[string]note{}
	}
	return n
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

// note remembers that a file is the one that the manifest names.
func (n *notes) note(at string, f catalog.BootFile) error {
	now, err := stamp(at, f.SHA256)
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.byPath[at] == now {
		return nil
	}
	n.byPath[at] = now
	for path := range n.byPath {
		if _, err := os.Lstat(path); err != nil {
			delete(n.byPath, path)
		}
	}
	b, err := json.Marshal(n.byPath)
	if err != nil {
		return err
	}
	return atomicfile.Write(n.path, b, 0o644)
}

// has reports whether a file is the one that the manifest names: by what was noted, else by its content.
func (n *notes) has(at string, f catalog.BootFile) bool {
	now, err := stamp(at, f.SHA256)
	if err != nil {
		return false
	}
	n.mu.Lock()
	noted := n.byPath[at] == now
	n.mu.Unlock()
	if noted {
		return true
	}
	file, err := os.Open(at)
	if err != nil {
		return false
	}
	defer file.Close()
	h := sha256.New()
	size, err := io.Copy(h, io.LimitReader(file, f.Size+1))
	return err == nil && size == f.Size && hex.EncodeToString(h.Sum(nil)) == f.SHA256
}
