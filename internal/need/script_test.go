package need

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

// What is written while others are started can be executed.
func TestScript(t *testing.T) {
	dir := t.TempDir()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 30 {
				path := filepath.Join(dir, strconv.Itoa(i)+"-"+strconv.Itoa(j))
				Script(t, path, "#!/bin/sh\nexit 0\n")
				if out, err := exec.Command(path).CombinedOutput(); err != nil {
					t.Errorf("%v: %s", err, out)
				}
			}
		})
	}
	all.Wait()
}

func TestPort(t *testing.T) {
	seen := map[int]bool{}
	for range 100 {
		port := Port(t)
		if seen[port] || port < firstPort || port >= endPort {
			t.Errorf("port %d, of %d given before", port, len(seen))
		}
		seen[port] = true
	}
}
