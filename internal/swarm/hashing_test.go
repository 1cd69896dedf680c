package swarm

import (
	"bytes"
	"crypto/sha1"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/anacrolix/torrent/metainfo"
	"github.com/anacrolix/torrent/storage"
)

const block = 16 << 10

// hashedPiece is the first of two pieces of four blocks, not here yet, and what is to be in it.
type hashedPiece struct {
	*piece
	t    *testing.T
	data []byte
	dir  string
}

func newHashedPiece(t *testing.T, s *sampleSystem) hashedPiece {
	t.Helper()
	l, err := parseMetainfo(s.torrent)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	st, err := openFetch(l, dir, newFileCache(2))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	return hashedPiece{&st.pieces[0], t, s.content(t)[:st.pieces[0].size], dir}
}

// write stores a block of these bytes.
func (p hashedPiece) write(data []byte, blocks ...int) {
	p.t.Helper()
	for _, i := range blocks {
		if n, err := p.impl().WriteAt(data[i*block:(i+1)*block], int64(i*block)); n != block || err != nil {
			p.t.Fatalf("block %d: %d, %v", i, n, err)
		}
	}
}

// right does what the library does with a piece of which all blocks are here, and reports whether it is right.
func (p hashedPiece) right() bool {
	p.t.Helper()
	want := metainfo.Hash(p.store.layout.pieces[:sha1.Size])
	got := metainfo.Hash{}
	if h, ok := p.impl().(storage.SelfHashing); ok {
		sum, err := h.SelfHash()
		if err != nil {
			p.t.Fatal(err)
		}
		got = sum
	} else {
		h := sha1.New()
		if n, err := p.impl().(io.WriterTo).WriteTo(h); n != p.size || err != nil {
			p.t.Fatal(n, err)
		}
		got = metainfo.Hash(h.Sum(nil))
	}
	if got == want {
		_ = p.impl().MarkComplete()
	} else {
		_ = p.impl().MarkNotComplete()
	}
	return got == want
}

// stored reports whether the file has what is to be in the piece.
func (p hashedPiece) stored() bool {
	b := make([]byte, p.size)
	if _, err := p.ReadAt(b, 0); err != nil {
		p.t.Fatal(err)
	}
	return bytes.Equal(b, p.data)
}

// wrong are other bytes than those of the piece.
func (p hashedPiece) wrong() []byte {
	b := bytes.Clone(p.data)
	for i := range b {
		b[i] ^= 0x55
	}
	return b
}

func TestPieceIsHashedAsItIsStored(t *testing.T) {
	for _, c := range []struct {
		what  string
		write func(p hashedPiece)
		right bool
	}{
		{"in order", func(p hashedPiece) { p.write(p.data, 0, 1, 2, 3) }, true},
		{"backwards", func(p hashedPiece) { p.write(p.data, 3, 2, 1, 0) }, true},
		{"mixed", func(p hashedPiece) { p.write(p.data, 0, 2, 1, 3) }, true},
		{"from two peers", func(p hashedPiece) { p.write(p.data, 2, 0, 3, 1) }, true},
		{"the first block twice", func(p hashedPiece) { p.write(p.data, 0, 1, 0, 2, 3) }, true},
		{"another block twice", func(p hashedPiece) { p.write(p.data, 0, 1, 2, 1, 3) }, true},
		{"a wrong block at the start", func(p hashedPiece) { p.write(p.wrong(), 0); p.write(p.data, 1, 2, 3) }, false},
		{"a wrong block in the middle", func(p hashedPiece) { p.write(p.data, 0, 1); p.write(p.wrong(), 2); p.write(p.data, 3) }, false},
		{"a wrong block that came early", func(p hashedPiece) { p.write(p.wrong(), 3); p.write(p.data, 0, 1, 2) }, false},
		{"a wrong block over a right one", func(p hashedPiece) { p.write(p.data, 0, 1, 2, 3); p.write(p.wrong(), 1) }, false},
		{"a wrong block over the right first one", func(p hashedPiece) { p.write(p.data, 0, 1, 2, 3); p.write(p.wrong(), 0) }, false},
		{"a right block over a wrong one", func(p hashedPiece) { p.write(p.data, 0); p.write(p.wrong(), 1); p.write(p.data, 2, 1, 3) }, true},
		{"a right block over the wrong first one", func(p hashedPiece) { p.write(p.wrong(), 0); p.write(p.data, 1, 2, 0, 3) }, true},
	} {
		s := newSample(t, 4*block, 10_000, 8*block)
		for sums, s := range map[string]*sampleSystem{"SHA-256": s, "SHA-1": s.withoutPieceSums(t)} {
			p := newHashedPiece(t, s)
			c.write(p)
			if got := p.right(); got != c.right || p.stored() != c.right || p.proved.Load() != (c.right && sums == "SHA-256") {
				t.Errorf("%s, %s: found to be right: %t, stored: %t, proved: %t", c.what, sums, got, p.stored(), p.proved.Load())
			}
		}
	}
}

// A piece that was wrong is hashed by the library the next time, which then knows who sent what.
func TestLibraryHashesWhatWasWrong(t *testing.T) {
	s := newSample(t, 4*block, 8*block)
	p := newHashedPiece(t, s)
	selfHashing := func() bool { _, ok := p.impl().(storage.SelfHashing); return ok }
	p.write(p.wrong(), 0, 1, 2, 3)
	if !selfHashing() || p.right() || selfHashing() {
		t.Fatal("it is not the library that hashes it from now on")
	}
	p.write(p.wrong(), 0, 1, 2, 3)
	if p.right() || p.proved.Load() {
		t.Fatal("wrong bytes were found to be right")
	}
	p.write(p.data, 0, 1, 2, 3)
	if !p.right() || !p.proved.Load() || !p.stored() {
		t.Error("the piece is right, and its SHA-256 was made")
	}
}

// What was found at the start and isn't right is nobody's fault.
func TestFoundPieceIsHashed(t *testing.T) {
	s := newSample(t, 4*block, 8*block)
	for _, right := range []bool{true, false} {
		p := newHashedPiece(t, s)
		content := slices.Concat(p.data, p.data)
		if !right {
			content[block]++
		}
		writeFile(t, filepath.Join(p.dir, "demo", s.files[0].Path), content)
		if p.right() != right || p.proved.Load() != right || p.suspect.Load() {
			t.Errorf("right: %t, proved: %t, suspect: %t", right, p.proved.Load(), p.suspect.Load())
		}
	}
}

// A piece comes by HTTP while a peer sends blocks of it that are wrong: in front, at the same time and behind.
func TestHTTPAndPeersBringOnePiece(t *testing.T) {
	s := newSample(t, 4*block, 8*block)
	for range 20 {
		p := newHashedPiece(t, s)
		p.write(p.wrong(), 0, 1)
		var both sync.WaitGroup
		both.Go(func() { p.write(p.wrong(), 2, 3, 0) })
		both.Go(func() {
			if err := p.store.put(0, p.data); err != nil {
				t.Error(err)
			}
		})
		both.Wait()
		p.write(p.wrong(), 1)
		if !p.right() || !p.stored() || !p.proved.Load() {
			t.Fatal("the verified bytes are not what is stored")
		}
	}
}

// A piece that is gone, or was found to be cut off, is not proved any more.
func TestLostPieceIsNotProved(t *testing.T) {
	s := newSample(t, 4*block, 8*block)
	p := newHashedPiece(t, s)
	for i := range p.store.pieces {
		if err := p.store.put(i, s.content(t)[i*4*block:(i+1)*4*block]); err != nil {
			t.Fatal(err)
		}
	}
	if !p.store.proved() {
		t.Fatal("all pieces are here")
	}
	_ = p.MarkNotComplete()
	if p.store.proved() {
		t.Error("a piece is missing")
	}
	_ = p.MarkComplete() // by its SHA-1 alone
	if p.store.proved() {
		t.Error("nobody has made the SHA-256 of a piece")
	}
}

// TestZerosAreProved has pieces of zeros, which nobody hashes: by SHA-1 they are zeros, and that the catalog's SHA-256 says so as well is
// looked at in the end.
func TestZerosAreProved(t *testing.T) {
	s := sampleOf(t, 4*block, []string{"disk"}, [][]byte{make([]byte, 9*block)})
	p := newHashedPiece(t, s)
	if !p.store.proved() {
		t.Error("zeros are here from the start")
	}
	p.store.layout.sums = bytes.Clone(p.store.layout.sums)
	p.store.layout.sums[32]++
	if p.store.proved() {
		t.Error("the catalog's sum is another one")
	}
}

// TestFetchProves fetches with and without the sums of pieces, a part by HTTP.
func TestFetchProves(t *testing.T) {
	t.Parallel()
	with := newSample(t, 256<<10, 1000, 3<<20)
	for addr, s := range map[string]*sampleSystem{"127.0.0.46": with, "127.0.0.47": with.withoutPieceSums(t)} {
		node, dir := newNode(t, addr), t.TempDir()
		seeder := newSeeder(t, s, Config{})
		if err := node.Fetch(t.Context(), s.source(dir, seeder.addrPort()), nil); err != nil {
			t.Fatal(err)
		}
		s.checkFiles(t, dir)
		if got, want := node.entry(s.system.InfoHash).store.proved(), s.system.PieceSums != ""; got != want {
			t.Errorf("proved by its pieces: %t, want %t", got, want)
		}
		_ = seeder.Close()
	}
}

// TestOnlyTheCatalogsSHA256Counts has a torrent whose SHA-1 sums are those of other bytes than the catalog's: as if somebody could
// make such bytes.
func TestOnlyTheCatalogsSHA256Counts(t *testing.T) {
	t.Parallel()
	other := newSample(t, 256<<10, 2<<20)
	seeder := newSeeder(t, other, Config{})
	good := bytes.Clone(other.data[other.files[0].Path])
	good[300<<10]++ // in the second piece
	want := sampleOf(t, 256<<10, []string{other.files[0].Path}, [][]byte{good})
	torrent, sums, err := WithPieceSums(other.torrent, sums256(good, 256<<10))
	if err != nil {
		t.Fatal(err)
	}
	node, dir := newNode(t, "127.0.0.48"), t.TempDir()
	src := other.source(dir, seeder.addrPort())
	src.Torrent, src.Files, src.System.PieceSums = torrent, want.files, sums
	err = node.Fetch(t.Context(), src, nil)
	var mismatch *MismatchError
	if !errors.As(err, &mismatch) || mismatch.Want != want.files[0].SHA256 {
		t.Errorf("got %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("files were left: %v", left)
	}
}

// TestLiarOfOneBlockIsBanned has a peer that sends a wrong block of each piece, of which others come from elsewhere.
func TestLiarOfOneBlockIsBanned(t *testing.T) {
	t.Parallel()
	s := newSample(t, 256<<10, 8<<20)
	seeder := newSeeder(t, s, Config{UploadLimit: 4 << 20})
	liar := newOddPeer(t, "127.0.0.154", s, everything, nil)
	liar.answer = func(at, n int) []byte {
		if at%(256<<10) < 128<<10 {
			return liar.honest(at, n)
		}
		return liar.wrong(at, n)
	}
	tracker := newTracker(t, seeder.addrPort(), liar.addrPort())
	p := startParty(t, s, tracker, nil, "127.0.0.155")
	p.room.Wait()
	p.nodes[0].nameBanned()
	if got, want := p.stats(0).Banned, []netip.Addr{liar.addrPort().Addr()}; !slices.Equal(got, want) {
		t.Errorf("banned are %v, want %v (it got %d requests)", got, want, liar.requests())
	}
	if !p.nodes[0].entry(s.system.InfoHash).store.proved() {
		t.Error("pieces that were wrong at first have not been proved")
	}
}
