package swarm

import (
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

func TestParseScrape(t *testing.T) {
	var one, other catalog.InfoHash
	copy(one[:], strings.Repeat("a", 20))
	copy(other[:], strings.Repeat("b", 20))
	both := []catalog.InfoHash{one, other}
	for body, want := range map[string][2]int{
		"d5:filesd20:" + string(one[:]) + "d8:completei3e10:downloadedi9e10:incompletei4eeee": {3, 4},
		"d5:filesd20:" + string(one[:]) + "d8:completei-3e10:incompletei2000000000eeee":       {0, maxScraped},
		"d5:filesdee": {},
	} {
		complete, incomplete, err := ParseScrape([]byte(body), both)
		if err != nil || complete != want[0] || incomplete != want[1] {
			t.Errorf("%q: %d and %d, %v; want %v", body, complete, incomplete, err, want)
		}
	}
	for body, says := range map[string]string{"": "no scrape", "<html>": "no scrape", "d14:failure reason4:busye": `"busy"`} {
		if _, _, err := ParseScrape([]byte(body), both); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", body, err)
		}
	}
}
