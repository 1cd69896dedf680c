package catalog

import (
	"encoding/json"
	"fmt"
	"net/netip"

	"github.com/boottorrent/boottorrent/internal/seederurl"
)

// PathSeeders is where a seeder lists the seeders of its site that it knows: a [SeederList].
const PathSeeders = "/seeders.json"

// The most that a list of seeders may have: seeders, and bytes as it is sent.
const (
	MaxSeeders    = 64
	MaxSeederList = 16 << 10
)

// SeederList is a hint and is not signed: what somebody in it serves has to be the site's by its signature.
type SeederList struct {
	// Seeders has the one that was asked first, under the address at which it was asked. The others are in no order.
	Seeders []SeederAddress `json:"seeders"`
}

// SeederAddress is where one of a site's seeders is reached.
type SeederAddress struct {
	// HTTP is its base URL, below which the paths of this package are. It has no slash at its end.
	HTTP string `json:"http"`
	// Torrent is where its seed takes connections.
	Torrent netip.AddrPort `json:"torrent"`
}

// OpenSeeders reads a list of seeders. Entries that can't be used are left out, and what is too many.
func OpenSeeders(document []byte) (SeederList, error) {
	var read SeederList
	if len(document) > MaxSeederList {
		return read, fmt.Errorf("the list of seeders is longer than %d bytes", MaxSeederList)
	}
	if err := json.Unmarshal(document, &read); err != nil {
		return read, fmt.Errorf("the list of seeders can't be read: %w", err)
	}
	list := SeederList{}
	for _, s := range read.Seeders {
		base, err := seederurl.Base(s.HTTP)
		if err == nil && base == s.HTTP && s.Torrent.IsValid() && s.Torrent.Port() != 0 && len(list.Seeders) < MaxSeeders {
			list.Seeders = append(list.Seeders, s)
		}
	}
	return list, nil
}
