package upstream

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/anacrolix/torrent/bencode"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// The most torrents that a scrape asks for, and the most bytes of its answer: BEP 48 has some 90 bytes a torrent.
const (
	MaxScrape   = 50
	maxScraping = 64 << 10
)

// scraped is the answer to a scrape (BEP 48).
type scraped struct {
	Failure string `bencode:"failure reason"`
	Files   map[string]struct {
		Complete   int `bencode:"complete"`
		Incomplete int `bencode:"incomplete"`
	} `bencode:"files"`
}

// maxPeers is how many peers of a torrent are believed.
const maxPeers = 1_000_000

// Scrape asks the seeder's tracker how many peers it knows of torrents, all together: those that have all of theirs and those that don't. No
// more than MaxScrape are asked for.
func (s *Seeder) Scrape(ctx context.Context, torrents []catalog.InfoHash) (complete, incomplete int, err error) {
	query := url.Values{}
	for _, h := range torrents[:min(len(torrents), MaxScrape)] {
		query.Add("info_hash", string(h[:]))
	}
	b, _, err := s.document(ctx, http.Header{}, catalog.PathScrape+"?"+query.Encode(), maxScraping)
	if err != nil {
		return 0, 0, err
	}
	var answer scraped
	if err := bencode.Unmarshal(b, &answer); err != nil {
		return 0, 0, fmt.Errorf("%s%s: the answer is no scrape (BEP 48): %w", s.Base, catalog.PathScrape, err)
	}
	if answer.Failure != "" {
		return 0, 0, fmt.Errorf("%s%s: %.200q", s.Base, catalog.PathScrape, answer.Failure)
	}
	for _, h := range torrents {
		f := answer.Files[string(h[:])]
		complete += min(max(f.Complete, 0), maxPeers)
		incomplete += min(max(f.Incomplete, 0), maxPeers)
	}
	return complete, incomplete, nil
}
