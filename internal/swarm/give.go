package swarm

import (
	"fmt"
	"os"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// Give gives away complete files that are open for reading, in the torrent's order, and announces that to the trackers (announce
// URLs, of which each is used, beside those of Config.Seeders). As with Seed they are trusted, not hashed, and only read; peers verify what they get. The caller
// closes them once the torrent is removed, or the engine closed. It is an error if one has another size than the torrent says.
//
// Seed opens files by their path, now and then; Give is for files whose path may lead elsewhere later.
func (e *Engine) Give(torrent []byte, files []*os.File, trackers []string) (catalog.InfoHash, error) {
	l, err := parseMetainfo(torrent)
	if err != nil {
		return catalog.InfoHash{}, fmt.Errorf("give away: the torrent %w", err)
	}
	if len(files) != len(l.files) {
		return l.hash, fmt.Errorf("give away %q: there are %d open files, its torrent has %d", l.name, len(files), len(l.files))
	}
	s := newStore(l, "", e.files)
	for i, file := range files {
		s.files[i].held = file
	}
	if err := s.offer(); err != nil {
		return l.hash, fmt.Errorf("give away %q: %w", l.name, err)
	}
	f, err := e.add(l, "", s, false)
	if err != nil {
		return l.hash, fmt.Errorf("give away %q: %w", l.name, err)
	}
	f.background.Go(func() { e.announce(f, trackers) })
	f.background.Go(func() { e.search(f) })
	e.log.Info("giving away", "system", l.name, "infohash", l.hash, "bytes", l.size(), "pieces", len(s.pieces))
	return l.hash, nil
}
