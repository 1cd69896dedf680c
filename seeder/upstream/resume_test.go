package upstream

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// flaky serves content, and closes the connection after each so many bytes.
type flaky struct {
	content []byte
	each    int
	ranges  bool
	sent    atomic.Int64
}

func (f *flaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !f.ranges {
		r.Header.Del("Range")
	}
	http.ServeContent(&cut{w, f, f.each}, r, "", time.Time{}, bytes.NewReader(f.content))
}

type cut struct {
	http.ResponseWriter
	*flaky
	left int
}

func (c *cut) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p[:min(len(p), c.left)])
	c.sent.Add(int64(n))
	if c.left -= n; c.left == 0 {
		c.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	return n, err
}

func TestResumeBootFile(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	sum := sha256.Sum256(content)
	file := catalog.BootFile{Path: "vmlinuz", Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:])}
	damaged := bytes.Clone(content[:500_000])
	damaged[7] = 'x'
	for what, c := range map[string]struct {
		server *flaky
		// before is what is there of an earlier time; most is how many bytes the server may send.
		before []byte
		most   int64
	}{
		"cut off twice":                  {&flaky{content: content, each: 400_000, ranges: true}, nil, file.Size},
		"the beginning is there":         {&flaky{content: content, each: 2 << 20, ranges: true}, content[:1_000_000], file.Size - 1_000_000},
		"all is there":                   {&flaky{content: content, each: 2 << 20, ranges: true}, content, 0},
		"what is there is damaged":       {&flaky{content: content, each: 2 << 20, ranges: true}, damaged, 2*file.Size - 500_000},
		"too much is there":              {&flaky{content: content, each: 2 << 20, ranges: true}, append(bytes.Clone(content), 'x'), file.Size},
		"the server knows no ranges":     {&flaky{content: content, each: 2 << 20}, content[:1000], file.Size},
		"it is not what was signed":      {&flaky{content: append(bytes.Clone(content[:len(content)-1]), 'x'), each: 2 << 20, ranges: true}, nil, file.Size},
		"it is longer than what signed":  {&flaky{content: append(bytes.Clone(content), 'x'), each: 2 << 20, ranges: true}, nil, file.Size + 1},
		"it is shorter than what signed": {&flaky{content: content[:len(content)-1], each: 2 << 20, ranges: true}, nil, file.Size + 100}, // and what it says of the range
	} {
		server := httptest.NewServer(c.server)
		defer server.Close()
		part, err := os.OpenFile(filepath.Join(t.TempDir(), "part"), os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer part.Close()
		if _, err := part.Write(c.before); err != nil {
			t.Fatal(err)
		}
		err = (&Seeder{Base: server.URL}).ResumeBootFile(t.Context(), file, part)
		_, seekErr := part.Seek(0, io.SeekStart)
		got, readErr := io.ReadAll(part)
		if err := errors.Join(seekErr, readErr); err != nil {
			t.Fatal(err)
		}
		if right := bytes.Equal(c.server.content, content); right != (err == nil) || right && !bytes.Equal(got, content) {
			t.Errorf("%s: %v, and %d bytes are there", what, err, len(got))
		}
		if sent := c.server.sent.Load(); sent > c.most {
			t.Errorf("%s: %d bytes were sent, of %d", what, sent, file.Size)
		}
	}
}
