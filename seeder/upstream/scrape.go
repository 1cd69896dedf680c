package upstream

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/swarm"
)

// The most torrents that a scrape asks for, and the most bytes of its answer: BEP 48 has some 90 bytes a torrent.
const (
	MaxScrape   = 50
	maxScraping = 64 << 10
)

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
	if complete, incomplete, err = swarm.ParseScrape(b, torrents); err != nil {
		return 0, 0, fmt.Errorf("%s%s: %w", s.Base, catalog.PathScrape, err)
	}
	return complete, incomplete, nil
}
