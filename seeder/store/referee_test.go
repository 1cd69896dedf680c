package store

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/need"
)

// TestAria2 has aria2c check stored versions against their torrents, and find a flipped bit.
func TestAria2(t *testing.T) {
	aria2c := need.Command(t, "aria2c", "aria2")
	s := open(t, t.TempDir())
	for name, sizes := range sizes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var files []file
			for i, size := range sizes {
				files = append(files, file{strings.Repeat("sub/", i%3) + string(rune('a'+i)), content(uint64(i), size)})
			}
			v := importSystem(t, s, makeSystem(t, strings.ReplaceAll(name, " ", "-"), files...))
			if out, err := check(t, aria2c, v); err != nil {
				t.Fatalf("aria2c: %v\n%s", err, out)
			}
			flipBit(t, filepath.Join(v.Dir, v.System.Name, files[0].path), v.Files[0].Size)
			if out, err := check(t, aria2c, v); err == nil && v.Files[0].Size > 0 {
				t.Errorf("aria2c takes a file with a flipped bit:\n%s", out)
			}
		})
	}
}

func check(t *testing.T, aria2c string, v Version) (string, error) {
	t.Helper()
	torrent := filepath.Join(t.TempDir(), "version.torrent")
	write(t, torrent, v.Torrent)
	out, err := exec.Command(aria2c, "--no-conf", "--check-integrity=true", "--hash-check-only=true", "--enable-dht=false",
		"--bt-enable-lpd=false", "--enable-peer-exchange=false", "--interface=127.0.0.1", "--file-allocation=none",
		"--allow-overwrite=true", "--dir="+v.Dir, torrent).CombinedOutput()
	return string(out), err
}

func flipBit(t *testing.T, path string, size int64) {
	t.Helper()
	if size == 0 {
		return
	}
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	body[size/2] ^= 1
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	write(t, path, body)
}
