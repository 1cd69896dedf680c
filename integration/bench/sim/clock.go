package sim

import "time"

// kind is what happens at an event.
type kind uint8

const (
	kindStart    kind = iota // node comes up and announces itself for the first time
	kindAnnounce             // node announces itself
	kindConnect              // node's dial to other arrives there
	kindTick                 // node's picker looks again
	kindKick                 // node may have something to send
	kindSent                 // node's upload link is done with a block
	kindUplink               // a block has come through the uplink of its sender's rack
	kindRack                 // a block has come through the uplink of its receiver's rack
	kindArrived              // a block is there
	kindHave                 // node's peers learn that it has a piece
)

// event is something to happen. Which fields count depends on its kind.
type event struct {
	// at is when it happens, first when the first byte of the block went into the link that it comes out of now.
	at, first   time.Duration
	pipe        *pipe
	node, other int32
	piece       uint16
	block       uint8
	kind        kind
}

// clock is virtual time: a heap of events with four children a node, which is faster than two for this many.
type clock struct {
	now  time.Duration
	heap []event
}

func (c *clock) add(e event) {
	c.heap = append(c.heap, e)
	h, i := c.heap, len(c.heap)-1
	for i > 0 {
		parent := (i - 1) / 4
		if h[parent].at <= e.at {
			break
		}
		h[i] = h[parent]
		i = parent
	}
	h[i] = e
}

// next takes the earliest event and sets the time to it.
func (c *clock) next() (event, bool) {
	if len(c.heap) == 0 {
		return event{}, false
	}
	top, last := c.heap[0], len(c.heap)-1
	e := c.heap[last]
	c.heap[last] = event{}
	c.heap = c.heap[:last]
	if last > 0 {
		c.sink(e)
	}
	c.now = top.at
	return top, true
}

// sink puts e in where the top was.
func (c *clock) sink(e event) {
	h, i := c.heap, 0
	for {
		first := 4*i + 1
		if first >= len(h) {
			break
		}
		least := first
		for k := first + 1; k < min(first+4, len(h)); k++ {
			if h[k].at < h[least].at {
				least = k
			}
		}
		if h[least].at >= e.at {
			break
		}
		h[i] = h[least]
		i = least
	}
	h[i] = e
}

// link passes blocks on in the order they come.
type link struct {
	// block is the time one block takes; 0 is a link without limit.
	block time.Duration
	// free is when it has passed on what it has.
	free time.Duration
	// blocks counts what went through.
	blocks int64
}

// newLink returns a link of so many bits per second.
func newLink(bits int64) link {
	if bits == 0 {
		return link{}
	}
	return link{block: time.Duration(int64(blockSize*8) * int64(time.Second) / bits)}
}

// pass takes a block whose first and last byte come in at the given times, and returns when they go out.
func (l *link) pass(first, last time.Duration) (time.Duration, time.Duration) {
	l.blocks++
	start := max(first, l.free)
	l.free = start + l.block
	return start, max(last, l.free)
}
