// Package tftp is a read-only TFTP server for boot loaders: in go read requests for a few named files, out come their
// bytes.
//
// It speaks RFC 1350 in mode octet with RFC 2347's options blksize (RFC 2348), tsize and timeout (RFC 2349) and
// windowsize (RFC 7440). Only the files it was given by name are served: there is no directory, so no way out of one.
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

	"github.com/boottorrent/boottorrent/seeder/port"
)

// maxTransfers bounds the transfers at one time; requests beyond it are dropped, and clients repeat them.
const maxTransfers = 512

// Config says what is served where.
type Config struct {
	// Listen are the addresses to take requests on, one for each address of this machine that is served: answers come
	// from the address that was asked, and firmware ignores any other.
	Listen []netip.AddrPort
	// Files are the paths of the files that are served, by the names they are asked for. Case and a leading slash of a
	// request don't matter. Files are opened at each request, so they may be replaced.
	Files map[string]string
	// Log receives a line for each transfer; nothing is logged if nil.
	Log *slog.Logger
}

// Server is a TFTP server.
type Server struct {
	cfg   Config
	files map[string]string
	conns []*net.UDPConn
	// slots limits the transfers.
	slots chan struct{}
}

// New returns a server that does not listen yet.
func New(cfg Config) *Server {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg, files: map[string]string{}, slots: make(chan struct{}, maxTransfers)}
	for name, path := range cfg.Files {
		s.files[cleanName(name)] = path
	}
	return s
}

// Listen opens the sockets. An error names the address that can't be listened on.
func (s *Server) Listen() error {
	for _, addr := range s.cfg.Listen {
		conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr))
		if err != nil {
			s.Close()
			return port.Explain(err, "udp", addr, func(p *port.Process) string { return Remedy(p, addr.Port()) })
		}
		s.conns = append(s.conns, conn)
	}
	return nil
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

// Close closes the sockets, which Serve does as well.
func (s *Server) Close() {
	for _, conn := range s.conns {
		conn.Close()
	}
}

// Serve answers on the sockets that Listen opened until ctx is done; then it ends all transfers and returns nil. An error
// means that a socket failed.
func (s *Server) Serve(ctx context.Context) error {
	// The first socket to fail stops the others.
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var listeners, transfers sync.WaitGroup
	for _, conn := range s.conns {
		listeners.Go(func() {
			if err := s.answer(ctx, conn, &transfers); err != nil {
				stop(fmt.Errorf("TFTP: read requests on %s: %w", conn.LocalAddr(), err))
			}
		})
	}
	<-ctx.Done()
	s.Close()
	listeners.Wait()
	transfers.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// answer reads requests from conn and starts a transfer for each.
func (s *Server) answer(ctx context.Context, conn *net.UDPConn, transfers *sync.WaitGroup) error {
	local := conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
	// Requests are at most 512 bytes (RFC 2347 section 2); a longer one is cut off, and then refused.
	buf := make([]byte, 1024)
	for {
		n, client, err := conn.ReadFromUDPAddrPort(buf)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		req, err := parseRequest(buf[:n])
		if refused := (*refusal)(nil); errors.As(err, &refused) {
			s.cfg.Log.Debug("TFTP request refused", "client", client, "why", refused.text)
			_, _ = conn.WriteToUDPAddrPort(errorPacket(refused), client) // whoever doesn't get it asks again
			continue
		}
		if err != nil {
			continue
		}
		select {
		case s.slots <- struct{}{}:
		default:
			s.cfg.Log.Warn("TFTP request dropped: too many transfers", "client", client, "transfers", maxTransfers)
			continue
		}
		transfers.Go(func() {
			defer func() { <-s.slots }()
			s.send(ctx, local, client, req)
		})
	}
}

// send answers one request from a socket of its own, bound to the address that was asked. Connecting it makes the kernel
// drop what others send there.
func (s *Server) send(ctx context.Context, local netip.Addr, client netip.AddrPort, req request) {
	start := time.Now()
	log := s.cfg.Log.With("client", client, "file", printable(req.name))
	conn, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(local, 0)), net.UDPAddrFromAddrPort(client))
	if err != nil {
		log.Error("TFTP: cannot open a socket to answer from", slog.Any("err", err))
		return
	}
	defer conn.Close()
	file, size, refused, err := s.open(req.name)
	if err != nil {
		log.Warn("TFTP: not sent", slog.Any("err", err))
		_, _ = conn.Write(errorPacket(refused))
		return
	}
	defer file.Close()
	t := transfer{conn: conn, request: req, file: file, size: size}
	err = t.run(ctx)
	switch {
	case err == nil:
		log.Info("TFTP: sent", "bytes", size, "seconds", time.Since(start).Seconds())
	case ctx.Err() != nil:
		_, _ = conn.Write(errorPacket(&refusal{codeUndefined, "the server is stopping"}))
	case errors.Is(err, errClient) || errors.Is(err, syscall.ECONNREFUSED): // refused: nobody listens there any more
		log.Debug("TFTP: ended by the client", slog.Any("err", err))
	default:
		_, _ = conn.Write(errorPacket(&refusal{codeUndefined, err.Error()}))
		log.Warn("TFTP: not sent", slog.Any("err", err))
	}
}

// open finds what a name stands for. With err comes what the client is told.
func (s *Server) open(name string) (file *os.File, size int64, told *refusal, err error) {
	path, ok := s.files[cleanName(name)]
	if !ok {
		return nil, 0, &refusal{codeNotFound, "no such file here"}, errors.New("no such file is served")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, &refusal{codeNotFound, "the file is missing on the server; see its log"}, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		f.Close()
		return nil, 0, &refusal{codeUndefined, "the file can't be read on the server; see its log"}, err
	}
	return f, info.Size(), nil, nil
}

// printable is a name from the network as it may stand in a log.
func printable(name string) string { return fmt.Sprintf("%.128q", name) }
