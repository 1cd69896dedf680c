package pick

import "time"

// BlockSize is what foreign clients are asked for at a time, in bytes (BEP 3 as it is practised), and what queues are counted in.
const BlockSize = 16 << 10

// MaxRequestSize is what our own kind is asked for at a time at most. A rate limit must let as much go at once.
const MaxRequestSize = 128 << 10

// smallPiece is the length of a small image's pieces, in bytes.
const smallPiece = 64 << 10

// RequestSize is what our own kind is asked for at a time of a torrent with pieces of that length, in bytes: a piece, or half of a small
// one, from one block to eight. What a request costs does not depend on its size, and is most of what the engine itself costs. With whole
// pieces of 128 KiB instead of halves, six nodes on links of 1 Gbit/s cost 6.0 CPU s/GB instead of 6.4, and with requests of 128 instead of
// 64 KiB one node without a limit 3.9 instead of 4.7; 256 KiB gained no more. A small image has few pieces, and in a crowd one request
// to each peer is much of it: with whole pieces of 64 KiB, 48 nodes on links of 4 Mbit/s took 167 s instead of 161, and 50 MiB instead of 37.
func RequestSize(pieceLength int64) int64 {
	if pieceLength <= smallPiece {
		pieceLength /= 2
	}
	return min(max(pieceLength/BlockSize*BlockSize, BlockSize), MaxRequestSize)
}

// Requests is how many requests of that size hold so many blocks; one at least.
func Requests(blocks int, size int64) int {
	return max(1, int(int64(blocks)*BlockSize/size))
}

// Limits of a connection's request queue, in blocks. In a crowd on slow links queues must be short: what is queued at
// the seeder is committed. Eight nodes with a window of random pieces took 2.0 times the least possible time with the
// library's queues, and 1.24 times with 8 blocks. Those to other nodes are shorter still, since together they compete with
// the seeder's for the node's own link: with 6 blocks 1.15, 4 blocks 1.13, 3 blocks 1.09, 2 blocks 1.08 (8 nodes, links
// of 14 Mbit/s, pieces of 128 KiB, one run each). A single node on a fast link needs them deep: with 8 blocks it got
// 130 MB/s, with 64 it got 240.
const (
	seederQueue = 4
	nodeQueue   = 2
	maxQueue    = 128
	// foreignQueue is the least to a foreign client. Those send in turns of their own, Transmission each half second: with two blocks
	// at a time it gave 64 kB/s.
	foreignQueue = 16
	// crowdQueue bounds what all queues to nodes hold together where their number would make it more: answers to that many
	// requests fill the buffers of a switch, and packets are lost.
	crowdQueue = 48
)

// Side is what the depth of a connection's queue depends on besides its speed.
type Side struct {
	// Seeder says that the seeder is at its other end, Foreign that a foreign client is.
	Seeder, Foreign bool
	// Wanted is how many bytes are missing of what is to come from the seeder: of the preferred pieces.
	Wanted int64
	// Connections is how many there are here.
	Connections int
}

// least is the least depth, in blocks.
func (s Side) least() int {
	switch {
	case s.Seeder:
		return seederQueue
	case s.Foreign:
		return foreignQueue
	}
	return max(1, min(nodeQueue, crowdQueue/max(1, s.Connections)))
}

const (
	// queueTime is how much the queue of a connection should hold, measured by what comes out of it. It stands between
	// the round trip of a LAN with busy machines (some milliseconds: less would leave the link idle) and the 300 ms
	// that 8 blocks are for a node of a crowd on slow links.
	queueTime = 100 * time.Millisecond
	// foreignTime is queueTime for a foreign client: twice the time between two of Transmission's turns.
	foreignTime = time.Second
	// measureTime is how long a rate is measured.
	measureTime = 200 * time.Millisecond
)

// Queue follows one connection's speed with the number of blocks to ask for at a time. Its methods are for one goroutine at a
// time.
type Queue struct {
	// speed is the connection's in blocks per second.
	speed float64
	since time.Time
	bytes int64
}

// NewQueue returns the queue of a connection that is opened now.
func NewQueue(now time.Time) Queue { return Queue{since: now} }

// Depth is the number of blocks to have asked for at a time. Of the seeder it is no more than what only the seeder has for this node,
// and one, the least the library knows, where that is nothing: the rest can be had from others, and what is asked for besides keeps
// the seeder from those who need it.
func (q *Queue) Depth(s Side) int {
	depth := max(q.fill(s), s.least())
	if s.Seeder {
		return int(max(1, min(int64(depth), (s.Wanted+BlockSize-1)/BlockSize)))
	}
	return depth
}

// fill is what the connection's speed calls for, in blocks.
func (q *Queue) fill(s Side) int {
	time := queueTime
	if s.Foreign {
		time = foreignTime
	}
	return int(min(q.speed*time.Seconds(), maxQueue))
}

// Received counts n bytes that have come in.
func (q *Queue) Received(n int, now time.Time) {
	q.bytes += int64(n)
	passed := now.Sub(q.since)
	if passed < measureTime {
		return
	}
	q.speed = float64(q.bytes) / passed.Seconds() / BlockSize
	q.since, q.bytes = now, 0
}

// minWindow is the least number of pieces to prefer at a time. With one, the seeder's connection falls idle while a piece
// that has come in is hashed.
const minWindow = 2

// Window is the number of pieces to prefer at a time: two, and twice as many more as the requests to one peer span (its
// deepest queue, in blocks), as the library asks for a whole queue anew when the last one has been answered, and what is not in the
// window then is not asked for. The length of a piece is in bytes.
func Window(depth int, pieceLength int64) int {
	return minWindow + int(2*int64(depth)*BlockSize/pieceLength)
}

const (
	minHoldTimeout = 500 * time.Millisecond
	holdTurns      = 2
)

// HoldTimeout is how long so many held pieces are waited for while none of them comes out: twice as long as the seeder takes for all
// of them, going by the average time between two pieces so far, and half a second at least. That is how long a node which has
// gone silent can keep the others waiting, once.
func HoldTimeout(held int, average time.Duration) time.Duration {
	return max(minHoldTimeout, holdTurns*time.Duration(held)*average)
}
