package swarm

import "github.com/boottorrent/boottorrent/internal/catalog"

// Torrent is what an engine has given away of a torrent, and to how many.
type Torrent struct {
	Name     string
	InfoHash catalog.InfoHash
	// Size is what there is to fetch, in bytes; Uploaded is payload sent since the engine has the torrent.
	Size, Uploaded int64
	Connections    int
}

// Torrents are all that the engine has.
func (e *Engine) Torrents() []Torrent {
	entries := e.entries()
	all := make([]Torrent, 0, len(entries))
	for _, f := range entries {
		library := f.torrent.Stats()
		all = append(all, Torrent{
			Name: f.layout.name, InfoHash: f.layout.hash, Size: f.layout.size() - f.store.zeros,
			Uploaded: library.BytesWrittenData.Int64(), Connections: library.ActivePeers,
		})
	}
	return all
}
