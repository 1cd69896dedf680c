// Package swarm is the BitTorrent engine of seeder and nodes, and the one place that knows anacrolix/torrent.
//
// In goes, on the seeder, a metainfo file (made here by [EncodeMetainfo]) and a folder of complete files, which
// [Engine.Seed] gives away without hashing or writing them ([Engine.Give] does with files that are open already); on a node a metainfo file, the catalog's entry it must
// match, and where to find peers, which [Engine.Fetch] turns into files whose every SHA-256 is the catalog's. What a
// node has fetched it goes on giving away until [Engine.Remove] or [Engine.Close].
//
// Everything on the wire is plain BitTorrent, so aria2, transmission and libtorrent take part: BEP 3 (protocol, v1
// metainfo, tracker), BEP 6 (fast extension), BEP 10 (extended handshake), BEP 12 (several trackers), BEP 14 (local service
// discovery, where no tracker answers), BEP 19 (web
// seed URLs), BEP 23 (compact peers). Connections are plain TCP over IPv4; encrypted ones are accepted.
//
// What is not the library's default, and why, stands where it is: the choice of pieces and the length of the
// request queues in the package pick, finding each other in announce.go (whom to ask in tiers.go) and local.go, what is
// left to need where a site has several seeders in reach.go, which peers are snubbed in snubbed.go, what goes
// together in wire.go, the fallback to HTTP in fallback.go.
package swarm
