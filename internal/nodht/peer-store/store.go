// Package peer_store has what github.com/anacrolix/torrent names of a DHT server's memory. There is none.
package peer_store

// Interface is a store of peers.
type Interface interface{}
