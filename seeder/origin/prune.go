package origin

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/boottorrent/boottorrent/internal/originurl"
)

// Unused are the names of what is in the folder dir that nobody needs: neither the SHA-256 sums to keep nor a version names it. A version
// has a link to it, so that the name here takes no room; it goes when the version goes.
func Unused(dir string, keep map[string]bool) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		sum := strings.TrimSuffix(e.Name(), partSuffix)
		if !originurl.IsDigest(sum) || keep[sum] {
			continue
		}
		info, err := e.Info()
		if err != nil {
			continue // it is gone
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Nlink == 1 {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// Remove removes what Unused named.
func Remove(dir, name string) error { return os.Remove(filepath.Join(dir, name)) }
