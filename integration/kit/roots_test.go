package kit

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Of the cache there stay what is used, what was used lately by another version, and the lock.
func TestRemoveUnused(t *testing.T) {
	all := t.TempDir()
	old := time.Now().Add(-unused - time.Hour)
	for name, at := range map[string]time.Time{"used": old, "lately": time.Now().Add(-time.Hour), "long-ago": old, ".making-1": time.Now()} {
		dir := filepath.Join(all, name)
		if err := os.MkdirAll(filepath.Join(dir, "below"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(dir, at, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(all, "lock"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := removeUnused(all, filepath.Join(all, "used")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"used": true, "lately": true, "lock": true, "long-ago": false, ".making-1": false} {
		if _, err := os.Stat(filepath.Join(all, name)); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", name, err == nil, want)
		}
	}
}
