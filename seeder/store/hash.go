package store

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"hash"
	"io"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// maxWorkers bounds the goroutines that make the sums of pieces, and with them the memory for pieces: one goroutine makes the
// sums of files, for which the order of the bytes matters, and it can't keep up with more.
const maxWorkers = 8

// block is a piece on its way through the hashers.
type block struct {
	piece int
	data  []byte
	// parts say which file's bytes these are.
	parts []part
	// readers is how many hashers still need the data.
	readers atomic.Int32
}

// part is the end of data[:to] that belongs to a file, from the end of the part before. last is whether the file ends here.
type part struct {
	file, to int
	last     bool
}

// hasher reads files one after the other, and makes the SHA-1 and the SHA-256 of every piece of their concatenation and
// the SHA-256 of every file from the same read.
type hasher struct {
	sizes       []int64
	pieceLength int64
	// open opens a file; of sizes[i] bytes, or reading it fails.
	open func(i int) (io.ReadCloser, error)
	// progress is told the bytes read so far.
	progress func(done int64)

	// zeros are the sums of a piece of zeros, which most of a sparse image is.
	zeros pieceSum
	zero  []byte

	free, pieces, files chan *block
	sums                sums
}

// sums are what a hasher finds out.
type sums struct {
	// pieces are the SHA-1 sums of the pieces, and pieces256 their SHA-256 sums, concatenated.
	pieces, pieces256 []byte
	files             [][sha256.Size]byte
}

// pieceSum are the sums of a piece.
type pieceSum struct {
	sha1   [sha1.Size]byte
	sha256 [sha256.Size]byte
}

func sumPiece(b []byte) pieceSum { return pieceSum{sha1.Sum(b), sha256.Sum256(b)} }

// run returns the sums of the pieces and those of the files.
func (h *hasher) run(ctx context.Context) (sums, error) {
	var total int64
	for _, size := range h.sizes {
		total += size
	}
	count := (total + h.pieceLength - 1) / h.pieceLength
	h.sums = sums{make([]byte, count*sha1.Size), make([]byte, count*sha256.Size), make([][sha256.Size]byte, len(h.sizes))}

	h.zero = make([]byte, min(h.pieceLength, total))
	h.zeros = sumPiece(h.zero)
	workers := min(runtime.GOMAXPROCS(0), maxWorkers)
	blocks := 2*workers + 2
	h.free, h.pieces, h.files = make(chan *block, blocks), make(chan *block, blocks), make(chan *block, blocks)
	for range blocks {
		h.free <- &block{data: make([]byte, 0, min(h.pieceLength, total))}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		// The hashers end when these are closed, so they are whatever happens.
		defer close(h.pieces)
		defer close(h.files)
		return h.read(ctx)
	})
	for range workers {
		g.Go(func() error { h.hashPieces(); return nil })
	}
	g.Go(func() error { h.hashFiles(); return nil })
	if err := g.Wait(); err != nil {
		return sums{}, err
	}
	return h.sums, nil
}

// read cuts the files into blocks. Sending blocks never waits: the channels have room for all of them.
func (h *hasher) read(ctx context.Context) error {
	r := &blockReader{hasher: h}
	for i := range h.sizes {
		if err := r.file(ctx, i); err != nil {
			return err
		}
	}
	r.send()
	return nil
}

// blockReader is the state of hasher.read.
type blockReader struct {
	*hasher
	block *block
	piece int
	done  int64
}

func (r *blockReader) file(ctx context.Context, i int) (err error) {
	f, err := r.open(i)
	if err != nil {
		return err
	}
	defer func() {
		if closed := f.Close(); err == nil {
			err = closed
		}
	}()
	if r.sizes[i] == 0 {
		r.sums.files[i] = sha256.Sum256(nil)
	}
	for left := r.sizes[i]; left > 0; {
		if err := r.next(ctx); err != nil {
			return err
		}
		have := len(r.block.data)
		n := int(min(left, int64(cap(r.block.data)-have)))
		r.block.data = r.block.data[:have+n]
		if _, err := io.ReadFull(f, r.block.data[have:]); err != nil {
			return err
		}
		left -= int64(n)
		r.block.parts = append(r.block.parts, part{i, have + n, left == 0})
		r.done += int64(n)
		r.progress(r.done)
	}
	return nil
}

// next makes sure that there is a block with room in it.
func (r *blockReader) next(ctx context.Context) error {
	if r.block != nil && len(r.block.data) == cap(r.block.data) {
		r.send()
	}
	if r.block != nil {
		return ctx.Err()
	}
	select {
	case r.block = <-r.free:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *blockReader) send() {
	if r.block == nil {
		return
	}
	r.block.piece = r.piece
	r.piece++
	r.block.readers.Store(2)
	r.pieces <- r.block
	r.files <- r.block
	r.block = nil
}

// release gives a block back to the reader when both hashers are done with it.
func (h *hasher) release(b *block) {
	if b.readers.Add(-1) == 0 {
		b.data, b.parts = b.data[:0], b.parts[:0]
		h.free <- b
	}
}

func (h *hasher) hashPieces() {
	for b := range h.pieces {
		sum := h.zeros
		if !bytes.Equal(b.data, h.zero) {
			sum = sumPiece(b.data)
		}
		copy(h.sums.pieces[b.piece*sha1.Size:], sum.sha1[:])
		copy(h.sums.pieces256[b.piece*sha256.Size:], sum.sha256[:])
		h.release(b)
	}
}

func (h *hasher) hashFiles() {
	var sum hash.Hash = sha256.New()
	for b := range h.files {
		from := 0
		for _, p := range b.parts {
			sum.Write(b.data[from:p.to])
			from = p.to
			if p.last {
				sum.Sum(h.sums.files[p.file][:0])
				sum.Reset()
			}
		}
		h.release(b)
	}
}
