// Package tftp is a read-only TFTP server for boot loaders: in go read requests for a few named files, out come their
// bytes.
//
// It speaks RFC 1350 in mode octet with RFC 2347's options blksize (RFC 2348), tsize and timeout (RFC 2349) and
// windowsize (RFC 7440). Only what it was given by name is served: there is no directory, so no way out of one. Documents are made
// for each request.
//
// # What clients do wrong, and what is done about it
//
//   - Names with garbage behind them, their end cut off, or a folder in front: see bootname.Find.
//   - A blksize of 1468 over a path that takes less (a VPN, a tunnel, MTU 1400): fragments, which ROMs don't put together. Blocks
//     are never larger than the path takes, RFC 2348 lets a server choose less.
//   - A timeout of 255 s, and silence after it: a place among the transfers for half an hour. See maxAskedTimeout, maxSilence.
//   - The same request again before the answer is there: it gets the same packet again, from the same port. A ROM that got two
//     answers from two ports would end both (RFC 1350, section 4: error 5).
//   - Another request from the same port: the client gave up the first, and so does the server.
//   - Names that a boot loader chose itself, or that its firmware spoilt (shim); files that it can do without, which are refused at
//     once and hardly logged: see bootname. What machines ask for was captured: testdata/requests.txt.
//   - Blocks of 1024 bytes and no window (GRUB), of 512 bytes and a window of 4 (shim): see ahead.go.
//   - Mode netascii, which would change the bytes of a program, is refused and said so in the log. Options that are garbage, given
//     twice, unknown (multicast) or out of range count as not asked for, as RFC 2347 wants it.
//
// UDP's source addresses are easily made up: a client that has acknowledged nothing gets one packet for each of its own, and its
// place is the first to go when others need one.
//
// The packets are handled here and not by pack.ag/tftp, whose server a request of two bytes (00 01) ends by a panic in
// a goroutine of its own, where nobody can recover from it; neither does it send lost blocks again, nor answer from the
// address the request came to. Its client is the tests' referee for windowsize.
package tftp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/logonce"
	"github.com/boottorrent/boottorrent/seeder/bootname"
	"github.com/boottorrent/boottorrent/seeder/port"
)

// Config says what is served where.
type Config struct {
	// Listen are the addresses to take requests on, one for each address of this machine that is served: answers come
	// from the address that was asked, and firmware ignores any other.
	Listen []netip.AddrPort
	// Files returns the paths of the boot loaders that are served, by the names they are asked for. It is called at each request,
	// and the file opened, so that both may change. Names are matched as package bootname says.
	Files func() map[string]string
	// Open, if not nil, opens files whose names aren't known beforehand, such as a kernel by its content. The name is that of the
	// request, cleaned by bootname.Clean. An error that is fs.ErrNotExist means that there is no such file. The server closes the
	// file.
	Open func(name string) (*os.File, error)
	// Document, if not nil, makes what is no file, such as a configuration with an address in it, for each request. The name is
	// as for Open; local is the address of this machine that was asked. ok is false if there is no such document.
	Document func(name string, local netip.Addr) (content []byte, ok bool)
	// Probed, if not nil, tells names by which a client looks whether there is such a file, which it can do without: that there is
	// none is no warning. The name is as for Open.
	Probed func(name string) bool
	// Observe is told of each request what became of it, and how many bytes of a file were sent. It must return at once. Nil: nobody is
	// told.
	Observe func(outcome Outcome, bytes int64)
	// Log receives a line for each transfer; nothing is logged if nil.
	Log *slog.Logger
}

// Server is a TFTP server.
type Server struct {
	cfg    Config
	listen listeners
	// clients remembers which boot loader each has loaded last.
	clients bootname.Clients
	// sessions are the transfers under way.
	sessions sessions
	limit    logonce.Limiter
}

// New returns a server that does not listen yet.
func New(cfg Config) *Server {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Observe == nil {
		cfg.Observe = func(Outcome, int64) {}
	}
	return &Server{cfg: cfg}
}

// Remedy is what to do about the process that has the port, nil if it isn't known. Another port is no remedy for 69: firmware asks no other.
func Remedy(p *port.Process, number uint16) string {
	do := p.Stop()
	if p != nil && p.Name == "dnsmasq" {
		do = "remove enable-tftp from dnsmasq's configuration and restart it; its DNS and DHCP can stay"
	}
	if number == 69 {
		return do + " (firmware asks port 69 only, so that another port for the seeder is of no use)"
	}
	return do
}

// answer reads requests from conn and starts a transfer for each, until conn is closed.
func (s *Server) answer(ctx context.Context, conn *net.UDPConn, transfers *sync.WaitGroup) {
	// Requests are at most 512 bytes (RFC 2347 section 2); a longer one is cut off, and then refused.
	buf := make([]byte, 1024)
	for {
		n, client, err := conn.ReadFromUDPAddrPort(buf)
		switch {
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			// The interface is down; it may come back.
			s.warn("read "+conn.LocalAddr().String(), "TFTP: requests can't be read", "on", conn.LocalAddr().String(), "err", err)
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
			continue
		}
		s.take(ctx, conn, netip.AddrPortFrom(client.Addr().Unmap(), client.Port()), buf[:n], transfers)
	}
}

// take starts a transfer for a request.
func (s *Server) take(ctx context.Context, conn *net.UDPConn, client netip.AddrPort, packet []byte, transfers *sync.WaitGroup) {
	req, err := parseRequest(packet)
	if refused := (*refusal)(nil); errors.As(err, &refused) {
		s.cfg.Observe(Refused, 0)
		s.warn("refused "+client.Addr().String()+refused.text, "TFTP: request refused", "client", client, "why", refused.text)
		_, _ = conn.WriteToUDPAddrPort(errorPacket(refused), client) // whoever doesn't get it asks again
		return
	}
	if err != nil {
		return
	}
	ctx, place, err := s.sessions.open(ctx, client, string(packet))
	if err != nil {
		s.cfg.Observe(Dropped, 0)
		s.warn("crowded "+client.Addr().String(), "TFTP: request dropped; the client will repeat it", "client", client, "why", err)
		return
	}
	if place == nil {
		return
	}
	local := conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
	transfers.Go(func() {
		defer s.sessions.close(place)
		ctx, cancel := context.WithTimeout(ctx, maxTime)
		defer cancel()
		s.send(ctx, local, place, req)
	})
}

// warn logs a message that the network can cause at will, once in a while for each key.
func (s *Server) warn(key, text string, attrs ...any) {
	if s.limit.Allow(key, time.Now(), 0) {
		s.cfg.Log.Warn(text, attrs...)
	}
}

// send answers one request from a socket of its own, bound to the address that was asked. Connecting it makes the kernel
// drop what others send there.
func (s *Server) send(ctx context.Context, local netip.Addr, place *session, req request) {
	start, client := time.Now(), place.client
	log := s.cfg.Log.With("client", client, "file", printable(req.name))
	conn, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(local, 0)), net.UDPAddrFromAddrPort(client))
	if err != nil {
		s.cfg.Observe(Failed, 0)
		log.Error("TFTP: cannot open a socket to answer from", slog.Any("err", err))
		return
	}
	defer conn.Close()
	found, refused, err := s.lookup(req.name, client.Addr(), local)
	if err != nil {
		_, _ = conn.Write(errorPacket(refused))
		s.cfg.Observe(s.sayMissing(log, client, req.name, err), 0)
		return
	}
	defer found.close()
	if mtu, err := pathMTU(conn); err == nil {
		req.fit(mtu)
	}
	t := transfer{conn: conn, request: req, file: found.content, size: found.size, confirm: func() { s.sessions.confirm(place) }}
	if req.takesAhead {
		t.ahead = newAhead(req.window)
	}
	s.sessions.onRepeat(place, t.repeat)
	err = t.run(ctx)
	if err == nil && found.loader {
		s.clients.Loaded(client.Addr(), found.name)
	}
	s.cfg.Observe(outcome(ctx, err, t.heard, found.size))
	switch {
	case err == nil && found.mended:
		log.Info("TFTP: sent", "sent", found.name, "note", "asked for under another name", "bytes", found.size, "seconds", time.Since(start).Seconds())
	case err == nil:
		log.Info("TFTP: sent", "bytes", found.size, "seconds", time.Since(start).Seconds())
	case errors.Is(err, errReplaced) || errors.Is(err, errCrowded):
		log.Debug("TFTP: given up", slog.Any("err", err))
	case errors.Is(err, context.DeadlineExceeded):
		_, _ = conn.Write(errorPacket(&refusal{codeUndefined, "this takes too long"}))
		s.warn("slow "+client.Addr().String(), "TFTP: not sent", "client", client, "file", printable(req.name), "err", fmt.Sprintf("it took longer than %s", maxTime))
	case ctx.Err() != nil:
		_, _ = conn.Write(errorPacket(&refusal{codeUndefined, "the server is stopping"}))
	case errors.Is(err, errClient) || errors.Is(err, syscall.ECONNREFUSED): // refused: nobody listens there any more
		log.Debug("TFTP: ended by the client", slog.Any("err", err))
	case !t.heard:
		// No error packet: the address may be made up, and has had its one.
		s.warn("unheard "+client.Addr().String(), "TFTP: not sent", "client", client, "file", printable(req.name), "err", err,
			"do", "if this goes on, look for a firewall or a switch between that drops the answers of this machine")
	default:
		_, _ = conn.Write(errorPacket(&refusal{codeUndefined, err.Error()}))
		log.Warn("TFTP: not sent", slog.Any("err", err))
	}
}

// pathMTU is the size of the packets that the path to the peer of a connected socket takes, as far as the kernel knows: that of
// the interface, or less where a router has said so (ip(7), IP_MTU).
func pathMTU(conn *net.UDPConn) (int, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	mtu, failed := 0, error(nil)
	err = raw.Control(func(fd uintptr) { mtu, failed = unix.GetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU) })
	return mtu, errors.Join(err, failed)
}

// printable is a name from the network as it may stand in a log.
func printable(name string) string { return fmt.Sprintf("%.128q", name) }
