package main

import (
	"bufio"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/swarm"
)

// The image is one file in a folder, as the engine's torrents always are.
const (
	imageFolder = "image"
	imageFile   = "random.bin"
)

// image is what every node wants: random bytes, which nothing on the way can make smaller.
type image struct {
	// dir holds the folder with the file, and the torrent.
	dir    string
	size   int64
	system catalog.System
	files  catalog.FileList
}

// makeImage writes an image below dir.
func makeImage(dir string, size, pieceLength int64, announce string) (*image, error) {
	img := &image{dir: dir, size: size}
	if err := os.MkdirAll(filepath.Join(dir, imageFolder), 0o755); err != nil {
		return nil, err
	}
	sum, pieces, pieceSums, err := writeRandom(img.file(dir), size, pieceLength)
	if err != nil {
		return nil, fmt.Errorf("make an image of %d bytes: %w", size, err)
	}
	torrent, hash, err := swarm.EncodeMetainfo(imageFolder, []swarm.FileEntry{{Path: imageFile, Size: size}}, pieceLength, pieces, []string{announce})
	if err != nil {
		return nil, err
	}
	img.system = catalog.System{Name: imageFolder, InfoHash: hash, PieceLength: pieceLength}
	if torrent, img.system.PieceSums, err = swarm.WithPieceSums(torrent, pieceSums); err != nil {
		return nil, err
	}
	img.files = catalog.FileList{{Path: imageFile, Size: size, SHA256: sum}}
	if _, err := img.system.SetFiles(img.files); err != nil {
		return nil, err
	}
	return img, os.WriteFile(img.torrent(), torrent, 0o644)
}

// writeRandom makes a file and returns its SHA-256 in hexadecimal, and the SHA-1 and SHA-256 sums of its pieces.
func writeRandom(path string, size, pieceLength int64) (sum string, pieces, pieceSums []byte, err error) {
	f, err := os.Create(path)
	if err != nil {
		return "", nil, nil, err
	}
	defer f.Close()
	whole, buf := sha256.New(), make([]byte, pieceLength)
	for left := size; left > 0; left -= int64(len(buf)) {
		buf = buf[:min(left, pieceLength)]
		_, _ = rand.Read(buf) // never fails
		if _, err := f.Write(buf); err != nil {
			return "", nil, nil, err
		}
		whole.Write(buf)
		piece := sha1.Sum(buf)
		piece256 := sha256.Sum256(buf)
		pieces, pieceSums = append(pieces, piece[:]...), append(pieceSums, piece256[:]...)
	}
	return hex.EncodeToString(whole.Sum(nil)), pieces, pieceSums, f.Close()
}

// file is where the image, or a copy of it, is below a folder.
func (img *image) file(dir string) string { return filepath.Join(dir, imageFolder, imageFile) }

// torrent is the path of the metainfo file.
func (img *image) torrent() string { return filepath.Join(img.dir, "image.torrent") }

// verify compares a copy with the image.
func (img *image) verify(dir string) error {
	f, err := os.Open(img.file(dir))
	if err != nil {
		return fmt.Errorf("verify a copy: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, bufio.NewReaderSize(f, 1<<20)); err != nil {
		return fmt.Errorf("verify a copy: %w", err)
	}
	if got, want := hex.EncodeToString(h.Sum(nil)), img.files[0].SHA256; got != want {
		return fmt.Errorf("verify a copy: %s has the SHA-256 %s, the image has %s", f.Name(), got, want)
	}
	return nil
}
