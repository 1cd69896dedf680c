package node

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/boottorrent/boottorrent/internal/atomicfile"
)

// moreKeys are the SSH keys that the site's rules let in beside those of the image: a file, which the SSH server reads when somebody logs in.
type moreKeys struct {
	file string
	mu   sync.Mutex
	now  []string
	// some is closed when there are any.
	some chan struct{}
}

func newMoreKeys(file string) *moreKeys { return &moreKeys{file: file, some: make(chan struct{})} }

// set writes the file, if it is to have other keys.
func (k *moreKeys) set(keys []string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if slices.Equal(keys, k.now) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(k.file), 0o755); err != nil {
		return err
	}
	if err := atomicfile.Write(k.file, []byte(strings.Join(keys, "\n")+"\n"), 0o600); err != nil {
		return err
	}
	k.now = slices.Clone(keys)
	select {
	case <-k.some:
	default:
		if len(keys) > 0 {
			close(k.some)
		}
	}
	return nil
}
