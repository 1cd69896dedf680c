package swarm

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/bits"
	"path"
	"strings"

	"github.com/anacrolix/torrent/bencode"
	"github.com/anacrolix/torrent/metainfo"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// FileEntry is one file of a torrent.
type FileEntry struct {
	// Path is relative to the torrent's folder, slash-separated and clean.
	Path string
	// Size is in bytes.
	Size int64
}

// Bounds of PieceLength, in bytes, and the number of pieces it aims at.
const (
	minPieceLength = 64 << 10
	maxPieceLength = 4 << 20
	wantedPieces   = 2048
)

// PieceLength chooses the piece length, in bytes, of a torrent of size bytes: the largest power of two that leaves at
// least 2048 pieces, but from 64 KiB to 4 MiB.
//
// A node can give away a piece only once it has all of it, and begins with nothing to give: so what decides how well a room
// shares is the number of pieces per node. With 64 MiB and links of 9 Mbit/s, 16 nodes took 1.10 times the least possible
// time with pieces of 64 KiB, and 1.16 times with 128 KiB. Smaller ones cost more in messages than they gain; above 4 MiB even
// a very large image has pieces enough, and a torn connection would throw away too much.
func PieceLength(size int64) int64 {
	if size < wantedPieces*minPieceLength {
		return minPieceLength
	}
	return min(maxPieceLength, int64(1)<<(bits.Len64(uint64(size/wantedPieces))-1))
}

// EncodeMetainfo returns a v1 metainfo file (BEP 3) and its infohash. It always has the multi-file form: name becomes
// the folder of files, in their order. pieces are the concatenated 20-byte SHA-1 sums of the pieces of pieceLength
// bytes over the files' concatenation. announce are alternative URLs of one tracker (BEP 12, one tier); there may be
// none. The same arguments give the same bytes: there is no creation date. The private flag (BEP 27) is not set, as it
// would forbid foreign clients their peer exchange, and neither is a web seed, as foreign clients would use it all the time.
func EncodeMetainfo(name string, files []FileEntry, pieceLength int64, pieces []byte, announce []string) (torrent []byte, h catalog.InfoHash, err error) {
	l := layout{name: name, files: files, pieceLength: pieceLength, pieces: pieces}
	if err := l.check(); err != nil {
		return nil, h, fmt.Errorf("make torrent of %q: %w", name, err)
	}
	info := metainfo.Info{Name: name, PieceLength: pieceLength, Pieces: pieces}
	for _, f := range files {
		info.Files = append(info.Files, metainfo.FileInfo{Path: strings.Split(f.Path, "/"), Length: f.Size})
	}
	mi := metainfoFile{MetaInfo: metainfo.MetaInfo{CreatedBy: "BootTorrent"}}
	if mi.InfoBytes, err = bencode.Marshal(info); err != nil {
		return nil, h, fmt.Errorf("make torrent of %q: %w", name, err)
	}
	setTrackers(&mi.MetaInfo, announce)
	if torrent, err = bencode.Marshal(mi); err != nil {
		return nil, h, fmt.Errorf("make torrent of %q: %w", name, err)
	}
	if len(torrent) > catalog.MaxTorrent {
		return nil, h, fmt.Errorf("make torrent of %q: it has %d bytes, and nodes read %d; offer fewer files, or shorten their paths",
			name, len(torrent), catalog.MaxTorrent)
	}
	return torrent, catalog.InfoHash(mi.HashInfoBytes()), nil
}

// WithTrackers returns a metainfo file that names these trackers, as [EncodeMetainfo] writes them, and no others.
func WithTrackers(torrent []byte, announce []string) ([]byte, error) {
	var mi metainfoFile
	if err := bencode.Unmarshal(torrent, &mi); err != nil {
		return nil, fmt.Errorf("is not a torrent file: %w", err)
	}
	setTrackers(&mi.MetaInfo, announce)
	changed, err := bencode.Marshal(mi)
	if err == nil && len(changed) > catalog.MaxTorrent {
		err = fmt.Errorf("with its trackers it has %d bytes, and nodes read %d", len(changed), catalog.MaxTorrent)
	}
	return changed, err
}

// metainfoFile is a metainfo file with what is our own in it.
type metainfoFile struct {
	metainfo.MetaInfo
	// PieceSums are the concatenated SHA-256 sums, 32 bytes each, of the pieces that info has SHA-1 sums of. They are not part of
	// info, so the infohash is the same without them, and other clients overlook them.
	PieceSums []byte `bencode:"piece sha256,omitempty"`
}

// WithPieceSums returns a metainfo file that has the SHA-256 sums of its pieces, and what catalog.System.PieceSums is then. A node
// verifies a piece by these alone, and once. They are 32 bytes a piece, which each node fetches from the seeder: 64 to 128 KiB of an
// image of 128 MiB to 16 GiB. If the file would be too large, it is returned as it was, and the catalog's value is empty.
func WithPieceSums(torrent, sums []byte) (changed []byte, ofCatalog string, err error) {
	var mi metainfoFile
	if err := bencode.Unmarshal(torrent, &mi); err != nil {
		return nil, "", fmt.Errorf("is not a torrent file: %w", err)
	}
	mi.PieceSums = sums
	if changed, err = bencode.Marshal(mi); err != nil {
		return nil, "", err
	}
	if len(changed) > catalog.MaxTorrent-trackersRoom {
		return torrent, "", nil
	}
	if _, err := parseMetainfo(changed); err != nil {
		return nil, "", fmt.Errorf("with the SHA-256 sums of its pieces it %w", err)
	}
	return changed, sumOfSums(sums), nil
}

// trackersRoom is left in a metainfo file for the URLs of trackers, in bytes.
const trackersRoom = 64 << 10

// sumOfSums is catalog.System.PieceSums.
func sumOfSums(sums []byte) string {
	sum := sha256.Sum256(sums)
	return hex.EncodeToString(sum[:])
}

func setTrackers(mi *metainfo.MetaInfo, announce []string) {
	mi.Announce, mi.AnnounceList = "", nil
	if len(announce) > 0 {
		mi.Announce = announce[0]
	}
	if len(announce) > 1 {
		mi.AnnounceList = metainfo.AnnounceList{announce}
	}
}

// CheckMetainfo reports whether torrent is the one that the catalog's entry sys and the list of its files speak of: its
// infohash, name, piece length, and the order, paths and sizes of its files. torrent came over the network and is not
// trusted; sys and files are.
func CheckMetainfo(torrent []byte, sys catalog.System, files catalog.FileList) error {
	l, err := parseMetainfo(torrent)
	if err != nil {
		return fmt.Errorf("the torrent of %q: %w", sys.Name, err)
	}
	if err := l.matches(sys, files); err != nil {
		return fmt.Errorf("this torrent is not the catalog's %q: %w; fetch catalog and torrent anew from the same seeder",
			sys.Name, err)
	}
	return nil
}

// layout is what a metainfo file says about its content.
type layout struct {
	name        string
	files       []FileEntry
	pieceLength int64
	pieces      []byte // SHA-1 sums, 20 bytes each
	sums        []byte // SHA-256 sums, 32 bytes each; nil if the file has none
	info        []byte // the info dictionary as it was encoded
	hash        catalog.InfoHash
}

// parseMetainfo decodes and checks a metainfo file. Nothing in it leads out of the folder it is stored in.
func parseMetainfo(torrent []byte) (*layout, error) {
	if len(torrent) > catalog.MaxTorrent {
		return nil, fmt.Errorf("has %d bytes; nodes read %d", len(torrent), catalog.MaxTorrent)
	}
	var mi metainfoFile
	if err := bencode.Unmarshal(torrent, &mi); err != nil {
		return nil, fmt.Errorf("is not a torrent file: %w", err)
	}
	info, err := mi.UnmarshalInfo()
	if err != nil {
		return nil, fmt.Errorf("is not a torrent file: its info dictionary: %w", err)
	}
	if info.HasV2() || len(info.Files) == 0 {
		return nil, errors.New("is not of the kind the seeder makes (version 1 with a list of files)")
	}
	l := &layout{
		name: info.BestName(), pieceLength: info.PieceLength, pieces: info.Pieces, sums: mi.PieceSums,
		info: mi.InfoBytes, hash: catalog.InfoHash(mi.HashInfoBytes()),
	}
	for _, f := range info.Files {
		l.files = append(l.files, FileEntry{Path: strings.Join(f.BestPath(), "/"), Size: f.Length})
	}
	if err := l.check(); err != nil {
		return nil, err
	}
	return l, nil
}

// check reports what makes the layout unusable.
func (l *layout) check() error {
	if err := catalog.CheckName(l.name); err != nil {
		return err
	}
	if len(l.files) > catalog.MaxFiles {
		return fmt.Errorf("it has %d files; nodes read %d", len(l.files), catalog.MaxFiles)
	}
	if l.pieceLength < 16<<10 || l.pieceLength > 1<<30 || l.pieceLength&(l.pieceLength-1) != 0 {
		return fmt.Errorf("its piece length of %d bytes is not a power of two from 16 KiB to 1 GiB", l.pieceLength)
	}
	seen := map[string]bool{}
	for _, f := range l.files {
		if err := catalog.CheckPath(f.Path); err != nil {
			return err
		}
		if seen[f.Path] {
			return fmt.Errorf("the file %q is in it twice", f.Path)
		}
		seen[f.Path] = true
		if f.Size < 0 || f.Size > catalog.MaxSize {
			return fmt.Errorf("the file %q has an impossible size of %d bytes", f.Path, f.Size)
		}
	}
	for _, f := range l.files {
		for p := path.Dir(f.Path); p != "."; p = path.Dir(p) {
			if seen[p] {
				return fmt.Errorf("%q is both a file and a folder in it", p)
			}
		}
	}
	size := l.size()
	if size == 0 {
		return errors.New("its files are all empty: there is nothing to transfer")
	}
	if want := (size + l.pieceLength - 1) / l.pieceLength * 20; int64(len(l.pieces)) != want {
		return fmt.Errorf("it has %d bytes of piece hashes where %d bytes of files in pieces of %d need %d",
			len(l.pieces), size, l.pieceLength, want)
	}
	if want := len(l.pieces) / sha1.Size * sha256.Size; l.sums != nil && len(l.sums) != want {
		return fmt.Errorf("it has %d bytes of SHA-256 sums where its pieces need %d", len(l.sums), want)
	}
	return nil
}

// size is the sum over the files in bytes, at most catalog.MaxSize.
func (l *layout) size() (n int64) {
	for _, f := range l.files {
		n = min(n+f.Size, catalog.MaxSize)
	}
	return n
}

// matches compares the layout with the catalog's entry and words the first difference.
func (l *layout) matches(sys catalog.System, files catalog.FileList) error {
	if l.hash != sys.InfoHash {
		return fmt.Errorf("its infohash is %s, the catalog says %s", l.hash, sys.InfoHash)
	}
	if l.name != sys.Name {
		return fmt.Errorf("its name is %q", l.name)
	}
	if l.pieceLength != sys.PieceLength {
		return fmt.Errorf("its piece length is %d bytes, the catalog says %d", l.pieceLength, sys.PieceLength)
	}
	if len(l.files) != len(files) {
		return fmt.Errorf("it has %d files, the catalog says %d", len(l.files), len(files))
	}
	for i, f := range files {
		if l.files[i].Path != f.Path {
			return fmt.Errorf("its file %d is %q, the catalog says %q", i+1, l.files[i].Path, f.Path)
		}
		if l.files[i].Size != f.Size {
			return fmt.Errorf("its file %q has %d bytes, the catalog says %d", f.Path, l.files[i].Size, f.Size)
		}
	}
	if l.sums != nil && sumOfSums(l.sums) != sys.PieceSums {
		return errors.New("the SHA-256 sums of its pieces are not those that the catalog names")
	}
	size := l.size()
	if size != sys.Size {
		return fmt.Errorf("it has %d bytes, the catalog says %d", size, sys.Size)
	}
	if zeros := Zeros(l.pieces, l.pieceLength, size); zeros != sys.Zeros {
		return fmt.Errorf("%d of its bytes are in pieces of zeros, the catalog says %d", zeros, sys.Zeros)
	}
	return nil
}
