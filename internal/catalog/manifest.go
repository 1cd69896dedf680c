package catalog

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/internal/arch"
)

// ManifestVersion is the number of the format of a [BootManifest].
const ManifestVersion = 1

// BootManifest names what machines start before they have a catalog, so that whoever hands it on, a mirror for example, need not be
// trusted: each file that is served unchanged below [PathBoot], and the runtimes. What the seeder makes for each request, such as
// the iPXE script, is not in it. It is signed with the site's key, as the catalog is.
type BootManifest struct {
	// Version is [ManifestVersion]. Its name in JSON is no catalog's: neither document passes for the other, though one key signs both.
	Version int    `json:"boot_manifest"`
	Site    string `json:"site"`
	// Counter only grows from one manifest of a site to the next, as Catalog.Counter does. The two are drawn from one sequence.
	Counter uint64 `json:"counter"`
	// Files are sorted by path, which are unique.
	Files []BootFile `json:"files"`
	// Runtimes are those that the catalog lists, sorted by name. Their lists of files, which Runtime.List identifies, have the SHA-256 of each file.
	Runtimes []BootRuntime `json:"runtimes,omitempty"`
	// Start is what boot scripts are made of. Manifests of seeders older than the field have none.
	Start *BootStart `json:"start,omitempty"`
}

// BootStart is what whoever makes boot scripts for a site has to know of it: how phase 1 is started.
type BootStart struct {
	// Images are those of the architectures that the site has an image for.
	Images map[arch.Arch]ImageStart `json:"images"`
	// UEFI is what machines with UEFI start first, in the word of the site's configuration; empty: that is left to whoever serves.
	UEFI string `json:"uefi,omitempty"`
	// Original says that DHCP servers may name the boot loader of the original BootTorrent.
	Original bool `json:"original,omitempty"`
}

// ImageStart is how the kernel of an image is started.
type ImageStart struct {
	// Cmdline is its command line, but for what the boot loader adds, such as the seeder's address.
	Cmdline string `json:"cmdline"`
	// Graphics says that the boot loader of a BIOS is to ask for a frame buffer.
	Graphics bool `json:"graphics,omitempty"`
}

// BootFile is a file below [PathBoot].
type BootFile struct {
	// Path is relative to PathBoot: vmlinuz, arm64/vmlinuz, shimx64.efi.
	Path string `json:"path"`
	// Arch is the architecture of the machines that start it; empty where the file doesn't say, as boot loaders for a BIOS don't.
	Arch arch.Arch `json:"arch,omitempty"`
	// Kind is KindKernel, KindInitramfs, KindUKI, KindDisk or KindLoader; readers take others as they are.
	Kind string `json:"kind"`
	// Size is in bytes, SHA256 in lower-case hexadecimal.
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// The kinds of boot files.
const (
	KindKernel    = "kernel"
	KindInitramfs = "initramfs"
	KindUKI       = "uki"
	KindDisk      = "disk"
	KindLoader    = "loader"
)

// BootRuntime is a runtime as the catalog has it.
type BootRuntime struct {
	Name     string   `json:"name"`
	InfoHash InfoHash `json:"infohash"`
	List     List     `json:"list"`
	Size     int64    `json:"size"`
}

// Encode returns the document as it is signed and served: the same bytes for the same content, whatever the order of files and
// runtimes. It refuses what [OpenManifest] would refuse.
func (m *BootManifest) Encode() ([]byte, error) {
	sorted := *m
	sorted.Files, sorted.Runtimes = slices.Clone(m.Files), slices.Clone(m.Runtimes)
	if sorted.Files == nil {
		sorted.Files = []BootFile{}
	}
	slices.SortFunc(sorted.Files, func(a, b BootFile) int { return cmp.Compare(a.Path, b.Path) })
	slices.SortFunc(sorted.Runtimes, func(a, b BootRuntime) int { return cmp.Compare(a.Name, b.Name) })
	if err := sorted.Validate(); err != nil {
		return nil, err
	}
	document, err := encode(&sorted, "")
	if err == nil && len(document) > MaxManifest {
		err = fmt.Errorf("it has %d bytes, and %d are read", len(document), MaxManifest)
	}
	if err != nil {
		return nil, fmt.Errorf("encode boot manifest: %w", err)
	}
	return document, nil
}

// Validate reports everything that is wrong with the manifest, joined in one error.
func (m *BootManifest) Validate() error {
	if m.Version != ManifestVersion {
		return fmt.Errorf("boot manifest: version %d; this program speaks version %d", m.Version, ManifestVersion)
	}
	errs := []error{checkText("the site's name", m.Site, MaxName, "")}
	if m.Counter > MaxCounter {
		errs = append(errs, fmt.Errorf("its counter is %d; readers count to %d", m.Counter, int64(MaxCounter)))
	}
	if len(m.Files) > MaxBootFiles || len(m.Runtimes) > MaxSystems {
		errs = append(errs, fmt.Errorf("it names %d files and %d runtimes; %d and %d are read", len(m.Files), len(m.Runtimes), MaxBootFiles, MaxSystems))
	}
	for i, f := range m.Files {
		if i > 0 && m.Files[i-1].Path >= f.Path {
			errs = append(errs, fmt.Errorf("the file %q is there twice, or out of order", f.Path))
		}
		errs = append(errs, f.validate())
	}
	for i, r := range m.Runtimes {
		if i > 0 && m.Runtimes[i-1].Name >= r.Name {
			errs = append(errs, fmt.Errorf("the runtime %q is there twice, or out of order", r.Name))
		}
		errs = append(errs, r.validate())
	}
	if m.Start != nil {
		errs = append(errs, m.Start.validate())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("boot manifest: %w", err)
	}
	return nil
}

func (f *BootFile) validate() error {
	if err := CheckPath(f.Path); err != nil {
		return err
	}
	if _, err := arch.Parse(string(f.Arch)); f.Arch != "" && err != nil {
		return fmt.Errorf("%s: %w", f.Path, err)
	}
	if f.Kind == "" || f.Size < 0 || f.Size > MaxBootFile {
		return fmt.Errorf("%s: it is of kind %q and has %d bytes", f.Path, f.Kind, f.Size)
	}
	if !isSum(f.SHA256) {
		return fmt.Errorf("%s: %q is not a SHA-256", f.Path, f.SHA256)
	}
	return checkText("the kind of "+f.Path, f.Kind, MaxName, "")
}

func (s *BootStart) validate() error {
	errs := []error{checkText("what machines with UEFI start", s.UEFI, MaxName, "")}
	for a, i := range s.Images {
		if _, err := arch.Parse(string(a)); err != nil {
			errs = append(errs, err)
		}
		errs = append(errs, checkText("the command line of "+string(a), i.Cmdline, maxStartCmdline, ""))
	}
	return errors.Join(errs...)
}

// maxStartCmdline is COMMAND_LINE_SIZE of x86 and arm64 kernels, in bytes.
const maxStartCmdline = 2048

func (r *BootRuntime) validate() error {
	if err := cmp.Or(CheckName(r.Name), r.List.validate()); err != nil {
		return fmt.Errorf("the runtime %q: %w", r.Name, err)
	}
	if r.Size < 0 || r.Size > MaxSize {
		return fmt.Errorf("the runtime %q has %d bytes", r.Name, r.Size)
	}
	return nil
}

// OpenManifest verifies signature over document with the site's public key and decodes the document. The error wraps [ErrSignature]
// when the key did not make that signature, whatever the document says. Whoever has seen a manifest with a higher counter refuses this one.
func OpenManifest(key minisign.PublicKey, document, signature []byte) (*BootManifest, error) {
	if len(document) > MaxManifest {
		return nil, fmt.Errorf("boot manifest: it has %d bytes, and %d are read", len(document), MaxManifest)
	}
	if err := verify(key, document, signature); err != nil {
		return nil, fmt.Errorf("boot manifest: %w", err)
	}
	return decodeManifest(document)
}

// decodeManifest parses and validates a document whose signature has been checked.
func decodeManifest(document []byte) (*BootManifest, error) {
	var m BootManifest
	if err := json.Unmarshal(document, &m); err != nil {
		return nil, fmt.Errorf("decode boot manifest: %w", err)
	}
	if err := m.Validate(); err != nil {
		return nil, err
	}
	return &m, nil
}
