package web

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
)

// serve runs s on a loopback port until the test ends, and returns its base URL.
func serve(t *testing.T, s *site) string {
	t.Helper()
	return serveOn(t, s, listen(t))
}

// listen takes a loopback port.
func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// serveOn is serve on a port that was taken.
func serveOn(t *testing.T, s *site, l net.Listener) string {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return "http://" + l.Addr().String()
}

// randomFile puts n random bytes where the release's file vmlinuz is, and publishes them.
func randomFile(t *testing.T, s *site, n int) []byte {
	t.Helper()
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(data)
	write(t, filepath.Join(s.dir, "oss/tiny/vmlinuz"), string(data))
	publishFile(s, int64(n))
	return data
}

// bigSize is more than the kernel buffers for a connection, in bytes.
const bigSize = 32 << 20

// bigFile makes the release's file vmlinuz a sparse one of bigSize, and publishes it.
func bigFile(t *testing.T, s *site) {
	t.Helper()
	if err := os.Truncate(filepath.Join(s.dir, "oss/tiny/vmlinuz"), bigSize); err != nil {
		t.Fatal(err)
	}
	publishFile(s, bigSize)
}

// publishFile publishes a release whose file vmlinuz has n bytes. The server believes the sum, which is a wrong one.
func publishFile(s *site, n int64) {
	release := s.release(hash1)
	release.Torrents[hash1].Files[0].Size = n
	s.Publish(release)
}

func TestCurl(t *testing.T) {
	curl := need.Command(t, "curl", "curl")
	s := newSite(t, nil)
	data := randomFile(t, s, 5<<20+123)
	url := serve(t, s) + catalog.WebSeedPath(hash1) + "tiny/vmlinuz"
	out := filepath.Join(t.TempDir(), "out")
	for name, c := range map[string]struct {
		args []string
		// had is what is in the file before.
		had, want []byte
	}{
		"whole":              {nil, nil, data},
		"a range":            {[]string{"-r", "100-2000099"}, nil, data[100:2000100]},
		"the end":            {[]string{"-r", "-10"}, nil, data[len(data)-10:]},
		"continued":          {[]string{"-C", "-"}, data[:3<<20+7], data},
		"one byte at a time": {[]string{"-r", "7-7"}, nil, data[7:8]},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(out, c.had, 0o600); err != nil {
				t.Fatal(err)
			}
			args := append(c.args, "--fail", "--silent", "--show-error", "--noproxy", "*", "--max-time", strconv.Itoa(int(need.Patience.Seconds())), "-o", out, url)
			if msg, err := exec.Command(curl, args...).CombinedOutput(); err != nil {
				t.Fatalf("curl: %v: %s", err, msg)
			}
			if got, _ := os.ReadFile(out); !bytes.Equal(got, c.want) {
				t.Errorf("got %d bytes, want %d others", len(got), len(c.want))
			}
		})
	}
}

// A download that stands still takes a place; a ninth is told to come again, and gets it when a place is free.
func TestFallbackIsLimited(t *testing.T) {
	s := newSite(t, func(c *Config) { c.MaxFallback = 2 })
	bigFile(t, s)
	url := serve(t, s) + catalog.WebSeedPath(hash1) + "tiny/vmlinuz"
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(method string) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp
	}
	first, second := get("GET"), get("GET")
	if first.StatusCode != 200 || second.StatusCode != 200 {
		t.Fatalf("the first two: %d, %d", first.StatusCode, second.StatusCode)
	}
	if third := get("GET"); third.StatusCode != 503 || third.Header.Get("Retry-After") == "" {
		t.Errorf("the third: %d %v", third.StatusCode, third.Header)
	}
	if head := get("HEAD"); head.StatusCode != 200 || head.ContentLength != bigSize {
		t.Errorf("HEAD: %d, %d bytes", head.StatusCode, head.ContentLength)
	}
	if n, err := io.Copy(io.Discard, first.Body); n != bigSize || err != nil {
		t.Fatalf("the first got %d bytes, %v", n, err)
	}
	// The place is free when the handler has returned, a moment after the last byte came.
	for deadline := time.Now().Add(need.Patience); get("GET").StatusCode != 200; {
		if time.Now().After(deadline) {
			t.Fatal("no place became free")
		}
	}
}

// Downloads still going on when the server stops must not keep it.
func TestServeEnds(t *testing.T) {
	s := newSite(t, nil)
	bigFile(t, s)
	l := listen(t)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	resp, err := http.Get(fmt.Sprintf("http://%s%stiny/vmlinuz", l.Addr(), catalog.WebSeedPath(hash1)))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	stop()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(need.Patience):
		t.Error("Serve does not end")
	}
}

func TestServeFails(t *testing.T) {
	l := listen(t)
	l.Close()
	if err := newSite(t, nil).Serve(t.Context(), l); err == nil {
		t.Error("serving on a closed listener succeeds")
	}
}
