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
// UEFI's own client (EDK2, MdeModulePkg's Mtftp4Dxe; shim's, too) asks for a windowsize of 4, and shim for blocks of 512 bytes, so that 4 or 2 KiB
// cost a round trip. It acknowledges as RFC 7440 wants it and takes the next block in order likewise; where one is
// missing it repeats its last acknowledgement for each block behind.
//
// So they are sent blocks ahead of their acknowledgements. How many is found out as TCP Vegas does: as long as they come back as
// fast as the fastest did, all of them are on the wire, and there may be more; when they take longer, some wait in the client's
// network card, whose room isn't known and may be small. What is lost all the same is sent again from the first block that is
// missing on (go-back-N).

const (
	// firstAhead is the number of blocks under way to begin with, and minAhead the least after losses. Network cards of firmware have
	// room for 8 packets at least.
	firstAhead, minAhead = 4, 2
	// maxAhead is what a link of 1 Gbit/s carries in 2 ms in blocks of 1024 bytes.
	maxAhead = 256
	// At least fewWaiting blocks are to wait in the client's card, so that it has always something to do, and at most manyWaiting.
	// OVMF's driver has room for 64 packets (VirtioNet.h, VNET_MAX_PENDING).
	fewWaiting, manyWaiting = 8, 16
	// afterLoss is for how many blocks the number stays within what was lost, before it may be one more; it doubles with each loss up
	// to maxAfterLoss. A card that has too little room loses blocks each time that the number becomes too large for it, and each
	// time that costs a silence. Where the client tells of losses they cost little, and it is toldLoss.
	afterLoss, maxAfterLoss, toldLoss = 256, 1024, 64
	// minSilence is the shortest silence that is taken for a loss: firmware is away for some milliseconds at times.
	minSilence = 50 * time.Millisecond
)

// grubOptions are those of GRUB's requests, in its order. No other client known asks in this way.
var grubOptions = []option{{"blksize", "1024"}, {"tsize", "0"}}

// takesBlocksAhead reports whether a request is that of a client that takes blocks ahead: GRUB's, or UEFI's.
func takesBlocksAhead(asked []option) bool {
	if slices.Equal(asked, grubOptions) {
		return true
	}
	if len(asked) > 0 && asked[0] == (option{"tsize", "0"}) {
		asked = asked[1:]
	}
	return len(asked) == 2 && asked[0].name == "blksize" && asked[1].name == "windowsize"
}

// ahead is how many blocks are sent ahead of the acknowledgements, and after what silence they are taken for lost.
type ahead struct {
	window int
	// least is the window that was agreed to: a client acknowledges nothing before it has so many blocks.
	least int
	// limit is what the window doesn't exceed; after losses it grows by one for every calm blocks, of which credit count already.
	limit, calm, credit int
	// quick is whether the window grows by one for each block that is acknowledged: until blocks wait, or are lost.
	quick bool
	// lostAt is the last block that was acknowledged when some were lost: what is lost before another one is acknowledged belongs
	// to the same loss. again is the first block that is sent for the first time after it: until that is acknowledged, repeated
	// acknowledgements may be for blocks that arrived twice, and no time is measured (Karn's algorithm).
	lostAt, again int64
	// at has when each of the last blocks was sent, by its number modulo maxAhead.
	at [maxAhead]time.Time
	// base is the shortest time of a round trip, smooth their mean, and vary its variation (RFC 6298); 0 until one was measured.
	base, smooth, vary time.Duration
	// adjust is the block after which the window is adjusted next, once in a round trip.
	adjust int64
}

func newAhead(agreed int) *ahead {
	return &ahead{window: max(firstAhead, agreed), least: max(minAhead, agreed), limit: maxAhead, quick: true, lostAt: -1}
}

// sent notes that a block was sent for the first time.
func (a *ahead) sent(block int64, now time.Time) { a.at[block%maxAhead] = now }

// acked notes that the client has all blocks up to this one, more of them than before by n, of those up to highest that were sent.
func (a *ahead) acked(block int64, n int, highest int64, now time.Time) {
	if a.calm > 0 {
		for a.credit += n; a.credit >= a.calm; a.credit -= a.calm {
			a.limit = min(a.limit+1, maxAhead)
		}
	}
	if block >= a.again {
		a.measure(now.Sub(a.at[block%maxAhead]))
	}
	waiting := a.waiting()
	if a.quick = a.quick && waiting < manyWaiting; a.quick {
		a.window = min(a.window+n, a.limit)
		return
	}
	if block < a.adjust {
		return
	}
	a.adjust = highest
	switch {
	case waiting > manyWaiting:
		a.window = max(a.window-(waiting-manyWaiting+1)/2, a.window*3/4, a.least)
	case waiting < fewWaiting:
		a.window += 1 + a.window/16
	}
	a.window = min(a.window, a.limit)
}

// waiting is how many blocks wait in the client's card: the part of those under way that a round trip takes longer than the shortest.
func (a *ahead) waiting() int {
	if a.smooth == 0 {
		return 0
	}
	return int(time.Duration(a.window) * max(a.smooth-a.base, 0) / a.smooth)
}

// tellsLoss reports whether a repeated acknowledgement of this block tells of a loss.
func (a *ahead) tellsLoss(acked int64) bool { return acked >= a.again }

// lost notes that blocks behind acked were lost, of which highest is the last that was sent: the card has room for less, or the
// wire loses some.
func (a *ahead) lost(acked, highest int64) {
	a.again = highest + 1
	if acked == a.lostAt {
		return
	}
	a.lostAt, a.quick = acked, false
	a.limit = max(a.window*3/4, a.least)
	a.window = max(a.window/2, a.least)
	a.calm, a.credit = min(max(afterLoss, 2*a.calm), maxAfterLoss), 0
	if a.least > minAhead {
		a.calm = toldLoss
	}
}

// measure takes a round trip's time, as RFC 6298 (2.2, 2.3) does.
func (a *ahead) measure(took time.Duration) {
	if a.base == 0 || took < a.base {
		a.base = took
	}
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
