package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/internal/swarm"
)

// stamp tells whether a file was changed, without reading it. The change time, which nobody can set, finds files
// that were overwritten and then given their old modification time back. Times are in ns since 1970.
type stamp struct {
	size, modified, changed int64
	inode                   uint64
	// allocated is what it takes on the disk, in bytes: of a sparse file less than its size.
	allocated int64
	// digest is the SHA-256 of a file that came from elsewhere, in hex. It is never written again, and of the rest only the sizes count.
	digest string
}

// of is the stamp of a file that came from elsewhere if digest is not empty.
func (s stamp) of(digest string) stamp {
	if digest == "" {
		return s
	}
	return stamp{size: s.size, allocated: s.allocated, digest: digest}
}

func stampOf(info os.FileInfo) stamp {
	s := stamp{size: info.Size(), modified: info.ModTime().UnixNano()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		s.changed, s.inode, s.allocated = st.Ctim.Nano(), st.Ino, st.Blocks*512
	}
	return s
}

// same reports whether a file is as it was. What it takes on the disk may change later than its content, when it is written back.
func (s stamp) same(as stamp) bool {
	s.allocated = as.allocated
	return s == as
}

// fingerprint is the SHA-256 over everything that decides whether a system must be stored anew.
type fingerprint [sha256.Size]byte

// source is a system's files as the operator keeps them, and as they came from elsewhere. It never leaves the system's folder, whatever symbolic
// links there are by now.
type source struct {
	system      string
	root        *site.Files
	path        func(name string) string
	files       []string
	stamps      []stamp
	size        int64
	pieceLength int64
}

// openSource finds the files of a system and takes their stamps. The caller closes the source.
func openSource(sys site.System) (*source, error) {
	root, err := sys.Open()
	if err != nil {
		return nil, fmt.Errorf("open system %s: %w", sys.Name, err)
	}
	s := &source{system: sys.Name, root: root, path: sys.Path, files: sys.Files}
	if err := s.takeStamps(); err != nil {
		root.Close()
		return nil, err
	}
	return s, nil
}

func (s *source) close() error { return s.root.Close() }

func (s *source) takeStamps() error {
	s.stamps, s.size = nil, 0
	for _, name := range s.files {
		now, err := s.stamp(name)
		if err != nil {
			return err
		}
		s.stamps = append(s.stamps, now)
		s.size += now.size
	}
	if s.size == 0 {
		return fmt.Errorf("system %s has nothing in its files; copy them again", s.system)
	}
	s.pieceLength = swarm.PieceLength(s.size)
	return nil
}

func (s *source) stamp(name string) (stamp, error) {
	info, err := s.root.Stat(name)
	if err != nil {
		return stamp{}, fmt.Errorf("system %s: %w", s.system, err)
	}
	if !info.Mode().IsRegular() {
		return stamp{}, fmt.Errorf("system %s: %s is not a regular file", s.system, name)
	}
	return stampOf(info).of(s.root.Digest(name)), nil
}

// tick is longer than the clocks of file systems take from one value to the next (4 to 10 ms). A second change within
// a tick leaves the stamp as it is.
const tick = 50 * time.Millisecond

// unsettled is how long to wait until every later change will show in the stamps.
func (s *source) unsettled(now time.Time) time.Duration {
	var wait time.Duration
	for _, st := range s.stamps {
		if age := now.Sub(time.Unix(0, st.changed)); age >= 0 && age < tick {
			wait = max(wait, tick-age)
		}
	}
	return wait
}

func (s *source) fingerprint() (f fingerprint) {
	h := sha256.New()
	fmt.Fprintf(h, "%q %d\n", s.system, s.pieceLength)
	for i, name := range s.files {
		st := s.stamps[i]
		if st.digest != "" {
			fmt.Fprintf(h, "%q %d %s\n", name, st.size, st.digest)
			continue
		}
		fmt.Fprintf(h, "%q %d %d %d %d\n", name, st.size, st.modified, st.changed, st.inode)
	}
	h.Sum(f[:0])
	return f
}

// unchanged returns a *changedError if any file isn't what it was when the stamps were taken.
func (s *source) unchanged() error {
	for i, name := range s.files {
		now, err := s.stamp(name)
		if err != nil {
			return err
		}
		if !now.same(s.stamps[i]) {
			return &changedError{s.system, name}
		}
	}
	return nil
}

// compare returns an error if a file that came from elsewhere is not what it was when it came, and removes it: it is to be fetched again.
func (s *source) compare(sums [][sha256.Size]byte) error {
	for i, st := range s.stamps {
		if st.digest == "" || st.digest == hex.EncodeToString(sums[i][:]) {
			continue
		}
		damaged := fmt.Errorf("system %s: %s was damaged on the disk since it was fetched; it is fetched again. If that happens more than once, look at the disk", s.system, s.files[i])
		return errors.Join(damaged, os.Remove(s.path(s.files[i])))
	}
	return nil
}

// open opens a file for reading. Reads fail with a *changedError as soon as it isn't what its stamp says.
func (s *source) open(i int) (*steadyFile, error) {
	f, err := s.root.OpenFile(s.files[i], os.O_RDONLY|unix.O_NONBLOCK, 0) // it may have become a named pipe, which would wait for its writer
	if err != nil {
		return nil, fmt.Errorf("system %s: %w", s.system, err)
	}
	steady := &steadyFile{File: f, want: s.stamps[i], changed: &changedError{s.system, s.files[i]}}
	if err := steady.check(); err != nil {
		f.Close()
		return nil, err
	}
	return steady, nil
}

// steadyFile is a file that is supposed not to change.
type steadyFile struct {
	*os.File
	want    stamp
	changed error
}

func (f *steadyFile) check() error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !stampOf(info).of(f.want.digest).same(f.want) {
		return f.changed
	}
	return nil
}

// Read reads from the file, and then checks that it is still the same.
func (f *steadyFile) Read(p []byte) (int, error) {
	n, err := f.File.Read(p)
	if changed := f.check(); changed != nil {
		return 0, changed
	}
	return n, err
}

// changedError says that a file was written while it was read.
type changedError struct{ system, file string }

// IsChanging reports whether an import failed because its files are being written.
func IsChanging(err error) bool { return errors.As(err, new(*changedError)) }

func (e *changedError) Error() string {
	return fmt.Sprintf("system %s: %s changes while it is read; the system is read again when it is left alone", e.system, e.file)
}
