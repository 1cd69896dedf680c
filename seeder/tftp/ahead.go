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
// So they are sent blocks ahead of their acknowledgements: as many as the card has room for, which isn't known. The number begins small and
// grows with what is acknowledged; what is lost is sent again from the first block that is missing on (go-back-N).

const (
	// firstAhead is the number of blocks under way to begin with, and minAhead after losses. Network cards of firmware keep 8
	// packets at least.
	firstAhead = 4
	minAhead   = 2
	// maxAhead is less than the 50 packets after which GRUB stops to acknowledge, and the 64 that OVMF's virtio driver has room for
	// (VirtioNet.h, VNET_MAX_PENDING).
	maxAhead = 48
	// afterLoss is for how many blocks the number stays as it is after a first loss, before it grows by one; it doubles with each
	// loss up to maxAfterLoss. A card that has too little room loses blocks each time that the number becomes too large for it,
	// and each time that costs a silence. Where the client tells of losses they cost little, and it is toldLoss.
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
	// full is the window at the last loss; 0 before the first. It grows by one for each block that is acknowledged up to three
	// quarters of that, and then by one for every calm blocks. credit are those that count already.
	full, calm, credit int
	// lostAt is the last block that was acknowledged when some were lost: what is lost before another one is acknowledged belongs
	// to the same loss.
	lostAt int64
	// again is the first block that is sent for the first time after the last loss. Until it is acknowledged, repeated
	// acknowledgements may be for blocks that arrived twice.
	again int64
	// smooth is the round trip's time, and vary its variation (RFC 6298); 0 until it was measured. timed is the block that is
	// being measured, 0 for none, which was sent at the time at.
	smooth, vary time.Duration
	timed        int64
	at           time.Time
}

func newAhead(agreed int) *ahead {
	return &ahead{window: max(firstAhead, agreed), least: max(minAhead, agreed), lostAt: -1}
}

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
	if a.full == 0 {
		a.window = min(a.window+n, maxAhead)
		return
	}
	if quick := a.full * 3 / 4; a.window < quick {
		a.window = min(a.window+n, quick)
		return
	}
	for a.credit += n; a.credit >= a.calm; a.credit -= a.calm {
		a.window = min(a.window+1, maxAhead)
	}
}

// tellsLoss reports whether a repeated acknowledgement of this block tells of a loss.
func (a *ahead) tellsLoss(acked int64) bool { return acked >= a.again }

// lost notes that blocks behind acked were lost, of which highest is the last that was sent: the card has room for less, or the
// wire loses some.
func (a *ahead) lost(acked, highest int64) {
	a.again = highest + 1
	a.timed = 0 // who knows which of the two is acknowledged (Karn's algorithm)
	if acked == a.lostAt {
		return
	}
	a.lostAt, a.full = acked, a.window
	a.window = max(a.window/2, a.least)
	a.calm, a.credit = min(max(afterLoss, 2*a.calm), maxAfterLoss), 0
	if a.least > minAhead {
		a.calm = toldLoss
	}
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
