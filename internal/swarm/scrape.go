package swarm

import (
	"fmt"

	"github.com/anacrolix/torrent/bencode"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// maxScraped is how many peers of a torrent a scrape is believed.
const maxScraped = 1_000_000

// ParseScrape reads what a tracker answers to a scrape of torrents (BEP 48): how many peers it knows of them, all together, that have all of
// theirs, and that don't.
func ParseScrape(body []byte, torrents []catalog.InfoHash) (complete, incomplete int, err error) {
	var answer struct {
		Failure string `bencode:"failure reason"`
		Files   map[string]struct {
			Complete   int `bencode:"complete"`
			Incomplete int `bencode:"incomplete"`
		} `bencode:"files"`
	}
	if err := bencode.Unmarshal(body, &answer); err != nil {
		return 0, 0, fmt.Errorf("the answer is no scrape (BEP 48): %w", err)
	}
	if answer.Failure != "" {
		return 0, 0, fmt.Errorf("%.200q", answer.Failure)
	}
	for _, h := range torrents {
		f := answer.Files[string(h[:])]
		complete += min(max(f.Complete, 0), maxScraped)
		incomplete += min(max(f.Incomplete, 0), maxScraped)
	}
	return complete, incomplete, nil
}
