package catalog

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
)

// File is one file of a system.
type File struct {
	// Path is relative to the system's folder, with slashes, and clean; see CheckPath.
	Path string `json:"path"`
	// Size is in bytes.
	Size int64 `json:"size"`
	// SHA256 is in lower-case hexadecimal.
	SHA256 string `json:"sha256"`
}

// FileList are the files of a system, in the order of the torrent's file list.
type FileList []File

// List identifies a FileList.
type List struct {
	// SHA256 is that of the encoded list, in lower-case hexadecimal.
	SHA256 string `json:"sha256"`
	// Files is how many there are.
	Files int `json:"files"`
}

func (l List) validate() error {
	if l.Files < 1 || l.Files > MaxFiles {
		return fmt.Errorf("it has %d files, and nodes read 1 to %d; put them into an archive or a disk image", l.Files, MaxFiles)
	}
	if !isSum(l.SHA256) {
		return fmt.Errorf("%q is not the SHA-256 of its list of files", l.SHA256)
	}
	return nil
}

func isSum(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == sha256.Size
}

// Size is the sum over the files in bytes.
func (l FileList) Size() (sum int64) {
	for _, f := range l {
		sum += f.Size
	}
	return sum
}

// Sizes are the sizes in bytes by the paths.
func (l FileList) Sizes() map[string]int64 {
	sizes := make(map[string]int64, len(l))
	for _, f := range l {
		sizes[f.Path] = f.Size
	}
	return sizes
}

// Encode returns the list as it is hashed and served: a JSON array with a file on each line. It refuses what [System.OpenFiles]
// would refuse, of whatever system.
func (l FileList) Encode() ([]byte, error) {
	if err := l.Validate(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for i, f := range l {
		b.WriteByte("[,"[min(i, 1)])
		if err := e.Encode(f); err != nil { // ends in a newline
			return nil, fmt.Errorf("encode list of files: %w", err)
		}
	}
	b.WriteString("]\n")
	if b.Len() > MaxFileList {
		return nil, fmt.Errorf("the list of its %d files has %d bytes, and nodes read %d; shorten their paths, or put them into an archive",
			len(l), b.Len(), MaxFileList)
	}
	return b.Bytes(), nil
}

// Validate reports the first thing that makes the list unusable for nodes.
func (l FileList) Validate() error {
	if len(l) == 0 || len(l) > MaxFiles {
		return fmt.Errorf("there are %d files, and nodes read 1 to %d", len(l), MaxFiles)
	}
	seen := make(map[string]bool, len(l))
	var size int64
	for _, f := range l {
		if err := CheckPath(f.Path); err != nil {
			return err
		}
		if seen[f.Path] {
			return fmt.Errorf("the file %q is listed twice", f.Path)
		}
		seen[f.Path] = true
		if f.Size < 0 || f.Size > MaxSize-size {
			return fmt.Errorf("the file %q has an impossible size of %d bytes", f.Path, f.Size)
		}
		size += f.Size
		if !isSum(f.SHA256) {
			return fmt.Errorf("the file %q: %q is not a SHA-256", f.Path, f.SHA256)
		}
	}
	for _, f := range l {
		for p := path.Dir(f.Path); p != "."; p = path.Dir(p) {
			if seen[p] {
				return fmt.Errorf("%q is both a file and a folder", p)
			}
		}
	}
	return nil
}

// SetFiles makes the list the system's: it sets List and Size, and returns the document to serve at [FileListPath].
func (s *System) SetFiles(l FileList) (document []byte, err error) {
	if document, err = l.Encode(); err == nil {
		err = s.accepts(l)
	}
	if err != nil {
		return nil, fmt.Errorf("catalog: system %q: %w", s.Name, err)
	}
	sum := sha256.Sum256(document)
	s.List = List{SHA256: hex.EncodeToString(sum[:]), Files: len(l)}
	s.Size = l.Size()
	return document, nil
}

// OpenFiles verifies that a document is the list of the system's files, and decodes it.
func (s *System) OpenFiles(document []byte) (FileList, error) {
	bad := func(err error) (FileList, error) {
		return nil, fmt.Errorf("the list of the files of %q: %w", s.Name, err)
	}
	if sum := sha256.Sum256(document); hex.EncodeToString(sum[:]) != s.List.SHA256 {
		return bad(fmt.Errorf("its SHA-256 is %x, the catalog says %s; fetch the catalog anew from the same seeder", sum, s.List.SHA256))
	}
	l, err := decodeFiles(document)
	if err != nil {
		return bad(err)
	}
	if len(l) != s.List.Files {
		return bad(fmt.Errorf("it has %d files, the catalog says %d", len(l), s.List.Files))
	}
	if size := l.Size(); size != s.Size {
		return bad(fmt.Errorf("they have %d bytes together, the catalog says %d", size, s.Size))
	}
	if err := s.accepts(l); err != nil {
		return bad(err)
	}
	return l, nil
}

func decodeFiles(document []byte) (l FileList, err error) {
	if len(document) > MaxFileList {
		return nil, fmt.Errorf("it has %d bytes; nodes read %d", len(document), MaxFileList)
	}
	if err := json.Unmarshal(document, &l); err != nil {
		return nil, err
	}
	return l, l.Validate()
}

// accepts reports what is missing among files, or is too large, for the system's method.
func (s *System) accepts(l FileList) error {
	sizes := l.Sizes()
	for _, p := range s.Launch.programs() {
		if _, ok := sizes[p]; !ok {
			return fmt.Errorf("%q is not among its files", p)
		}
	}
	return s.Launch.CheckSizes(sizes)
}
