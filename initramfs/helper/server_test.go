package helper

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/boottorrent/boottorrent/internal/need"
)

// data is what the tests' server has at /boot/abc/vmlinuz.
func data(size int) []byte {
	b := make([]byte, size)
	random := rand.NewChaCha8([32]byte{3})
	_, _ = random.Read(b)
	return b
}

const filePath = "/boot/abc/vmlinuz"

// startServer serves some bytes until the test ends, and returns the address.
func startServer(t *testing.T, b []byte, limit *rate.Limiter) (*server, string) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(limit, &counts{})
	s.files[filePath] = content{bytes.NewReader(b), int64(len(b))}
	ended := make(chan struct{})
	go func() { defer close(ended); s.serve(l) }()
	t.Cleanup(func() {
		l.Close()
		<-ended
		s.end(0)
	})
	return s, l.Addr().String()
}

// request sends a request and returns the answer with its body.
func request(t *testing.T, method, address, path, header string) (*http.Response, []byte) {
	t.Helper()
	conn, err := net.Dial("tcp4", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(need.Patience))
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", method, path, address, header)
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp, body
}

// Answers are those of net/http, whose code a node has no room for.
func TestAnswersAsNetHTTP(t *testing.T) {
	b := data(100_000)
	_, address := startServer(t, b, nil)
	referee := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
	}))
	defer referee.Close()
	for _, header := range []string{
		"", "Range: bytes=0-0\r\n", "Range: bytes=0-\r\n", "Range: bytes=10-99\r\n", "Range: bytes=99999-\r\n", "Range: bytes=99990-200000\r\n",
		"Range: bytes=-1\r\n", "Range: bytes=-100000\r\n", "Range: bytes=-100001\r\n", "Range: bytes=100000-\r\n", "Range: bytes=100000-100001\r\n",
		"Range: bytes=0-99\r\nIf-Range: \"x\"\r\n", "Connection: keep-alive\r\n",
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			want, wantBody := request(t, method, referee.Listener.Addr().String(), filePath, header)
			got, body := request(t, method, address, filePath, header)
			if want.StatusCode == http.StatusRequestedRangeNotSatisfiable {
				wantBody = nil // words
			} else if want.ContentLength != got.ContentLength {
				t.Errorf("%s %q: Content-Length %d, want %d", method, header, got.ContentLength, want.ContentLength)
			}
			if got.StatusCode != want.StatusCode || !bytes.Equal(body, wantBody) || got.Header.Get("Content-Range") != want.Header.Get("Content-Range") {
				t.Errorf("%s %q: %s, %d bytes, %v; want %s, %d bytes, %v", method, header, got.Status, len(body), got.Header, want.Status, len(wantBody), want.Header)
			}
			if !got.Close || got.StatusCode < 300 && got.Header.Get("Accept-Ranges") != "bytes" {
				t.Errorf("%s %q: header %v", method, header, got.Header)
			}
		}
	}
	// What net/http refuses, or answers in several parts, is answered with all: a server may ignore Range.
	for _, header := range []string{"Range: bytes=1-2,5-6\r\n", "Range: lines=1-2\r\n", "Range: bytes=x-\r\n", "Range: bytes=5-1\r\n", "Range: bytes=-\r\n", "Range: bytes=1\r\n", "Range: bytes=--5\r\n", "Range: bytes=-x\r\n"} {
		if got, body := request(t, http.MethodGet, address, filePath, header); got.StatusCode != http.StatusOK || !bytes.Equal(body, b) {
			t.Errorf("%q: %s, %d bytes; want all", header, got.Status, len(body))
		}
	}
}

func TestNothingElseAnswers(t *testing.T) {
	_, address := startServer(t, data(1000), nil)
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{http.MethodGet, "/", 404}, {http.MethodGet, "/boot/abc/", 404}, {http.MethodGet, "/boot/abc/../abc/vmlinuz", 404},
		{http.MethodGet, "/boot/abc/initramfs.img", 404}, {http.MethodGet, filePath + "?x", 200}, {http.MethodHead, "/etc/passwd", 404},
		{http.MethodPost, filePath, 405}, {http.MethodDelete, filePath, 405}, {http.MethodPost, "/api/report", 404}, {"NO SENSE", "x", 400},
	} {
		if got, _ := request(t, c.method, address, c.path, ""); got.StatusCode != c.want {
			t.Errorf("%s %s: %s, want %d", c.method, c.path, got.Status, c.want)
		}
	}
	if got, _ := request(t, http.MethodGet, address, filePath, "X: "+strings.Repeat("x", maxRequest)+"\r\n"); got.StatusCode != 400 {
		t.Errorf("a request of more than %d bytes: %s", maxRequest, got.Status)
	}
}

// load begins to load the file, and takes no more than the beginning.
func load(t *testing.T, address string) (net.Conn, *bufio.Reader, *http.Response) {
	t.Helper()
	conn, err := net.Dial("tcp4", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(need.Patience))
	fmt.Fprintf(conn, "GET %s HTTP/1.0\r\n\r\n", filePath)
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	return conn, r, resp
}

// Some machines load at a time, and further ones are told to come again; a probe of the seeder's is answered all the same. Those that are
// loading when the server ends may finish, and those that don't are left after a while.
func TestManyMachines(t *testing.T) {
	b := data(32 << 20) // more than the sockets' buffers take
	s, address := startServer(t, b, nil)
	var loading []*http.Response
	for range maxLoading {
		_, _, resp := load(t, address)
		if resp.StatusCode != http.StatusOK {
			t.Fatal(resp.Status)
		}
		loading = append(loading, resp)
	}
	_, _, late := load(t, address)
	if late.StatusCode != http.StatusServiceUnavailable || late.Header.Get("Retry-After") == "" {
		t.Errorf("one more: %s, %v", late.Status, late.Header)
	}
	if got, body := request(t, http.MethodGet, address, filePath, "Range: bytes=1000-1999\r\n"); got.StatusCode != http.StatusPartialContent || !bytes.Equal(body, b[1000:2000]) {
		t.Errorf("a probe: %s, %d bytes", got.Status, len(body))
	}
	if n := (&Helper{}); n.Note() != "" {
		t.Error(n.Note())
	}
	for n, want := range map[int64]string{1: "Another machine is loading phase 1 from this one.", maxLoading: "6 other machines are loading phase 1 from this one."} {
		h := &Helper{}
		h.counts.loading.Store(n)
		if got := h.Note(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}

	ended := make(chan struct{})
	go func() { defer close(ended); s.end(time.Hour) }()
	for i, resp := range loading {
		if i == 0 {
			continue // that one takes nothing
		}
		if got, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(got, b) {
			t.Errorf("machine %d: %d bytes, %v", i, len(got), err)
		}
	}
	select {
	case <-ended:
		t.Error("the server ended before all had finished")
	default:
	}
	s.end(10 * time.Millisecond)
	<-ended
	if sent := s.sent.Load(); sent < (maxLoading-1)*int64(len(b))+1000 || sent > maxLoading*int64(len(b)) {
		t.Errorf("%d bytes were counted", sent)
	}
	if n := s.loading.Load(); n != 0 {
		t.Errorf("%d are counted as loading", n)
	}
}

// The limit of the site's holds.
func TestLimit(t *testing.T) {
	b := data(300_000)
	limit := rate.NewLimiter(1_000_000, block)
	_, address := startServer(t, b, limit)
	began := time.Now()
	if _, body := request(t, http.MethodGet, address, filePath, ""); !bytes.Equal(body, b) {
		t.Errorf("%d bytes", len(body))
	}
	if took := time.Since(began); took < 280*time.Millisecond {
		t.Errorf("300 kB at 1 MB/s took %s", took)
	}
}
