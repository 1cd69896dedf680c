package report

import "net/netip"

// Transfer is how the download of a system stands, and what was given away of it. The engine fills it in, the node's screen and
// its report carry it, and the seeder's page shows it.
type Transfer struct {
	// Size is what there is to fetch of the system, in bytes, and Done what is here of that. Pieces of zeros are neither: they are
	// known without being fetched.
	Size int64 `json:"size"`
	Done int64 `json:"done"`
	// Complete says that everything is here. It tells a system of zeros alone, of which there is nothing to fetch, from one of unknown size.
	Complete bool `json:"complete,omitempty"`
	// Down and Up are payload bytes per second over the last three seconds.
	Down int64 `json:"down"`
	Up   int64 `json:"up"`
	// Peers is the number of connections.
	Peers int `json:"peers"`
	// FromSeeder, FromNodes and FromHTTP are payload bytes received over BitTorrent from the seeder, over BitTorrent
	// from everyone else, and by HTTP. Uploaded is payload bytes sent.
	FromSeeder int64 `json:"from_seeder"`
	FromNodes  int64 `json:"from_nodes"`
	FromHTTP   int64 `json:"from_http"`
	Uploaded   int64 `json:"uploaded"`
	// Fallback says that pieces are fetched by HTTP at this time, as BitTorrent brings nothing.
	Fallback bool `json:"fallback,omitempty"`
	// Banned are the addresses of peers that sent this node wrong data: at most [BannedPeers].
	Banned []netip.Addr `json:"banned,omitempty"`
	// Sources are the nodes from which most came over BitTorrent, those that gave most first: at most [MaxSources].
	Sources []Source `json:"sources,omitempty"`
	// Seeders are those of the site's seeders that sent something over BitTorrent or HTTP, the one that sent most first: at most [MaxSources].
	// One that is alone is not named.
	Seeders []Source `json:"seeders,omitempty"`
	// Writing is how fast this node writes down what comes, in bytes per second of the time that the writing itself takes; 0: not known.
	Writing int64 `json:"writing,omitempty"`
}

// Source is a node or a seeder that gave something to a node.
type Source struct {
	Addr netip.Addr `json:"addr"`
	// Bytes are payload.
	Bytes int64 `json:"bytes"`
}

// MaxSources is how many nodes Transfer.Sources names, and how many seeders Transfer.Seeders does.
const MaxSources = 12

// BannedPeers is how many peers Transfer.Banned names.
const BannedPeers = 16

// Percent is how much of the download is done, 0 to 100; 0 as long as the size is unknown.
func (t Transfer) Percent() float64 {
	switch {
	case t.Complete:
		return 100
	case t.Size <= 0:
		return 0
	}
	return min(100, 100*float64(max(t.Done, 0))/float64(t.Size))
}

// Received is payload bytes received from anybody.
func (t Transfer) Received() int64 { return t.FromSeeder + t.FromNodes + t.FromHTTP }
