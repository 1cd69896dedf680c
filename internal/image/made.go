package image

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/sitepart"
)

// File is one of the files of an image.
type File struct {
	Name string `json:"name"`
	// Size is in bytes.
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Made is the part of the manifest by which an image is judged.
type Made struct {
	// Arch is the nodes' architecture. Images of the first releases don't say: they are of amd64.
	Arch arch.Arch `json:"arch"`
	// Files are those that a node loads.
	Files []File `json:"files"`
	// UKI is them in one UEFI program, Modules the archive of kernel modules for QEMU; nil if there is none.
	UKI     *File `json:"uki"`
	Modules *File `json:"modules"`
	// HTTPDisk is the disk image for UEFI HTTP boot; nil if there is none.
	HTTPDisk *File `json:"http_disk"`
	// Loaders are boot loaders, by their paths below the image's folder.
	Loaders []File `json:"loaders"`
	// Commands say which release and which source it was made of; both may be empty.
	Commands struct {
		Release  string `json:"release"`
		Revision string `json:"revision"`
	} `json:"commands"`
	// SignedBy is the certificate for Secure Boot whose key has signed the UEFI program; nil if nobody has.
	SignedBy *Signer `json:"signed_by"`
	// SitePart is what of the site is built in, Cmdline what its kernel is told by media and by UEFI HTTP boot. Images of the first
	// releases don't say: then SitePart is nil.
	SitePart *sitepart.Config `json:"site_part"`
	Cmdline  string           `json:"cmdline"`
}

// Signer is a certificate whose key has signed something.
type Signer struct {
	// Name is the common name of its subject, SHA256 the hash of its DER encoding in hexadecimal.
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
}

// ReadMade reads the manifest of the image in dir. Without one the error is an fs.ErrNotExist.
func ReadMade(dir string) (*Made, error) {
	body, err := os.ReadFile(filepath.Join(dir, Manifest))
	if err != nil {
		return nil, err
	}
	var m Made
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", Manifest, err)
	}
	if len(m.Files) == 0 {
		return nil, fmt.Errorf("%s is damaged: it lists no files", Manifest)
	}
	return &m, nil
}

// Verify compares the files in dir with what the manifest says of them. The errors name the files that are not there or are
// others.
func (m *Made) Verify(dir string) []error {
	files := append(m.Files[:len(m.Files):len(m.Files)], m.Loaders...)
	for _, f := range []*File{m.UKI, m.HTTPDisk, m.Modules} {
		if f != nil {
			files = append(files[:len(files):len(files)], *f)
		}
	}
	var wrong []error
	for _, f := range files {
		if err := f.verify(dir); err != nil {
			wrong = append(wrong, err)
		}
	}
	return wrong
}

func (f File) verify(dir string) error {
	file, err := os.Open(filepath.Join(dir, filepath.FromSlash(path.Clean("/"+f.Name))))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is missing", f.Name)
	}
	if err != nil {
		return fmt.Errorf("%s can't be read: %w", f.Name, err)
	}
	defer file.Close()
	h := sha256.New()
	n, err := io.Copy(h, file)
	switch {
	case err != nil:
		return fmt.Errorf("%s can't be read: %w", f.Name, err)
	case n != f.Size:
		return fmt.Errorf("%s has %d bytes, and %s says %d", f.Name, n, Manifest, f.Size)
	case hex.EncodeToString(h.Sum(nil)) != f.SHA256:
		return fmt.Errorf("%s is not the one of which %s speaks", f.Name, Manifest)
	}
	return nil
}
