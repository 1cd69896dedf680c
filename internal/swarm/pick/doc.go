// Package pick decides what a node asks its peers for: which pieces first ([Picker]), and how many blocks at a time
// ([Queue]). In goes what a node sees of a torrent ([Board]) and what comes in; out come pieces to prefer and depths of
// request queues. It knows neither the network nor a BitTorrent library, so that a simulation can run the same code.
//
// When a whole room starts at once, the seeder's uplink is the bottleneck, and every piece it sends twice is time lost
// for everybody. Left alone, the library orders pieces by availability and then by index, so that all nodes ask the
// seeder for the same ones: 8 nodes had it send 2.3 copies. The picker divides the pieces among the nodes without a
// word between them: by rendezvous hashing with bounded loads (divide) every node computes for each piece which of the
// nodes it sees is to fetch it, and prefers those where that is itself. Only pieces that no other node has are
// preferred; for the rest the library's own order does, as they come from the other nodes. Shares are of equal size, so
// that all are done at about the same time. When a node leaves, its share falls to the others by itself. When a node's
// share is done, what is left is divided anew: so a fast node takes over from slow ones what they would come to last,
// and leaves to them what they are at. A small window of preferred pieces at a time, together with short request
// queues, keeps the seeder busy with pieces that nobody else asks it for. Its queue is no deeper than what is missing of
// the window: else a seeder that answers sooner than busy nodes would send every other piece several times.
package pick
