package swarm

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestPieceLength(t *testing.T) {
	for _, c := range []struct{ size, want int64 }{
		{0, 64 << 10}, {64 << 20, 64 << 10}, {256<<20 - 1, 64 << 10}, {256 << 20, 128 << 10}, {512 << 20, 256 << 10}, {1<<30 - 1, 256 << 10},
		{1 << 30, 512 << 10}, {3 << 30, 1 << 20}, {4 << 30, 2 << 20}, {8 << 30, 4 << 20}, {100 << 30, 4 << 20},
	} {
		if got := PieceLength(c.size); got != c.want {
			t.Errorf("PieceLength(%d) = %d, want %d", c.size, got, c.want)
		}
	}
}

// golden is a small torrent whose bytes never change.
func golden() (name string, files []FileEntry, pieceLength int64, pieces []byte, announce []string) {
	return "debian", []FileEntry{{"vmlinuz", 300_000}, {"live/initrd.gz", 0}, {"live/größe 1", 5}}, 256 << 10,
		bytes.Repeat([]byte("0123456789abcdefghij"), 2),
		[]string{"http://192.0.2.1:6969/announce", "http://198.51.100.1:6969/announce"}
}

func TestEncodeMetainfoGolden(t *testing.T) {
	got, h, err := EncodeMetainfo(golden())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "debian.torrent")
	if *update {
		writeFile(t, path, got)
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got %q\nwant %q (-update writes it anew)", got, want)
	}
	if again, err := WithTrackers(got, []string{"http://192.0.2.9/announce"}); err != nil || bytes.Contains(again, []byte("6969")) ||
		!bytes.HasPrefix(again, []byte("d8:announce25:http://192.0.2.9/announce10:created by")) || !bytes.HasSuffix(again, got[bytes.Index(got, []byte("4:info")):]) {
		t.Errorf("with another tracker: %v, %q", err, again)
	}
	sums := bytes.Repeat([]byte("s"), len(want)/20*32)
	if l, err := parseMetainfo(got); err == nil {
		sums = sums[:len(l.pieces)/sha1.Size*sha256.Size]
	}
	// The sums of pieces are no part of the info dictionary, and stay when the trackers change.
	more, ofCatalog, err := WithPieceSums(got, sums)
	if err == nil {
		more, err = WithTrackers(more, []string{"http://192.0.2.9/announce"})
	}
	if l, parsed := parseMetainfo(more); err != nil || parsed != nil || l.hash != h || !bytes.Equal(l.sums, sums) || ofCatalog != sumOfSums(sums) {
		t.Errorf("with the sums of pieces: %v, %v, %q", err, parsed, more)
	}
	if want := sha1.Sum(got[bytes.Index(got, []byte("4:info"))+6 : len(got)-1]); h != want {
		t.Errorf("infohash %s, want %x", h, want)
	}
}

// libtorrentSays prints what libtorrent reads in a metainfo file.
const libtorrentSays = `
import libtorrent, sys
t = libtorrent.torrent_info(sys.argv[1])
print(t.info_hash(), t.name(), t.piece_length(), t.num_pieces(), t.total_size(), t.priv())
f = t.files()
for i in range(f.num_files()): print(f.file_path(i), f.file_size(i))
for tr in sorted(t.trackers(), key=lambda tr: tr.url): print(tr.tier, tr.url)
`

func TestForeignClientsReadMetainfo(t *testing.T) {
	torrent, h, err := EncodeMetainfo(golden())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "t.torrent")
	writeFile(t, path, torrent)
	t.Run("libtorrent", func(t *testing.T) {
		// The module belongs to the distribution's python, which need not be the first in PATH.
		python := need.File(t, "/usr/bin/python3", "python3")
		need.File(t, "/usr/lib/python3/dist-packages/libtorrent.egg-info", "python3-libtorrent")
		out, err := exec.Command(python, "-c", libtorrentSays, path).CombinedOutput()
		want := h.String() + ` debian 262144 2 300005 False
debian/vmlinuz 300000
debian/live/initrd.gz 0
debian/live/größe 1 5
0 http://192.0.2.1:6969/announce
0 http://198.51.100.1:6969/announce
`
		if err != nil || string(out) != want {
			t.Errorf("libtorrent: %v\n%s\nwant\n%s", err, out, want)
		}
	})
	t.Run("aria2", func(t *testing.T) {
		out, err := exec.Command(need.Command(t, "aria2c", "aria2"), "--no-conf", "-S", path).CombinedOutput()
		for _, want := range []string{"Info Hash: " + h.String(), "Mode: multi", "./debian/vmlinuz", "./debian/live/größe 1", "Piece Length: 256KiB"} {
			if !strings.Contains(string(out), want) {
				t.Errorf("aria2c: %v; does not say %q:\n%s", err, want, out)
			}
		}
	})
}

func TestEncodeMetainfoRefuses(t *testing.T) {
	sum := make([]byte, 20)
	one := []FileEntry{{"a", 1}}
	for _, c := range []struct {
		name   string
		files  []FileEntry
		length int64
		pieces []byte
		want   string
	}{
		{"a/b", one, 1 << 18, sum, "not a plain folder name"},
		{"..", one, 1 << 18, sum, "not a plain folder name"},
		{"n", []FileEntry{{"../a", 1}}, 1 << 18, sum, "leaves the system's folder"},
		{"n", []FileEntry{{"a", 1}, {"a", 2}}, 1 << 18, sum, "twice"},
		{"n", []FileEntry{{"a", 1}, {"a/b", 2}}, 1 << 18, sum, "both a file and a folder"},
		{"n", []FileEntry{{"a", -1}}, 1 << 18, sum, "impossible size"},
		{"n", []FileEntry{{"a", 0}}, 1 << 18, nil, "all empty"},
		{"n", one, 100_000, sum, "not a power of two"},
		{"n", one, 1 << 18, nil, "0 bytes of piece hashes"},
		{"n", []FileEntry{{"a", 1<<18 + 1}}, 1 << 18, sum, "need 40"},
	} {
		if _, _, err := EncodeMetainfo(c.name, c.files, c.length, c.pieces, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q %v: got %v, want %q", c.name, c.files, err, c.want)
		}
	}
}

func TestCheckMetainfo(t *testing.T) {
	s := newSample(t, 256<<10, 1000, 2000)
	without := s.withoutPieceSums(t)
	for _, c := range []struct {
		what   string
		change func(torrent *[]byte, sys *catalog.System, files *catalog.FileList)
		want   string
	}{
		{"the right one", func(*[]byte, *catalog.System, *catalog.FileList) {}, ""},
		{"nothing", func(b *[]byte, _ *catalog.System, _ *catalog.FileList) { *b = nil }, "is not a torrent file"},
		{"a web page", func(b *[]byte, _ *catalog.System, _ *catalog.FileList) { *b = []byte("<html>404") }, "is not a torrent file"},
		{"more at the end", func(b *[]byte, _ *catalog.System, _ *catalog.FileList) { *b = append(bytes.Clone(*b), 'x') }, "is not a torrent file"},
		{"infohash", func(_ *[]byte, s *catalog.System, _ *catalog.FileList) { s.InfoHash[0]++ }, "this torrent is not the catalog's \"demo\": its infohash is"},
		{"name", func(_ *[]byte, s *catalog.System, _ *catalog.FileList) { s.Name = "other" }, `its name is "demo"`},
		{"piece length", func(_ *[]byte, s *catalog.System, _ *catalog.FileList) { s.PieceLength *= 2 }, "its piece length is 262144 bytes"},
		{"file missing", func(_ *[]byte, _ *catalog.System, l *catalog.FileList) { *l = (*l)[:1] }, "it has 2 files, the catalog says 1"},
		{"order", func(_ *[]byte, _ *catalog.System, l *catalog.FileList) { (*l)[0], (*l)[1] = (*l)[1], (*l)[0] }, `its file 1 is "vmlinuz"`},
		{"size", func(_ *[]byte, _ *catalog.System, l *catalog.FileList) { (*l)[1].Size++ }, `has 2000 bytes, the catalog says 2001`},
		{"sums the catalog doesn't name", func(_ *[]byte, s *catalog.System, _ *catalog.FileList) { s.PieceSums = "" }, "are not those that the catalog names"},
		{"sums of other bytes", func(_ *[]byte, s *catalog.System, _ *catalog.FileList) { s.PieceSums = sumOfSums(nil) }, "are not those that the catalog names"},
		{"no sums", func(b *[]byte, s *catalog.System, _ *catalog.FileList) { *b = without.torrent }, ""},
		{"too few sums", func(b *[]byte, s *catalog.System, _ *catalog.FileList) {
			*b = bytes.Replace(*b, []byte("sha25632:"), []byte("sha25631:"), 1)
			*b = append((*b)[:len(*b)-2], 'e')
		}, "it has 31 bytes of SHA-256 sums where its pieces need 32"},
		{"total", func(_ *[]byte, s *catalog.System, _ *catalog.FileList) { s.Size++ }, "it has 3000 bytes, the catalog says 3001"},
	} {
		torrent, sys, files := s.torrent, s.system, slices.Clone(s.files)
		c.change(&torrent, &sys, &files)
		err := CheckMetainfo(torrent, sys, files)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", c.what, err, c.want)
		}
	}
}

func FuzzCheckMetainfo(f *testing.F) {
	torrent, h, err := EncodeMetainfo(golden())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(torrent)
	f.Add([]byte("d4:infod6:lengthi1e4:name1:a12:piece lengthi16384e6:pieces20:01234567890123456789ee"))
	f.Add([]byte("d4:infod9:file treed0:d6:lengthi1eee12:meta versioni2eee"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = CheckMetainfo(b, catalog.System{Name: "debian", InfoHash: h}, nil)
		l, err := parseMetainfo(b)
		if err != nil {
			return
		}
		for _, file := range l.files {
			if p := filepath.Join("/dir", l.name, file.Path); !strings.HasPrefix(p, "/dir/"+l.name+"/") {
				t.Errorf("%q leaves the folder", p)
			}
		}
	})
}

func FuzzParseResponse(f *testing.F) {
	f.Add([]byte("d8:intervali5e5:peers6:\x7f\x00\x00\x01\x1a\xe1e"))
	f.Add([]byte("d8:intervali5e5:peersld2:ip9:127.0.0.14:porti6881eeee"))
	f.Add([]byte("d10:incompletei-7e8:intervali5e5:peers0:e"))
	f.Add([]byte("d14:failure reason4:nopee"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := parseResponse(b)
		if err == nil && (a.interval < minInterval || a.interval > maxInterval || a.incomplete < 0) {
			t.Errorf("interval %s, %d incomplete", a.interval, a.incomplete)
		}
		for _, p := range a.peers {
			if !p.Addr().Is4() || p.Port() == 0 {
				t.Errorf("peer %s", p)
			}
		}
	})
}
