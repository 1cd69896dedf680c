package tree

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/need"
)

// An image has nothing of the time at which it is made.
func TestPackAtAnotherTime(t *testing.T) {
	need.Command(t, "mksquashfs", "squashfs-tools")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	long := time.Unix(1_000_000_000, 0)
	for _, name := range []string{"file", "."} {
		if err := os.Chtimes(filepath.Join(dir, name), long, long); err != nil {
			t.Fatal(err)
		}
	}
	var first []byte
	for i, began := 0, time.Now(); i < 2; i++ {
		tree, err := ReadFolder(t.Context(), dir, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		image := filepath.Join(t.TempDir(), "image")
		if err := tree.Pack(t.Context(), image, nil); err != nil {
			t.Fatal(err)
		}
		if err := tree.Close(); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(image)
		if err != nil {
			t.Fatal(err)
		}
		if first != nil && !bytes.Equal(b, first) {
			t.Error("a second later the same folder is another image")
		}
		first = b
		<-time.After(time.Until(began.Truncate(time.Second).Add(time.Second))) // images have whole seconds
	}
}

// Nor has one whose files are of the next second, as rounding makes them.
func TestPackOfTheNextSecond(t *testing.T) {
	need.Command(t, "mksquashfs", "squashfs-tools")
	b := made(t, e{name: "a", content: "1", change: func(h *tar.Header) { h.ModTime = time.Now().Add(time.Second) }})
	var images [2]string
	for i := range images {
		tree, err := ReadLayers(t.Context(), []Layer{layer(b)}, Plain, Limits{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		image := filepath.Join(t.TempDir(), "image")
		if err := tree.Pack(t.Context(), image, nil); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(image)
		if err != nil {
			t.Fatal(err)
		}
		images[i] = string(content)
	}
	if images[0] != images[1] {
		t.Error("the same archive is another image")
	}
}
