package daemon

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/site"
)

// manifest is the boot manifest that is served, verified.
func (r *running) manifest(s *site.Site) *catalog.BootManifest {
	r.t.Helper()
	key, err := s.PublicKey()
	must(r.t, err)
	m, err := catalog.OpenManifest(key, r.get(catalog.PathManifest), r.get(catalog.PathManifestSignature))
	must(r.t, err)
	return m
}

// All that the boot manifest names is served as it says, as a mirror would fetch it; and it is made anew when the image is replaced.
func TestBootManifest(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	writeSystem(t, s.Dir, "one", 'a')
	images := filepath.Join(s.Dir, site.ImageDir)
	for name, content := range map[string]string{image.Kernel: "a kernel", image.Initramfs: "an initramfs", image.UKI: "both"} {
		must(t, os.MkdirAll(images, 0o755))
		must(t, os.WriteFile(filepath.Join(images, name), []byte(content), 0o644))
	}
	r := start(t, s)
	m := r.manifest(s)
	for _, name := range []string{image.Kernel, image.Initramfs, image.UKI} {
		if !slices.ContainsFunc(m.Files, func(f catalog.BootFile) bool { return f.Path == name }) {
			t.Errorf("%s is not named", name)
		}
	}
	for _, f := range m.Files {
		b := r.get(catalog.PathBoot + f.Path)
		if sum := sha256.Sum256(b); int64(len(b)) != f.Size || hex.EncodeToString(sum[:]) != f.SHA256 {
			t.Errorf("%s has %d bytes and the hash %x, the manifest says %+v", f.Path, len(b), sum, f)
		}
	}
	cat := r.catalog()
	for _, runtime := range m.Runtimes {
		if listed, ok := cat.Runtime(runtime.Name); !ok || listed.List != runtime.List || listed.InfoHash != runtime.InfoHash {
			t.Errorf("the runtime %+v is not the catalog's %+v", runtime, listed)
		}
	}
	if m.Counter <= cat.Counter {
		t.Errorf("the manifest has the counter %d, the catalog before it %d", m.Counter, cat.Counter)
	}
	must(t, os.WriteFile(filepath.Join(images, ".new"), []byte("another kernel"), 0o644))
	must(t, os.Rename(filepath.Join(images, ".new"), filepath.Join(images, image.Kernel)))
	anew := r.manifest(s)
	i := slices.IndexFunc(anew.Files, func(f catalog.BootFile) bool { return f.Path == image.Kernel })
	if anew.Counter <= m.Counter || anew.Files[i].Size != int64(len("another kernel")) {
		t.Errorf("with another kernel the manifest is %+v, after %d", anew.Files[i], m.Counter)
	}
	if again := r.manifest(s); again.Counter != anew.Counter {
		t.Errorf("asked once more, its counter is %d after %d", again.Counter, anew.Counter)
	}
}
