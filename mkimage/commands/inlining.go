package commands

// inlined are the patterns of the packages whose functions are inlined: what a byte passes on its way through a node, by the profile of
// one that fetches at 1 Gbit/s. A function is only inlined where both its own package and the caller's are among them.
var inlined = []string{
	// Go's: what waits, copies and counts. Without the runtime, which would be 49 KB.
	"internal/runtime/...", "internal/abi", "internal/poll", "internal/sync", "sync", "sync/atomic", "io", "bufio", "bytes",
	"time", "unique", "weak", "iter", "slices", "maps", "cmp", "math", "math/bits", "net/netip", "encoding/binary",
	// The library's, without what trackers and magnet links need, and what it keeps pieces, requests and their order in.
	library, library + "/internal/...", library + "/metainfo", library + "/peer_protocol", library + "/segments", library + "/smartban",
	library + "/storage", library + "/typed-roaring", library + "/types/...",
	"github.com/anacrolix/btree/...", "github.com/anacrolix/chansync/...", "github.com/anacrolix/generics/...",
	"github.com/anacrolix/missinggo/v2/panicif", "github.com/anacrolix/multiless", "github.com/anacrolix/sync",
	"github.com/RoaringBitmap/roaring/v2", "github.com/google/btree", "golang.org/x/time/rate",
	// Ours.
	Module + "/internal/swarm/...",
}

// library is the BitTorrent library.
const library = "github.com/anacrolix/torrent"

// inlining returns the compiler's flags for that: -l says not to inline, and of the patterns that match a package the last one counts
// (go help build).
func inlining() []string {
	flags := []string{"-gcflags=all=-l"}
	for _, pattern := range inlined {
		flags = append(flags, "-gcflags="+pattern+"=")
	}
	return flags
}
