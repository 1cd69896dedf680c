package site

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/boottorrent/boottorrent/integration/kit"
	"github.com/boottorrent/boottorrent/integration/lab"
)

// node is one of the crowd: its address, and its connection, which it keeps between two requests. It is for one goroutine at a time.
type node struct {
	number int
	host   *lab.Host
	to     *kit.Seeder
	conn   net.Conn
	in     *bufio.Reader
	times  latencies
}

// requestTime is how long one request may take.
const requestTime = 30 * time.Second

func (n *node) close() {
	if n.conn != nil {
		n.conn.Close()
		n.conn = nil
	}
}

// ask sends a request over the node's connection, a new one if there is none, and returns how long the answer took and its status. The answer's
// body goes to out.
func (n *node) ask(ctx context.Context, method, path string, body []byte, out io.Writer) (status int, took time.Duration, err error) {
	began := time.Now()
	u, err := url.Parse(n.to.Base)
	if err != nil {
		return 0, 0, err
	}
	if n.conn == nil {
		if err := n.dial(ctx, u.Host); err != nil {
			return 0, 0, err
		}
	}
	_ = n.conn.SetDeadline(time.Now().Add(requestTime))
	var head strings.Builder
	fmt.Fprintf(&head, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: BootTorrent\r\n", method, path, u.Host)
	if body != nil {
		fmt.Fprintf(&head, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	head.WriteString("\r\n")
	if _, err := n.conn.Write(append([]byte(head.String()), body...)); err != nil {
		n.close()
		return 0, 0, err
	}
	resp, err := http.ReadResponse(n.in, &http.Request{Method: method})
	if err == nil {
		_, err = io.Copy(out, resp.Body)
		resp.Body.Close()
	}
	if err != nil {
		n.close()
		return 0, 0, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if resp.Close {
		n.close()
	}
	return resp.StatusCode, time.Since(began), nil
}

// dialling bounds the dials at a time, as each takes a thread of its own to be in the host's namespace.
var dialling = make(chan struct{}, 16)

// dial connects from the node's own address.
func (n *node) dial(ctx context.Context, address string) error {
	select {
	case dialling <- struct{}{}:
		defer func() { <-dialling }()
	case <-ctx.Done():
		return ctx.Err()
	}
	d := net.Dialer{Timeout: requestTime, LocalAddr: &net.TCPAddr{IP: nodeAddr(n.number).AsSlice()}}
	return n.host.Do(func() error {
		c, err := d.DialContext(ctx, "tcp4", address)
		if err == nil {
			n.conn, n.in = c, bufio.NewReaderSize(c, 4096)
		}
		return err
	})
}
