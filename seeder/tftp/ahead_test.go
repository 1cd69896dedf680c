package tftp

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// path is the way between a transfer and a client of a test: the transfer's end of it. Packets take delay in each direction, and drop
// says which are lost; the client has room for so many that it hasn't taken yet (0: any number), and takes one each time step.
type path struct {
	net.Conn // for the methods that nobody calls
	client   func(packet []byte) (answers [][]byte)
	delay    time.Duration
	room     int
	step     time.Duration
	drop     func(packet []byte, toClient bool) bool

	toClient chan sent
	acks     chan []byte
	deadline time.Time
	// data, resent and most count: data packets sent, those of a block that was sent before, and how many were under way at most.
	data, resent, most int
	highest, took      int64
	running            sync.WaitGroup
}

type sent struct {
	packet []byte
	due    time.Time
}

func newPath(p *path) *path {
	p.toClient, p.acks = make(chan sent, 1<<17), make(chan []byte, 1<<17)
	if p.drop == nil {
		p.drop = func([]byte, bool) bool { return false }
	}
	var waiting chan []byte // what the card holds
	if waiting = make(chan []byte, 1<<16); p.room > 0 {
		waiting = make(chan []byte, p.room)
	}
	p.running.Go(func() {
		defer close(waiting)
		for s := range p.toClient {
			time.Sleep(time.Until(s.due))
			select {
			case waiting <- s.packet:
			default: // no room
			}
		}
	})
	back := make(chan sent, 1<<17)
	p.running.Go(func() {
		defer close(back)
		for packet := range waiting {
			time.Sleep(p.step)
			for _, a := range p.client(packet) {
				if !p.drop(a, false) {
					back <- sent{a, time.Now().Add(p.delay)}
				}
			}
		}
	})
	p.running.Go(func() {
		defer close(p.acks)
		for s := range back {
			time.Sleep(time.Until(s.due))
			p.acks <- s.packet
		}
	})
	return p
}

// end waits until all that is on its way has arrived.
func (p *path) end() {
	close(p.toClient)
	p.running.Wait()
}

func (p *path) Write(b []byte) (int, error) {
	if b[1] == opData {
		block := p.highest + int64(int16(binary.BigEndian.Uint16(b[2:])-uint16(p.highest)))
		if p.data++; block <= p.highest {
			p.resent++
		}
		p.highest = max(p.highest, block)
		p.most = max(p.most, int(block-p.took))
	}
	if !p.drop(b, true) {
		p.toClient <- sent{bytes.Clone(b), time.Now().Add(p.delay)}
	}
	return len(b), nil
}

func (p *path) Read(b []byte) (int, error) {
	ctx, cancel := context.WithDeadline(context.Background(), p.deadline)
	defer cancel()
	select {
	case a := <-p.acks:
		p.took = max(p.took, p.took+int64(int16(binary.BigEndian.Uint16(a[2:])-uint16(p.took))))
		return copy(b, a), nil
	case <-ctx.Done():
		return 0, os.ErrDeadlineExceeded
	}
}

func (p *path) SetReadDeadline(t time.Time) error {
	p.deadline = t
	return nil
}

func ackPacket(block uint16) []byte { return binary.BigEndian.AppendUint16([]byte{0, opAck}, block) }

// grub is GRUB 2.06's TFTP client, as its net/tftp.c is: it compares block numbers in 16 bits, acknowledges the next block and those
// before it by their numbers, and drops those ahead.
type grub struct {
	blockSize int
	block     uint64
	content   []byte
	done      bool
}

func (g *grub) take(packet []byte) [][]byte {
	if packet[1] == opOACK {
		return [][]byte{ackPacket(0)}
	}
	block, want := binary.BigEndian.Uint16(packet[2:]), uint16(g.block+1)
	switch {
	case g.done: // its socket is closed
		return nil
	case block < want:
		return [][]byte{ackPacket(block)}
	case block > want:
		return nil
	}
	g.block++
	g.content = append(g.content, packet[4:]...)
	g.done = len(packet)-4 < g.blockSize
	return [][]byte{ackPacket(block)}
}

// uefi is EDK2's TFTP client: it acknowledges a window, and repeats the last acknowledgement for each block that isn't the next.
type uefi struct {
	blockSize, window int
	block             uint64
	since             int
	content           []byte
	done              bool
}

func (u *uefi) take(packet []byte) [][]byte {
	if packet[1] == opOACK {
		return [][]byte{ackPacket(0)}
	}
	if u.done {
		return nil
	}
	if binary.BigEndian.Uint16(packet[2:]) != uint16(u.block+1) {
		u.since = 0
		return [][]byte{ackPacket(uint16(u.block))}
	}
	u.block++
	u.content = append(u.content, packet[4:]...)
	u.done = len(packet)-4 < u.blockSize
	if u.since++; u.since == u.window || u.done {
		u.since = 0
		return [][]byte{ackPacket(uint16(u.block))}
	}
	return nil
}

// newClient is a client as the request's: what it answers to a packet, what it has, and whether it has all.
func newClient(req request) (take func([]byte) [][]byte, got func() []byte, done func() bool) {
	if req.window > 1 {
		u := &uefi{blockSize: req.blockSize, window: req.window}
		return u.take, func() []byte { return u.content }, func() bool { return u.done }
	}
	g := &grub{blockSize: req.blockSize}
	return g.take, func() []byte { return g.content }, func() bool { return g.done }
}

// sendOver sends content over a path to a client that asks with these options, and returns how long it took.
func sendOver(t *testing.T, p *path, options string, content []byte) time.Duration {
	t.Helper()
	req, err := parseRequest([]byte("\x00\x01f\x00octet\x00" + options))
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	x := transfer{conn: newPath(p), request: req, file: bytes.NewReader(content), size: int64(len(content))}
	if req.takesAhead {
		x.ahead = newAhead(req.window)
	}
	if err := x.run(t.Context()); err != nil {
		t.Errorf("it ended with %v", err)
	}
	took := time.Since(start)
	p.end()
	return took
}

const (
	grubRequest = "blksize\x001024\x00tsize\x000\x00"
	shimRequest = "blksize\x00512\x00windowsize\x004\x00"
	uefiRequest = "blksize\x001468\x00windowsize\x004\x00"
)

// Blocks that are sent ahead arrive whole and in order, whatever is lost, in little more than the time that the slowest part takes:
// the path, or the client. A card that has little room loses few of them.
func TestAhead(t *testing.T) {
	every := func(n int) func([]byte, bool) bool {
		var i atomic.Int64
		return func([]byte, bool) bool { return i.Add(1)%int64(n) == 0 }
	}
	for name, c := range map[string]struct {
		options string
		path    *path
		drop    int // every so many packets is lost
		blocks  int
		// within is the time that it may take, most how many blocks are under way at most, and resent how many are sent again.
		within       time.Duration
		most, resent int
	}{
		// In lock-step it would be 32 s; a wire of 1 Gbit/s takes 0.14 s.
		"GRUB":                     {grubRequest, &path{delay: time.Millisecond}, 0, 16 << 10, 200 * time.Millisecond, maxAhead, 0},
		"GRUB, slow":               {grubRequest, &path{delay: time.Millisecond, step: 100 * time.Microsecond}, 0, 16 << 10, 1700 * time.Millisecond, 64, 0},
		"GRUB, slow, room for 48":  {grubRequest, &path{delay: time.Millisecond, step: 100 * time.Microsecond, room: 48}, 0, 16 << 10, 1700 * time.Millisecond, 64, 0},
		"GRUB, room for 8":         {grubRequest, &path{delay: time.Millisecond, step: 10 * time.Microsecond, room: 8}, 0, 16 << 10, 4 * time.Second, maxAhead, 300},
		"GRUB, slow, room for 8":   {grubRequest, &path{delay: 100 * time.Microsecond, step: 100 * time.Microsecond, room: 8}, 0, 16 << 10, 3 * time.Second, maxAhead, 300},
		"GRUB, room for 1":         {grubRequest, &path{delay: time.Millisecond, step: 100 * time.Microsecond, room: 1}, 0, 1000, 3 * time.Second, maxAhead, 100},
		"GRUB, few lost":           {grubRequest, &path{delay: time.Millisecond}, 997, 16 << 10, 6 * time.Second, maxAhead, 2000},
		"GRUB, many lost":          {grubRequest, &path{delay: time.Millisecond}, 19, 1000, 20 * time.Second, maxAhead, 1000},
		"GRUB, far away":           {grubRequest, &path{delay: 40 * time.Millisecond}, 0, 4 << 10, 3 * time.Second, maxAhead, 0},
		"GRUB, block numbers wrap": {grubRequest, &path{delay: time.Millisecond}, 0, 1<<16 + 100, time.Second, maxAhead, 0},
		// In lock-step, by windows of 4, these would be 4 and 6 s.
		"shim":                        {shimRequest, &path{delay: time.Millisecond}, 0, 7500, 150 * time.Millisecond, maxAhead, 0},
		"UEFI":                        {uefiRequest, &path{delay: time.Millisecond}, 0, 11_000, 200 * time.Millisecond, maxAhead, 0},
		"UEFI, few lost":              {uefiRequest, &path{delay: time.Millisecond}, 499, 11_000, 2 * time.Second, maxAhead, 3000},
		"UEFI, many lost":             {uefiRequest, &path{delay: time.Millisecond}, 17, 1000, 10 * time.Second, maxAhead, 2000},
		"UEFI, slow, room for 8":      {uefiRequest, &path{delay: time.Millisecond, step: 50 * time.Microsecond, room: 8}, 0, 11_000, 4 * time.Second, maxAhead, 3000},
		"UEFI, room for its window":   {uefiRequest, &path{delay: time.Millisecond, step: 50 * time.Microsecond, room: 4}, 0, 1000, 2 * time.Second, maxAhead, 2000},
		"another that knows a window": {"windowsize\x004\x00blksize\x001024\x00", &path{delay: time.Millisecond}, 0, 1000, 600 * time.Millisecond, 4, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				req, _ := parseRequest([]byte("\x00\x01f\x00octet\x00" + c.options))
				content := randomBytes((c.blocks-1)*req.blockSize + 5)
				p := c.path
				take, got, _ := newClient(req)
				p.client = take
				if c.drop > 0 {
					p.drop = every(c.drop)
				}
				took := sendOver(t, p, c.options, content)
				t.Logf("%s for %d blocks, %d sent again, %d under way at most", took, c.blocks, p.resent, p.most)
				if !bytes.Equal(got(), content) {
					t.Errorf("the client has %d bytes of %d", len(got()), len(content))
				}
				if took > c.within || p.most > c.most || p.resent > c.resent {
					t.Errorf("want at most %s, %d sent again, %d under way", c.within, c.resent, c.most)
				}
			})
		})
	}
}

// A client that was never heard gets one packet, also one that takes blocks ahead: its address may be made up. One that goes silent
// later is left within half a minute, and is not sent its window each time that it is tried again.
func TestAheadOfNobody(t *testing.T) {
	for name, answers := range map[string]int{"never heard": 0, "silent after its first": 1, "silent after some": 100} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, n, packets := &grub{blockSize: 1024}, 0, 0
				p := newPath(&path{delay: time.Millisecond})
				p.client = func(packet []byte) [][]byte {
					packets++
					if n++; n > answers {
						return nil
					}
					return g.take(packet)
				}
				req, _ := parseRequest([]byte("\x00\x01f\x00octet\x00" + grubRequest))
				x := transfer{conn: p, request: req, file: bytes.NewReader(make([]byte, 1<<20)), size: 1 << 20, ahead: newAhead(1)}
				start := time.Now()
				err := x.run(t.Context())
				took := time.Since(start)
				p.end()
				limit := map[int]int{0: 1, 1: 1 + firstAhead + 12*minAhead, 100: 100 + 200 + 12*100}[answers]
				if err == nil || took > maxSilence+time.Second || packets > limit {
					t.Errorf("%v after %s and %d packets, want at most %d", err, took, packets, limit)
				}
			})
		})
	}
}

func TestTakesBlocksAhead(t *testing.T) {
	for options, want := range map[string]bool{
		grubRequest: true, shimRequest: true, uefiRequest: true, "tsize\x000\x00" + uefiRequest: true,
		"": false, "tsize\x000\x00": false, "blksize\x001024\x00": false, "tsize\x000\x00blksize\x001024\x00": false, "blksize\x001432\x00tsize\x000\x00": false,
		"windowsize\x004\x00": false, "windowsize\x004\x00blksize\x001468\x00": false, "tsize\x000\x00blksize\x001468\x00windowsize\x004\x00timeout\x001\x00": false,
		"blksize\x001\x00windowsize\x000\x00": false, "blksize\x00512\x00windowsize\x0070000\x00": false,
	} {
		r, err := parseRequest([]byte("\x00\x01f\x00octet\x00" + options))
		if err != nil || r.takesAhead != want {
			t.Errorf("%q: %v, %v", options, r.takesAhead, fmt.Sprint(err))
		}
	}
}

// GRUB and UEFI get their files over real sockets, also when some packets don't arrive.
func TestAheadOverLoopback(t *testing.T) {
	content := randomBytes(4<<20 + 7)
	for name, options := range map[string]string{"GRUB": grubRequest, "shim": shimRequest, "UEFI": uefiRequest} {
		t.Run(name, func(t *testing.T) {
			req, _ := parseRequest([]byte("\x00\x01f\x00octet\x00" + options))
			take, got, done := newClient(req)
			c := dial(t, serve(t, content))
			c.send("\x00\x01file.efi\x00octet\x00" + options)
			for n := 1; !done(); n++ {
				packet := c.read()
				if n%1009 == 0 {
					continue
				}
				for _, a := range take([]byte(packet)) {
					c.send(string(a))
				}
			}
			if !bytes.Equal(got(), content) {
				t.Errorf("the client has %d bytes of %d", len(got()), len(content))
			}
		})
	}
}
