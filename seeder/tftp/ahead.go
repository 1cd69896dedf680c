package tftp

import (
	"slices"
	"time"
)

// GRUB (2.06 and others, net/tftp.c) asks for blocks of 1024 bytes and knows no windowsize, so that a block would cost a round
// trip. But it takes whatever block is the next in order, whether it waits for it or not:
//
//   - it acknowledges each block that it takes, by itself; while 50 packets wait to be read it acknowledges nothing, then the last;
//   - it drops blocks that come too early without a word, so that a loss shows by silence alone;
//   - it acknowledges blocks that it had before by their own number, which means nothing.
//
// So it is sent blocks ahead of its acknowledgements: as many as its card has room for, which isn't known. The number begins small and
// grows with what is acknowledged; what is lost is sent again from the first block that is missing on (go-back-N).

const (
	// firstAhead is the number of blocks under way to begin with, and minAhead after losses. Network cards of firmware keep 8
	// packets at least.
	firstAhead = 4
	minAhead   = 2
	// maxAhead is less than the 50 packets after which GRUB stops to acknowledge, and the 64 that OVMF's virtio driver has room for.
	maxAhead = 32
	// afterLoss is for how many blocks the number stays as it is after a first loss, and then grows by one; it doubles with each
	// loss up to maxAfterLoss. A card that has too little room loses blocks each time that the number becomes too large for it.
	afterLoss, maxAfterLoss = 256, 4096
	// minSilence is the shortest silence that is taken for a loss: firmware is away for some milliseconds at times. maxSilenceAhead
	// is the longest before anything is sent again.
	minSilence = 50 * time.Millisecond
)

// grubOptions are those of GRUB's requests, in its order. No other client known asks in this way.
var grubOptions = []option{{"blksize", "1024"}, {"tsize", "0"}}

// takesBlocksAhead reports whether a request is GRUB's.
func takesBlocksAhead(asked []option) bool { return slices.Equal(asked, grubOptions) }

// ahead is how many blocks are sent ahead of the acknowledgements, and after what silence they are taken for lost. It isn't
// TCP's way: with no word of what was lost each loss costs a whole silence.
type ahead struct {
	window int
	// calm is the number of blocks to be acknowledged before the window grows by one, 0 before the first loss: then it
	// grows by one for each. credit are those that count already.
	calm, credit int
	// smooth is the round trip's time, and vary its variation (RFC 6298); 0 until it was measured. timed is the block that is
	// being measured, 0 for none, which was sent at the time at.
	smooth, vary time.Duration
	timed        int64
	at           time.Time
}

func newAhead() *ahead { return &ahead{window: firstAhead} }

// sent notes that a block was sent for the first time.
func (a *ahead) sent(block int64, now time.Time) {
	if a.timed == 0 {
		a.timed, a.at = block, now
	}
}

// acked notes that the client has all blocks up to this one, more of them than before by n.
func (a *ahead) acked(block int64, n int, now time.Time) {
	if a.timed != 0 && block >= a.timed {
		a.measure(now.Sub(a.at))
		a.timed = 0
	}
	if a.calm == 0 {
		a.window = min(a.window+n, maxAhead)
		return
	}
	for a.credit += n; a.credit >= a.calm; a.credit -= a.calm {
		a.window = min(a.window+1, maxAhead)
	}
}

// lost notes that blocks were lost: the card has room for less, or the wire loses some.
func (a *ahead) lost() {
	a.window = max(a.window/2, minAhead)
	a.calm, a.credit = min(max(afterLoss, 2*a.calm), maxAfterLoss), 0
	a.timed = 0 // who knows which of the two is acknowledged (Karn's algorithm)
}

// measure takes a round trip's time, as RFC 6298 (2.2, 2.3) does.
func (a *ahead) measure(took time.Duration) {
	if a.smooth == 0 {
		a.smooth, a.vary = took, took/2
		return
	}
	a.vary += ((took - a.smooth).Abs() - a.vary) / 4
	a.smooth += (took - a.smooth) / 8
}

// silence is how long a first acknowledgement is waited for.
func (a *ahead) silence() time.Duration {
	if a.smooth == 0 {
		return defaultTimeout
	}
	return min(max(a.smooth+4*a.vary, minSilence), defaultTimeout)
}
