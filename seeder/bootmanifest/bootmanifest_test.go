package bootmanifest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/uki"
)

// room is a site's folder, and what a manifest of it is made of.
type room struct {
	*Maker
	t       *testing.T
	dir     string
	key     minisign.PublicKey
	catalog *catalog.Catalog
	counter uint64
	loaders map[string]string
}

func newRoom(t *testing.T) *room {
	public, private, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := &room{t: t, dir: t.TempDir(), key: public, counter: 100, loaders: map[string]string{}, catalog: &catalog.Catalog{
		Runtimes: []catalog.Runtime{{System: catalog.System{Name: "qemu", Size: 7, List: catalog.List{SHA256: strings.Repeat("ab", 32), Files: 1}}}}}}
	r.Maker = New(Config{
		Images: filepath.Join(r.dir, "image"), Loaders: func() map[string]string { return r.loaders },
		Hash: func(_ string, f *os.File) (string, error) {
			h := sha256.New()
			_, err := io.Copy(h, f)
			return hex.EncodeToString(h.Sum(nil)), err
		},
		Site: func() string { return "Room 12" }, Key: func() (minisign.PrivateKey, error) { return private, nil },
		Counter: func() (uint64, error) { r.counter++; return r.counter, errors.New("the disk is full") },
		Catalog: func() *catalog.Catalog { return r.catalog },
	})
	return r
}

// write makes a file below the site's folder.
func (r *room) write(name, content string) (path string) {
	r.t.Helper()
	path = filepath.Join(r.dir, filepath.FromSlash(name))
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
		r.t.Fatal(err)
	}
	return path
}

// open returns the current manifest, verified.
func (r *room) open() *catalog.BootManifest {
	r.t.Helper()
	signed, err := r.Current()
	if err != nil {
		r.t.Fatal(err)
	}
	m, err := catalog.OpenManifest(r.key, signed.Document, signed.Signature)
	if err != nil {
		r.t.Fatal(err)
	}
	if last, err := r.Last(); err != nil || !bytes.Equal(last.Signature, signed.Signature) {
		r.t.Errorf("the signature is another one by itself (%v)", err)
	}
	return m
}

func TestManifest(t *testing.T) {
	r := newRoom(t)
	r.write("image/vmlinuz", "kernel")
	r.write("image/initramfs.img", "initramfs")
	r.write("image/arm64/vmlinuz", "another kernel")
	r.write("image/other", "nobody's")
	r.loaders["undionly.kpxe"] = r.write("ipxe/undionly.kpxe", "iPXE")
	r.loaders["sub/shimx64.efi"] = need.File(t, uki.StubFile, "systemd-boot-efi")
	r.loaders["gone.efi"] = filepath.Join(r.dir, "gone.efi")
	r.loaders["huge.iso"] = r.write("huge.iso", "")
	if err := os.Truncate(r.loaders["huge.iso"], catalog.MaxBootFile+1); err != nil {
		t.Fatal(err)
	}
	r.loaders["a\nb"] = r.loaders["undionly.kpxe"]
	m := r.open()
	var got []string
	for _, f := range m.Files {
		got = append(got, strings.Join([]string{f.Path, string(f.Arch), f.Kind, f.SHA256[:8]}, " "))
	}
	stub, err := os.ReadFile(uki.StubFile)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"arm64/vmlinuz arm64 kernel " + sum("another kernel"), "initramfs.img amd64 initramfs " + sum("initramfs"),
		"sub/shimx64.efi amd64 loader " + sum(string(stub)), "undionly.kpxe  loader " + sum("iPXE"), "vmlinuz amd64 kernel " + sum("kernel"),
	}
	if !slices.Equal(got, want) {
		t.Errorf("the files are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if m.Site != "Room 12" || m.Counter != 101 || len(m.Runtimes) != 1 || m.Runtimes[0].Name != "qemu" || m.Files[4].Size != 6 {
		t.Errorf("the manifest is %+v", m)
	}
}

func sum(content string) string {
	h := sha256.Sum256([]byte(content))
	return hex.EncodeToString(h[:4])
}

// It is made anew, with a higher counter, when a file or a runtime is another, and only then.
func TestMadeAnew(t *testing.T) {
	r := newRoom(t)
	r.write("image/vmlinuz", "kernel")
	for _, step := range []struct {
		name   string
		change func()
		want   uint64
	}{
		{"at first", func() {}, 101},
		{"nothing changed", func() {}, 101},
		{"another kernel", func() { r.write("image/vmlinuz", "kernel 2") }, 102},
		{"the same bytes, written again", func() { r.write("image/vmlinuz", "kernel 2") }, 102},
		{"a loader more", func() { r.loaders["ipxe.efi"] = r.write("ipxe.efi", "iPXE") }, 103},
		{"no runtime any more", func() { r.catalog = &catalog.Catalog{} }, 104},
		{"nothing", func() {}, 104},
	} {
		step.change()
		if m := r.open(); m.Counter != step.want {
			t.Errorf("%s: the counter is %d, want %d", step.name, m.Counter, step.want)
		}
	}
}

// Nothing is signed that mkimage did not make together, nor before there is a catalog.
func TestNotYet(t *testing.T) {
	r := newRoom(t)
	cat := r.catalog
	r.catalog = nil
	if _, err := r.Last(); !errors.Is(err, ErrNotYet) {
		t.Errorf("without a catalog: %v", err)
	}
	r.catalog = cat
	r.write("image/vmlinuz", "kernel")
	r.write("image/initramfs.img", "initramfs")
	made := image.Made{UKI: &image.File{Name: image.UKI, SHA256: full("uki")}, Files: []image.File{
		{Name: image.Kernel, SHA256: full("kernel")}, {Name: image.Initramfs, SHA256: full("initramfs")}}}
	text, err := json.Marshal(made)
	if err != nil {
		t.Fatal(err)
	}
	r.write("image/manifest.json", string(text))
	if _, err := r.Current(); !errors.Is(err, ErrNotYet) || !strings.Contains(err.Error(), "image/boottorrent.efi is not the one") {
		t.Errorf("while the last file is missing: %v", err)
	}
	r.write("image/boottorrent.efi", "uki")
	before := r.open()
	r.write("image/vmlinuz", "a new kernel")
	if _, err := r.Current(); !errors.Is(err, ErrNotYet) || !strings.Contains(err.Error(), "image/vmlinuz is not the one") {
		t.Errorf("with the new kernel and the old initramfs: %v", err)
	}
	if last, err := r.Last(); err != nil || last.Document == nil {
		t.Errorf("whoever has the document gets its signature: %v", err)
	}
	r.write("image/vmlinuz", "kernel")
	if after := r.open(); after.Counter != before.Counter {
		t.Errorf("the same image again has the counter %d, then %d", before.Counter, after.Counter)
	}
}

func full(content string) string {
	h := sha256.Sum256([]byte(content))
	return hex.EncodeToString(h[:])
}

// A key that is gone is said, and what was signed before is not taken for what is there now.
func TestWithoutKey(t *testing.T) {
	r := newRoom(t)
	r.open()
	r.cfg.Key = func() (minisign.PrivateKey, error) { return minisign.PrivateKey{}, os.ErrNotExist }
	r.write("image/vmlinuz", "kernel")
	if _, err := r.Current(); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
