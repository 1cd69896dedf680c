// Package bootmanifest makes the signed boot manifest of a running seeder (catalog.BootManifest). In goes where the files are that
// firmware, boot loaders and nodes are served, and what the catalog says of runtimes; out comes a document with its signature. It is
// made when somebody asks for it, and anew only if something in it has changed since.
package bootmanifest

import (
	"bytes"
	"debug/pe"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sync"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/self"
)

// Config says what a manifest is made of. Its functions are asked each time.
type Config struct {
	// Images is the site's image folder.
	Images string
	// Loaders are the files of boot loaders by the names that they are served under.
	Loaders func() map[string]string
	// Hash returns the SHA-256 of an open file, in hexadecimal, and leaves the file at its start; path is the file's.
	Hash func(path string, f *os.File) (string, error)
	// Site is the site's name, Key its secret key.
	Site func() string
	Key  func() (minisign.PrivateKey, error)
	// Counter returns the next number, see package counter. What is wrong with it is no reason not to serve it.
	Counter func() (uint64, error)
	// Catalog is the catalog that is served; nil: none is yet.
	Catalog func() *catalog.Catalog
	// Start is what boot scripts are made of.
	Start func() catalog.BootStart
}

// ErrNotYet says that there is nothing to sign at this moment, but will be soon: the catalog is not made yet, or an image is being replaced.
var ErrNotYet = errors.New("come again in a few seconds")

// Maker makes the manifest. Its methods may be called concurrently.
type Maker struct {
	cfg Config

	mu     sync.Mutex
	made   *catalog.BootManifest
	signed Signed
}

// Signed is a manifest as it is served: the document, and the minisign signature file of exactly these bytes.
type Signed struct{ Document, Signature []byte }

// New returns a maker that has made nothing yet.
func New(cfg Config) *Maker { return &Maker{cfg: cfg} }

// Current returns the manifest of what is served now. It is the one that was returned before, with its counter, if nothing has changed.
func (m *Maker) Current() (Signed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, err := m.collect()
	if err == nil {
		err = m.renew(now)
	}
	if err != nil {
		return Signed{}, fmt.Errorf("make the boot manifest: %w", err)
	}
	return m.signed, nil
}

// Last returns the manifest that Current returned last, whose signature somebody who has the document wants; if there is none, the current one.
func (m *Maker) Last() (Signed, error) {
	m.mu.Lock()
	last := m.signed
	m.mu.Unlock()
	if last.Document != nil {
		return last, nil
	}
	return m.Current()
}

// renew signs what there is now, if it is something else than before.
func (m *Maker) renew(now *catalog.BootManifest) error {
	if m.made != nil {
		now.Counter = m.made.Counter
		document, err := now.Encode()
		if err != nil || bytes.Equal(document, m.signed.Document) {
			return err
		}
	}
	key, err := m.cfg.Key()
	if err != nil {
		return err
	}
	now.Counter, _ = m.cfg.Counter() // the error was logged, and is in the seeder's status
	document, err := now.Encode()
	if err != nil {
		return err
	}
	m.made, m.signed = now, Signed{document, catalog.SignManifest(key, document)}
	return nil
}

// collect makes the manifest of what there is, without a counter.
func (m *Maker) collect() (*catalog.BootManifest, error) {
	cat := m.cfg.Catalog()
	if cat == nil {
		return nil, fmt.Errorf("the seeder is still reading its site; %w", ErrNotYet)
	}
	made := &catalog.BootManifest{Version: catalog.ManifestVersion, Site: m.cfg.Site(), Runtimes: runtimes(cat)}
	for _, a := range arch.All {
		files, err := m.image(a)
		if err != nil {
			return nil, err
		}
		made.Files = append(made.Files, files...)
	}
	if m.cfg.Start != nil {
		start := m.cfg.Start()
		made.Start = &start
	}
	loaders, err := m.loaders()
	made.Files = append(made.Files, loaders...)
	return made, err
}

func runtimes(cat *catalog.Catalog) (all []catalog.BootRuntime) {
	for _, r := range cat.Runtimes {
		all = append(all, catalog.BootRuntime{Name: r.Name, InfoHash: r.InfoHash, List: r.List, Size: r.Size})
	}
	return all
}

// kinds are those of an image's files.
var kinds = map[string]string{image.Kernel: catalog.KindKernel, image.Initramfs: catalog.KindInitramfs, image.UKI: catalog.KindUKI, image.HTTPDisk: catalog.KindDisk}

// image are the files of the image for an architecture; none if there is no image. Files that mkimage has not made together, as while it
// is replacing them, are not signed.
func (m *Maker) image(a arch.Arch) (files []catalog.BootFile, err error) {
	folder := filepath.Join(m.cfg.Images, filepath.FromSlash(image.Folder(a)))
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		f, err := m.file(filepath.Join(folder, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		f.Path, f.Arch, f.Kind = path.Join(image.Folder(a), name), a, kinds[name]
		files = append(files, f)
	}
	return files, together(folder, files)
}

// together reports files of an image that are not those of which its own manifest speaks.
func together(folder string, files []catalog.BootFile) error {
	made, err := image.ReadMade(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // of an older release, or somebody's own
	}
	if err != nil {
		return fmt.Errorf("%s: %w", folder, err)
	}
	want := slices.Clone(made.Files)
	if made.UKI != nil {
		want = append(want, *made.UKI)
	}
	for _, w := range want {
		there := slices.ContainsFunc(files, func(f catalog.BootFile) bool { return path.Base(f.Path) == w.Name && f.SHA256 == w.SHA256 })
		if _, served := kinds[w.Name]; served && !there {
			return fmt.Errorf("%s is not the one of which %s there speaks: the image is being replaced, or damaged (see "+self.Seeder()+" check); %w",
				filepath.Join(folder, w.Name), image.Manifest, ErrNotYet)
		}
	}
	return nil
}

// loaders are the boot loaders that are there. What the site's folders hold beside programs is served and named too, but not what has a
// name that nobody should have to write, what is larger than readers take, and what can't be read, so that nobody is served it either.
func (m *Maker) loaders() (files []catalog.BootFile, err error) {
	for name, at := range m.cfg.Loaders() {
		if catalog.CheckPath(name) != nil {
			continue
		}
		if info, err := os.Stat(at); err == nil && info.Size() > catalog.MaxBootFile {
			continue // before all of it is hashed
		}
		f, err := m.file(at)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			continue
		}
		if err != nil {
			return nil, err
		}
		f.Path, f.Kind = name, catalog.KindLoader
		if f.Arch, err = machine(at); err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

// file is a file's size and hash.
func (m *Maker) file(at string) (b catalog.BootFile, err error) {
	f, err := os.Open(at)
	if err != nil {
		return b, err
	}
	defer f.Close()
	if b.SHA256, err = m.cfg.Hash(at, f); err != nil {
		return b, err
	}
	info, err := f.Stat()
	if err == nil {
		b.Size = info.Size()
	}
	return b, err
}

// machine is the architecture of a UEFI program (PE/COFF); empty for any other file. Those for a BIOS are no PE files.
func machine(at string) (arch.Arch, error) {
	f, err := os.Open(at)
	if err != nil {
		return "", err
	}
	defer f.Close()
	program, err := pe.NewFile(f)
	if err != nil {
		return "", nil
	}
	switch program.Machine {
	case pe.IMAGE_FILE_MACHINE_AMD64:
		return arch.AMD64, nil
	case pe.IMAGE_FILE_MACHINE_ARM64:
		return arch.ARM64, nil
	}
	return "", nil
}
