package store

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/internal/swarm"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// open opens a store that is closed with the test, unless that does it before.
func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir, discard())
	if err != nil {
		t.Fatal(err)
	}
	s.retryAfter = time.Millisecond
	t.Cleanup(func() { s.Close() })
	return s
}

// content is size bytes that depend on seed.
func content(seed uint64, size int) []byte {
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{byte(seed), 1}).Read(b)
	return b
}

// makeSystem writes the files of a system. Order is that of the names given.
func makeSystem(t *testing.T, name string, files ...file) site.System {
	t.Helper()
	s := site.System{
		Name: name, Dir: filepath.Join(t.TempDir(), name), Title: "The " + name, Description: "text", Arch: "amd64", Hidden: true,
		Launch: catalog.Launch{Method: catalog.MethodKexec, Kexec: &catalog.Kexec{Kernel: files[0].path, Cmdline: "quiet"}},
	}
	for _, f := range files {
		write(t, filepath.Join(s.Dir, f.path), f.body)
		s.Files = append(s.Files, f.path)
	}
	return s
}

type file struct {
	path string
	body []byte
}

func write(t *testing.T, path string, body []byte) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, body, 0o644)); err != nil {
		t.Fatal(err)
	}
}

func importSystem(t *testing.T, s *Store, sys site.System) Version {
	t.Helper()
	v, err := s.Import(t.Context(), sys, nil)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// reads counts how often a system is read: its progress begins.
func reads(t *testing.T, s *Store, sys site.System) (v Version, read bool) {
	t.Helper()
	v, err := s.Import(t.Context(), sys, func(system string, done, total int64) {
		read = true
		if system != sys.Name || done <= 0 || done > total {
			t.Errorf("progress of %s: %d of %d", system, done, total)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return v, read
}

func checkStored(t *testing.T, v Version, files ...file) {
	t.Helper()
	for _, f := range files {
		got, err := os.ReadFile(filepath.Join(v.Dir, v.System.Name, f.path))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(got, f.body) {
			t.Errorf("%s: %d bytes are stored that are not the %d that were there", f.path, len(got), len(f.body))
		}
	}
}

// entries lists the store's folders.
func entries(t *testing.T, s *Store) (names []string) {
	t.Helper()
	list, err := os.ReadDir(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if e.Name() != indexFile {
			names = append(names, e.Name())
		}
	}
	return names
}

// piece is the length of the pieces of small systems, in bytes.
var piece = int(swarm.PieceLength(0))

var sizes = map[string][]int{
	"one small file":       {1},
	"one piece":            {piece},
	"a piece and a byte":   {piece + 1},
	"across a boundary":    {300 << 10, 300 << 10, 5},
	"many in a piece":      {10, 20, 30, 0, 40},
	"empty ones first":     {0, 0, 7},
	"empty ones last":      {piece, 0, 0},
	"many pieces":          {3<<20 + 17, 1, 2<<20 - 17},
	"more than all blocks": {20 << 20},
}

// TestSums compares with sums made the plain way.
func TestSums(t *testing.T) {
	for name, sizes := range sizes {
		t.Run(name, func(t *testing.T) {
			var files []file
			var all []byte
			for i, size := range sizes {
				f := file{filepath.Join(strings.Repeat("sub/", i%3), string(rune('a'+i))), content(uint64(i), size)}
				files, all = append(files, f), append(all, f.body...)
			}
			s := open(t, t.TempDir())
			sys := makeSystem(t, "tiny", files...)
			v := importSystem(t, s, sys)
			checkStored(t, v, files...)

			want := catalog.System{
				Name: "tiny", Title: "The tiny", Description: "text", Arch: "amd64", Hidden: true, Launch: sys.Launch,
				InfoHash: v.System.InfoHash, PieceLength: int64(piece), PieceSums: v.System.PieceSums,
			}
			var list catalog.FileList
			for _, f := range files {
				sum := sha256.Sum256(f.body)
				list = append(list, catalog.File{Path: f.path, Size: int64(len(f.body)), SHA256: hex.EncodeToString(sum[:])})
			}
			if document, err := want.SetFiles(list); err != nil || !bytes.Equal(document, v.FileList) || !reflect.DeepEqual(v.Files, list) {
				t.Errorf("the list of files is %s, %v", v.FileList, err)
			}
			if !reflect.DeepEqual(v.System, want) {
				t.Errorf("got  %+v\nwant %+v", v.System, want)
			}
			r, ok, err := s.index.version(v.System.InfoHash)
			if err != nil || !ok {
				t.Fatalf("not in the index: %v", err)
			}
			var pieces, pieces256 []byte
			for from := 0; from < len(all); from += piece {
				b := all[from:min(len(all), from+piece)]
				sum, sum256 := sha1.Sum(b), sha256.Sum256(b)
				pieces, pieces256 = append(pieces, sum[:]...), append(pieces256, sum256[:]...)
			}
			if !bytes.Equal(r.Pieces, pieces) || !bytes.Equal(r.PieceSums, pieces256) {
				t.Error("the sums of the pieces are wrong")
			}
			// The torrent has those, and the catalog names them.
			if ofAll := sha256.Sum256(pieces256); v.System.PieceSums != hex.EncodeToString(ofAll[:]) || !bytes.Contains(v.Torrent, pieces256) {
				t.Errorf("the catalog names %q as the sum of the pieces' sums", v.System.PieceSums)
			}
			if err := swarm.CheckMetainfo(v.Torrent, v.System, v.Files); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestOverwrittenInPlace(t *testing.T) {
	s := open(t, t.TempDir())
	before, after := file{"initrd", content(1, 1<<20)}, file{"initrd", content(2, 1<<20)}
	kernel := file{"vmlinuz", content(3, 1000)}
	sys := makeSystem(t, "tiny", kernel, before)
	old := importSystem(t, s, sys)

	f, err := os.OpenFile(filepath.Join(sys.Dir, "initrd"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(after.body); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	// As tools that copy times do. The change must be seen all the same.
	if err := os.Chtimes(f.Name(), info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	checkStored(t, old, kernel, before)

	changed := importSystem(t, s, sys)
	if changed.System.InfoHash == old.System.InfoHash {
		t.Fatal("the change was not seen")
	}
	checkStored(t, changed, kernel, after)
	checkStored(t, old, kernel, before)

	if err := s.Prune([]catalog.InfoHash{changed.System.InfoHash}); err != nil {
		t.Fatal(err)
	}
	checkStored(t, changed, kernel, after)
	if got := entries(t, s); len(got) != 1 || got[0] != changed.System.InfoHash.String() {
		t.Errorf("after Prune the store has %v", got)
	}
	if _, read := reads(t, s, sys); read {
		t.Error("the version that was kept is read again")
	}
	if err := s.Prune(nil); err != nil {
		t.Fatal(err)
	}
	if v, read := reads(t, s, sys); !read {
		t.Error("a version that was pruned is not read again")
	} else {
		checkStored(t, v, kernel, after)
	}
}
