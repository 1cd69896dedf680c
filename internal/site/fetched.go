package site

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// Files are those of a system: in its folder, and those that came from elsewhere, which are read as if they were in it. Nothing that is
// read through it is outside of the two.
type Files struct {
	folder *os.Root
	// fetched is nil where nothing was fetched yet; from has the SHA-256 of each file that comes from elsewhere, by its path.
	fetched *os.Root
	from    map[string]string
}

// openFiles opens a system's folder, and the one with the files that were fetched, which may be missing or empty.
func openFiles(dir, fetched string) (*Files, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	f := &Files{folder: root, from: map[string]string{}}
	if fetched != "" {
		if f.fetched, err = os.OpenRoot(fetched); err != nil {
			f.fetched = nil // then nothing was fetched, or it can't be read, and is missing
		}
	}
	return f, nil
}

// Open opens the files of a system, which the caller closes.
func (s *System) Open() (*Files, error) {
	f, err := openFiles(s.Dir, s.Fetched)
	if err != nil {
		return nil, err
	}
	for _, o := range s.From {
		if o.inFolder() {
			f.from[o.Path] = o.SHA256
		}
	}
	return f, nil
}

// Path is where one of the system's files is.
func (s *System) Path(name string) string {
	for _, o := range s.From {
		if o.Path == name && o.inFolder() {
			return filepath.Join(s.Fetched, o.SHA256)
		}
	}
	return filepath.Join(s.Dir, filepath.FromSlash(name))
}

// Close closes the folders.
func (f *Files) Close() error {
	if f.fetched == nil {
		return f.folder.Close()
	}
	return errors.Join(f.folder.Close(), f.fetched.Close())
}

// Name is the path of the system's folder.
func (f *Files) Name() string { return f.folder.Name() }

// Names are those of the files that come from elsewhere, sorted.
func (f *Files) Names() []string { return slices.Sorted(maps.Keys(f.from)) }

// From reports whether a file comes from elsewhere.
func (f *Files) From(name string) bool { return f.from[name] != "" }

// Digest is the SHA-256 of a file that comes from elsewhere, in hex; empty: it is the folder's own.
func (f *Files) Digest(name string) string { return f.from[name] }

// Absent reports whether a file is still to be fetched.
func (f *Files) Absent(name string) bool {
	sum := f.from[name]
	return sum != "" && !f.has(sum)
}

// has reports whether what has a SHA-256 was fetched. It has its name only when its content was found right.
func (f *Files) has(sum string) bool {
	if f.fetched == nil {
		return false
	}
	info, err := f.fetched.Lstat(sum)
	return err == nil && info.Mode().IsRegular()
}

// at is where a file is: the folder, and its name in it.
func (f *Files) at(name string) (*os.Root, string) {
	if sum := f.from[name]; sum != "" && f.fetched != nil {
		return f.fetched, sum
	}
	return f.folder, name
}

// Stat returns what is known of a file; links are followed within the folder.
func (f *Files) Stat(name string) (fs.FileInfo, error) {
	root, name := f.at(name)
	return root.Stat(name)
}

// Lstat is Stat of the link itself.
func (f *Files) Lstat(name string) (fs.FileInfo, error) {
	root, name := f.at(name)
	return root.Lstat(name)
}

// Open opens a file for reading.
func (f *Files) Open(name string) (*os.File, error) { return f.OpenFile(name, os.O_RDONLY, 0) }

// OpenFile opens a file as os.OpenFile does.
func (f *Files) OpenFile(name string, flag int, perm os.FileMode) (*os.File, error) {
	root, name := f.at(name)
	return root.OpenFile(name, flag, perm)
}

// FS is the same as a file system. What comes from elsewhere is opened by its name, and not listed.
func (f *Files) FS() fs.FS {
	if len(f.from) == 0 {
		return f.folder.FS()
	}
	return filesFS{f}
}

type filesFS struct{ *Files }

func (f filesFS) Open(name string) (fs.File, error) {
	root, name := f.at(name)
	return root.FS().Open(name)
}

func (f filesFS) Stat(name string) (fs.FileInfo, error) { return f.Files.Stat(name) }

func (f filesFS) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(f.folder.FS(), name) }
