package origin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/originurl"
	"github.com/boottorrent/boottorrent/internal/site"
)

// content is a file of some size, the same in each run.
func content(size int) []byte {
	b := make([]byte, size)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func originOf(t *testing.T, text string, body []byte) site.Origin {
	t.Helper()
	u, err := originurl.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return site.Origin{Path: "root.squashfs", URL: u, SHA256: digest(body), Size: -1, Limit: catalog.MaxSize}
}

// quick is a client that waits for nothing.
func quick(transport http.RoundTripper) *Client {
	c := New(transport)
	c.pause, c.stall = time.Millisecond, 2*time.Second
	return c
}

func ignore(done, total int64) {}

// vendor is a web server with TLS that does what the test says, and keeps what it was asked for.
type vendor struct {
	*httptest.Server
	mu     sync.Mutex
	ranges []string
}

func newVendor(t *testing.T, handle func(w http.ResponseWriter, r *http.Request, number int)) *vendor {
	v := &vendor{}
	v.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v.mu.Lock()
		v.ranges = append(v.ranges, r.Header.Get("Range")+"|"+r.Header.Get("If-Range"))
		n := len(v.ranges)
		v.mu.Unlock()
		handle(w, r, n)
	}))
	v.Config.ErrorLog = log.New(io.Discard, "", 0)
	v.StartTLS()
	t.Cleanup(v.Close)
	return v
}

func (v *vendor) asked() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.ranges
}

// serve serves a body with ranges and an ETag, as web servers do.
func serve(w http.ResponseWriter, r *http.Request, body []byte) {
	w.Header().Set("ETag", `"`+digest(body)[:8]+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// cut ends a connection in the middle of an answer.
func cut(w http.ResponseWriter, body []byte, from, until int) {
	w.Header().Set("ETag", `"`+digest(body)[:8]+`"`)
	w.Header().Set("Content-Length", fmt.Sprint(len(body)-from))
	if from > 0 {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(body)-1, len(body)))
		w.WriteHeader(http.StatusPartialContent)
	}
	_, _ = w.Write(body[from:until])
	panic(http.ErrAbortHandler)
}

func fetched(t *testing.T, dir string, o site.Origin) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, o.SHA256))
	if err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("beside it there are %v, %v", entries, err)
	}
	return b
}

func TestFetch(t *testing.T) {
	body := content(3 << 20)
	other := content(2 << 20)
	for name, c := range map[string]struct {
		handle func(w http.ResponseWriter, r *http.Request, number int)
		// asked are the ranges that the server is asked for.
		asked []string
	}{
		"whole": {func(w http.ResponseWriter, r *http.Request, _ int) { serve(w, r, body) }, []string{"|"}},
		"redirected": {func(w http.ResponseWriter, r *http.Request, n int) {
			if n == 1 {
				http.Redirect(w, r, "/elsewhere", http.StatusFound)
				return
			}
			serve(w, r, body)
		}, []string{"|", "|"}},
		"cut twice": {func(w http.ResponseWriter, r *http.Request, n int) {
			switch n {
			case 1:
				cut(w, body, 0, 1<<20)
			case 2:
				cut(w, body, 1<<20, 2<<20)
			}
			serve(w, r, body)
		}, []string{"|", `bytes=1048576-|"` + digest(body)[:8] + `"`, `bytes=2097152-|"` + digest(body)[:8] + `"`}},
		"no ranges": {func(w http.ResponseWriter, r *http.Request, n int) {
			if n == 1 {
				cut(w, body, 0, 1<<20)
			}
			_, _ = w.Write(body)
		}, []string{"|", `bytes=1048576-|"` + digest(body)[:8] + `"`}},
		"replaced meanwhile": {func(w http.ResponseWriter, r *http.Request, n int) {
			if n == 1 {
				cut(w, other, 0, 1<<20)
			}
			serve(w, r, body) // whose ETag is another, so all of it is sent
		}, []string{"|", `bytes=1048576-|"` + digest(other)[:8] + `"`}},
		"busy at first": {func(w http.ResponseWriter, r *http.Request, n int) {
			if n == 1 {
				http.Error(w, "later", http.StatusServiceUnavailable)
				return
			}
			serve(w, r, body)
		}, []string{"|", "|"}},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVendor(t, c.handle)
			dir, o := t.TempDir(), originOf(t, v.URL+"/root.squashfs", body)
			last := int64(0)
			if err := quick(v.Client().Transport).Fetch(t.Context(), dir, o, func(done, total int64) { last = done }); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(fetched(t, dir, o), body) || last != int64(len(body)) {
				t.Errorf("not what was sent, or progress %d", last)
			}
			if got := v.asked(); strings.Join(got, " ") != strings.Join(c.asked, " ") {
				t.Errorf("asked for %q, want %q", got, c.asked)
			}
		})
	}
}

// A file that was cut off goes on after a restart as well; where what came before was of something else, it is fetched anew.
func TestGoesOnAfterRestart(t *testing.T) {
	body := content(1 << 20)
	v := newVendor(t, func(w http.ResponseWriter, r *http.Request, _ int) { serve(w, r, body) })
	for name, before := range map[string][]byte{"of it": body[:300000], "of another": bytes.Repeat([]byte("x"), 300000), "longer": append(body[:len(body):len(body)], 1, 2)} {
		t.Run(name, func(t *testing.T) {
			dir, o := t.TempDir(), originOf(t, v.URL+"/x", body)
			if err := os.WriteFile(filepath.Join(dir, o.SHA256+partSuffix), before, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := quick(v.Client().Transport).Fetch(t.Context(), dir, o, ignore); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(fetched(t, dir, o), body) {
				t.Error("not what was sent")
			}
		})
	}
	if asked := v.asked(); !strings.Contains(strings.Join(asked, " "), "bytes=300000-") {
		t.Errorf("nothing was resumed: %q", asked)
	}
}

func TestFetchRefuses(t *testing.T) {
	body := content(1 << 20)
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serve(w, r, body) }))
	t.Cleanup(plain.Close)
	for name, c := range map[string]struct {
		handle           func(w http.ResponseWriter, r *http.Request, number int)
		change           func(o *site.Origin)
		says             string
		temporary, wrong bool
	}{
		"404":   {handle: func(w http.ResponseWriter, r *http.Request, _ int) { http.NotFound(w, r) }, says: "404 Not Found; correct the URL"},
		"login": {handle: func(w http.ResponseWriter, r *http.Request, _ int) { http.Error(w, "", http.StatusUnauthorized) }, says: "readable without a login"},
		"busy":  {handle: func(w http.ResponseWriter, r *http.Request, _ int) { http.Error(w, "", http.StatusInternalServerError) }, says: "500", temporary: true},
		"another file": {handle: func(w http.ResponseWriter, r *http.Request, _ int) { serve(w, r, body[1:]) },
			says: "what came has the SHA-256 " + digest(body[1:]), wrong: true},
		"too long": {handle: func(w http.ResponseWriter, r *http.Request, _ int) { serve(w, r, body) },
			change: func(o *site.Origin) { o.Limit = 1000 }, says: "may have 1000", wrong: true},
		"too long without a length": {handle: func(w http.ResponseWriter, r *http.Request, _ int) { w.(http.Flusher).Flush(); _, _ = w.Write(body) },
			change: func(o *site.Origin) { o.Limit = 1000 }, says: "more than the 1000 bytes", wrong: true},
		"another size": {handle: func(w http.ResponseWriter, r *http.Request, _ int) { serve(w, r, body) },
			change: func(o *site.Origin) { o.Size = 5 }, says: "should have 5", wrong: true},
		"cut for ever": {handle: func(w http.ResponseWriter, r *http.Request, _ int) { cut(w, body, 0, 10) }, says: "goes on from there", temporary: true},
		"a full disk": {handle: func(w http.ResponseWriter, r *http.Request, _ int) {
			w.Header().Set("Content-Length", fmt.Sprint(int64(1)<<49))
			w.(http.Flusher).Flush()
		}, says: "no space left on device: 512 TiB more are needed, and "},
		"out of TLS": {handle: func(w http.ResponseWriter, r *http.Request, _ int) {
			http.Redirect(w, r, plain.URL, http.StatusFound)
		}, says: "without TLS; write the http:// URL"},
		"in circles":   {handle: func(w http.ResponseWriter, r *http.Request, _ int) { http.Redirect(w, r, "/", http.StatusFound) }, says: "elsewhere 10 times", temporary: true},
		"stalled":      {handle: func(w http.ResponseWriter, r *http.Request, _ int) { <-r.Context().Done() }, says: "nothing came", temporary: true},
		"no such name": {change: func(o *site.Origin) { o.URL.Host = "nowhere.invalid" }, says: "this machine's", temporary: true},
		"nobody there": {change: func(o *site.Origin) { o.URL.Host = "127.0.0.1:1" }, says: "nobody listens there", temporary: true},
		"no TLS":       {change: func(o *site.Origin) { o.URL.Host = strings.TrimPrefix(plain.URL, "http://") }, says: "no TLS at that address"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVendor(t, c.handle)
			dir, o := t.TempDir(), originOf(t, v.URL+"/root.squashfs?token=secret", body)
			if c.change != nil {
				c.change(&o)
			}
			client := quick(v.Client().Transport)
			client.stall = 300 * time.Millisecond
			err := client.Fetch(t.Context(), dir, o, ignore)
			var said *Error
			if !errors.As(err, &said) || !strings.Contains(err.Error(), c.says) || !strings.HasPrefix(err.Error(), "root.squashfs from https://") {
				t.Fatalf("%v", err)
			}
			if said.Temporary != c.temporary || said.Wrong != c.wrong {
				t.Errorf("temporary %v, wrong %v: %v", said.Temporary, said.Wrong, err)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the message shows what may be a secret: %v", err)
			}
			if Here(dir, o) {
				t.Error("something has the file's name")
			}
		})
	}
}

func TestTLSFailures(t *testing.T) {
	body := content(1000)
	v := newVendor(t, func(w http.ResponseWriter, r *http.Request, _ int) { serve(w, r, body) })
	err := quick(nil).Fetch(t.Context(), t.TempDir(), originOf(t, v.URL+"/x", body), ignore)
	if err == nil || !strings.Contains(err.Error(), "signed by nobody whom this machine trusts") {
		t.Errorf("an unknown authority: %v", err)
	}
	o := originOf(t, v.URL+"/x", body)
	o.URL.Host = strings.Replace(o.URL.Host, "127.0.0.1", "localhost", 1)
	err = quick(v.Client().Transport).Fetch(t.Context(), t.TempDir(), o, ignore)
	if err == nil || !strings.Contains(err.Error(), "the name that its certificate is for") {
		t.Errorf("another name: %v", err)
	}
}

// What is interrupted stays, and the next call goes on.
func TestInterrupted(t *testing.T) {
	body := content(1 << 20)
	ctx, cancel := context.WithCancel(t.Context())
	v := newVendor(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if n == 1 {
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			_, _ = w.Write(body[:500000])
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return
		}
		serve(w, r, body)
	})
	dir, o := t.TempDir(), originOf(t, v.URL+"/x", body)
	client := quick(v.Client().Transport)
	err := client.Fetch(ctx, dir, o, func(done, _ int64) {
		if done == 500000 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := client.Fetch(t.Context(), dir, o, ignore); err != nil || !bytes.Equal(fetched(t, dir, o), body) {
		t.Error(err)
	}
	if asked := v.asked(); len(asked) != 2 || !strings.HasPrefix(asked[1], "bytes=500000-") {
		t.Errorf("asked for %q", asked)
	}
}

// Several systems may name the same file: it is fetched once, and nobody writes to it when it is here.
func TestSameFileAtOnce(t *testing.T) {
	body := content(1 << 20)
	for _, sized := range []bool{true, false} {
		t.Run(fmt.Sprintf("size known: %v", sized), func(t *testing.T) {
			first, let := make(chan struct{}), make(chan struct{})
			v := newVendor(t, func(w http.ResponseWriter, r *http.Request, n int) {
				if sized {
					w.Header().Set("Content-Length", fmt.Sprint(len(body)))
				}
				_, _ = w.Write(body[:500000])
				w.(http.Flusher).Flush()
				if n == 1 {
					close(first)
					<-let
				}
				_, _ = w.Write(body[500000:])
			})
			dir, o := t.TempDir(), originOf(t, v.URL+"/x", body)
			client := quick(v.Client().Transport)
			ctx, cancel := context.WithCancel(t.Context())
			ended, gaveUp := make(chan error, 2), make(chan error, 1)
			go func() { ended <- client.Fetch(t.Context(), dir, o, ignore) }()
			<-first
			go func() { gaveUp <- client.Fetch(ctx, dir, o, ignore) }()
			go func() { ended <- client.Fetch(t.Context(), dir, o, ignore) }()
			cancel()
			if err := <-gaveUp; !errors.Is(err, context.Canceled) {
				t.Errorf("one that is given up while it waits: %v", err)
			}
			close(let)
			for range 2 {
				if err := <-ended; err != nil {
					t.Error(err)
				}
			}
			if !bytes.Equal(fetched(t, dir, o), body) {
				t.Error("it is another file")
			}
			if asked := v.asked(); len(asked) != 1 {
				t.Errorf("asked for %q", asked)
			}
		})
	}
}

func TestProbe(t *testing.T) {
	body := content(1000)
	v := newVendor(t, func(w http.ResponseWriter, r *http.Request, _ int) { serve(w, r, body) })
	if size, err := quick(v.Client().Transport).Probe(t.Context(), originOf(t, v.URL+"/x", body)); err != nil || size != 1000 {
		t.Errorf("%d, %v", size, err)
	}
}

// A file goes when no configuration names it and no version has it.
func TestUnused(t *testing.T) {
	dir := t.TempDir()
	named, linked, old := digest([]byte("1")), digest([]byte("2")), digest([]byte("3"))
	for _, name := range []string{named, linked, old, old + partSuffix, "other"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(filepath.Join(dir, linked), filepath.Join(dir, "version")); err != nil {
		t.Fatal(err)
	}
	names, err := Unused(dir, map[string]bool{named: true})
	if err != nil || len(names) != 2 || !strings.HasPrefix(names[0], old) || !strings.HasPrefix(names[1], old) {
		t.Errorf("%q, %v", names, err)
	}
}
