package helper

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// net/http's server would add 44 KB to the program that every node loads, http.ServeContent 14 KB.

const (
	// maxLoading is how many machines load at a time; others are told to come again later. A few at a time end sooner than many would.
	maxLoading = 6
	// maxConnections is how many connections there are at most, and those that are told that among them.
	maxConnections = 64
	// probe is the most bytes that are answered beside maxLoading: by these the seeder finds out whether the node helps.
	probe = 64 << 10
	// requestTime is for the request, silence how long a machine may take nothing, transferTime how long an answer takes at most: 16 MiB
	// at 0.5 Mbit/s.
	requestTime, silence, transferTime = 10 * time.Second, 20 * time.Second, 5 * time.Minute
	// maxRequest is the most bytes of a request's head.
	maxRequest = 8 << 10
	// block is how many bytes are read and sent at a time, as in a block of BitTorrent, beside which it waits for the limit.
	block = 16 << 10
)

// counts are of what is served.
type counts struct {
	// sent is how many bytes of files were sent, loading how many machines are loading now.
	sent, loading atomic.Int64
}

// content is an open file.
type content struct {
	io.ReaderAt
	size int64
}

// server serves files by HTTP/1.1 (RFC 9112), one request a connection.
type server struct {
	// files are by their paths.
	files map[string]content
	limit *rate.Limiter
	*counts
	// connected has a place for each connection.
	connected chan struct{}
	// ctx ends with the time of those who have not finished; group waits for all.
	ctx    context.Context
	cancel context.CancelFunc
	group  sync.WaitGroup
}

// newServer returns one that sends no faster than a limit (nil: none), and counts.
func newServer(limit *rate.Limiter, counts *counts) *server {
	s := &server{files: map[string]content{}, limit: limit, counts: counts, connected: make(chan struct{}, maxConnections)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// serve serves until the listener is closed.
func (s *server) serve(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		select {
		case s.connected <- struct{}{}:
		default:
			conn.Close()
			continue
		}
		s.group.Go(func() {
			defer func() { <-s.connected }()
			defer conn.Close()
			defer context.AfterFunc(s.ctx, func() { conn.Close() })()
			s.answer(conn)
		})
	}
}

// end gives those who are loading some time to finish, and returns when nobody is.
func (s *server) end(grace time.Duration) {
	defer time.AfterFunc(grace, s.cancel).Stop()
	s.group.Wait()
	s.cancel()
}

// answer answers one request. What goes wrong the other side sees.
func (s *server) answer(conn net.Conn) {
	_ = conn.SetDeadline(time.Now().Add(requestTime))
	r, err := http.ReadRequest(bufio.NewReader(io.LimitReader(conn, maxRequest)))
	if err != nil {
		refuse(conn, http.StatusBadRequest, "")
		return
	}
	c, ok := s.files[r.URL.Path]
	switch {
	case !ok:
		refuse(conn, http.StatusNotFound, "")
		return
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		refuse(conn, http.StatusMethodNotAllowed, "Allow: GET, HEAD\r\n")
		return
	}
	span, part, ok := spanOf(r.Header, c.size)
	if !ok {
		refuse(conn, http.StatusRequestedRangeNotSatisfiable, fmt.Sprintf("Content-Range: bytes */%d\r\n", c.size))
		return
	}
	if r.Method == http.MethodGet && span.length > probe {
		defer s.loading.Add(-1)
		if s.loading.Add(1) > maxLoading {
			refuse(conn, http.StatusServiceUnavailable, "Retry-After: 2\r\n")
			return
		}
	}
	status, more := http.StatusOK, ""
	if part {
		status, more = http.StatusPartialContent, fmt.Sprintf("Content-Range: bytes %d-%d/%d\r\n", span.start, span.start+span.length-1, c.size)
	}
	if head(conn, status, span.length, "Accept-Ranges: bytes\r\nContent-Type: application/octet-stream\r\n"+more) == nil && r.Method == http.MethodGet {
		s.send(conn, c, span)
	}
}

// send sends a part of a file.
func (s *server) send(conn net.Conn, c content, span span) {
	end := time.Now().Add(transferTime)
	buffer := make([]byte, block)
	for span.length > 0 {
		n, err := c.ReadAt(buffer[:min(span.length, block)], span.start)
		if n == 0 && err != nil {
			return
		}
		if s.limit != nil && s.limit.WaitN(s.ctx, n) != nil {
			return
		}
		deadline := time.Now().Add(silence)
		if deadline.After(end) {
			deadline = end
		}
		_ = conn.SetWriteDeadline(deadline)
		n, err = conn.Write(buffer[:n])
		s.sent.Add(int64(n))
		if err != nil {
			return
		}
		span.start, span.length = span.start+int64(n), span.length-int64(n)
	}
}

// refuse answers without a body.
func refuse(conn net.Conn, status int, more string) { _ = head(conn, status, 0, more) }

// head sends the head of an answer. A node's clock may be anywhere, so there is no Date (RFC 9110, section 6.6.1).
func head(conn net.Conn, status int, length int64, more string) error {
	_, err := fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\nContent-Length: %d\r\nConnection: close\r\n%s\r\n", status, http.StatusText(status), length, more)
	return err
}

// span is a part of a file, in bytes.
type span struct{ start, length int64 }

// spanOf is the part of a file that a request wants, and whether it is less than all by a Range (RFC 9110, section 14.2). A Range that is
// not a single one of bytes, or has a condition, is as none. ok is false if the file has nothing of it.
func spanOf(h http.Header, size int64) (s span, part, ok bool) {
	all := span{0, size}
	spec, isRange := strings.CutPrefix(h.Get("Range"), "bytes=")
	first, last, isSpan := strings.Cut(strings.TrimSpace(spec), "-")
	if !isRange || !isSpan || h.Get("If-Range") != "" {
		return all, false, true
	}
	end := size - 1
	if n, err := strconv.ParseUint(last, 10, 62); err == nil {
		end = int64(n)
	} else if last != "" || first == "" {
		return all, false, true
	}
	start := size - end // of a suffix, end is how long that is
	if first != "" {
		n, err := strconv.ParseUint(first, 10, 62)
		if err != nil || int64(n) > end && last != "" {
			return all, false, true
		}
		start = int64(n)
	} else {
		start, end = max(0, start), size-1
	}
	if start >= size {
		return s, true, false
	}
	return span{start, min(end, size-1) - start + 1}, true, true
}
