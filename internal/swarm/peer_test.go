package swarm

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// oddPeer is a peer as small as can be (BEP 3), for what no well-behaved one does. It says that it has the pieces of has and
// answers every request by answer.
type oddPeer struct {
	t       testing.TB
	sample  *sampleSystem
	content []byte
	has     func(piece int) bool
	// answer returns what to send for a request of content[at:at+n]; nil is nothing. It may wait, and is not called again
	// on the same connection meanwhile.
	answer func(at, n int) []byte

	listener net.Listener
	mu       sync.Mutex
	conns    []net.Conn
	asked    int
	// requested is closed by the first request.
	requested chan struct{}
}

func newOddPeer(t testing.TB, addr string, s *sampleSystem, has func(int) bool, answer func(at, n int) []byte) *oddPeer {
	t.Helper()
	l, err := net.Listen("tcp4", addr+":0")
	if err != nil {
		t.Fatal(err)
	}
	p := &oddPeer{t: t, sample: s, content: s.content(t), has: has, answer: answer, listener: l, requested: make(chan struct{})}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.mu.Lock()
			p.conns = append(p.conns, c)
			p.mu.Unlock()
			go p.serve(c)
		}
	}()
	t.Cleanup(p.vanish)
	return p
}

// content is the torrent's, as one.
func (s *sampleSystem) content(t testing.TB) (all []byte) {
	t.Helper()
	for _, f := range s.files {
		b, err := os.ReadFile(filepath.Join(s.dir, s.system.Name, f.Path))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return all
}

func (p *oddPeer) addrPort() netip.AddrPort {
	return p.listener.Addr().(*net.TCPAddr).AddrPort()
}

// vanish closes everything.
func (p *oddPeer) vanish() {
	_ = p.listener.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
}

// requests is how many there were.
func (p *oddPeer) requests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

// connections is how many there were.
func (p *oddPeer) connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}

func (p *oddPeer) serve(c net.Conn) {
	defer c.Close()
	const protocol = "\x13BitTorrent protocol\x00\x00\x00\x00\x00\x00\x00\x00"
	hello := make([]byte, 68)
	if _, err := io.ReadFull(c, hello); err != nil || !bytes.Equal(hello[:20], []byte(protocol)[:20]) {
		return // an encrypted one, tried after a plain one failed
	}
	out := append([]byte(protocol), p.sample.system.InfoHash[:]...)
	out = append(out, "-XX0000-"+p.listener.Addr().String()[:12]...)
	out = append(out, message(5, p.bitfield())...)
	out = append(out, message(1, nil)...) // unchoke
	if _, err := c.Write(out); err != nil {
		return
	}
	requests := make(chan [3]uint32, 1<<12)
	defer close(requests)
	go func() {
		for r := range requests {
			at := int(r[0])*int(p.sample.system.PieceLength) + int(r[1])
			if b := p.answer(at, int(r[2])); b != nil {
				head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, r[0]), r[1])
				if _, err := c.Write(message(7, append(head, b...))); err != nil {
					return
				}
			}
		}
	}()
	p.read(bufio.NewReader(c), requests)
}

// read passes requests on until the connection ends.
func (p *oddPeer) read(r io.Reader, requests chan<- [3]uint32) {
	for {
		var size uint32
		if binary.Read(r, binary.BigEndian, &size) != nil {
			return
		}
		body := make([]byte, size)
		if _, err := io.ReadFull(r, body); err != nil {
			return
		}
		if size != 13 || body[0] != 6 {
			continue
		}
		var q [3]uint32
		for i := range q {
			q[i] = binary.BigEndian.Uint32(body[1+4*i:])
		}
		p.mu.Lock()
		if p.asked++; p.asked == 1 {
			close(p.requested)
		}
		p.mu.Unlock()
		requests <- q
	}
}

func message(kind byte, body []byte) []byte {
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(len(body)+1)), kind), body...)
}

func (p *oddPeer) bitfield() []byte {
	pieces := (len(p.content) + int(p.sample.system.PieceLength) - 1) / int(p.sample.system.PieceLength)
	b := make([]byte, (pieces+7)/8)
	for i := range pieces {
		if p.has(i) {
			b[i/8] |= 0x80 >> (i % 8)
		}
	}
	return b
}

// The ways to answer.

func (p *oddPeer) honest(at, n int) []byte { return p.content[at : at+n] }

// wrong is not what was asked for.
func (p *oddPeer) wrong(at, n int) []byte {
	b := bytes.Clone(p.content[at : at+n])
	b[n/2] ^= 0x55
	return b
}

// never answers.
func (p *oddPeer) never(int, int) []byte { return nil }

// slowly answers with so many bytes per second.
func (p *oddPeer) slowly(perSecond int) func(at, n int) []byte {
	return func(at, n int) []byte {
		time.Sleep(time.Duration(n) * time.Second / time.Duration(perSecond))
		return p.content[at : at+n]
	}
}

func everything(int) bool { return true }
