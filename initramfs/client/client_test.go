package client

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/report"
)

// seeder is one that serves whatever a test puts into it.
func seeder(t *testing.T, handler http.Handler) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return &Client{Base: server.URL}
}

func signed(t *testing.T, site string) (key minisign.PublicKey, document, signature []byte) {
	t.Helper()
	public, private, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	document, err = (&catalog.Catalog{Version: catalog.Version, Site: site}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	return public, document, catalog.Sign(private, document)
}

func files(byPath map[string][]byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, ok := byPath[r.URL.Path]
		if !ok {
			http.Error(w, "no such thing here\nsecond line", http.StatusNotFound)
			return
		}
		w.Write(b)
	})
}

func TestCatalog(t *testing.T) {
	key, document, signature := signed(t, "lab")
	c := seeder(t, files(map[string][]byte{catalog.PathCatalog: document, catalog.PathSignature: signature}))
	c.Key = key
	cat, err := c.Catalog(t.Context())
	if err != nil || cat.Site != "lab" {
		t.Fatalf("catalog of %v, %v", cat, err)
	}
	c.Key, _, _ = signed(t, "other")
	if _, err := c.Catalog(t.Context()); !errors.Is(err, catalog.ErrSignature) {
		t.Errorf("with another key: %v, want ErrSignature", err)
	}
}

// A seeder may publish a new catalog between the two requests of one reader.
func TestCatalogThatChangesInBetween(t *testing.T) {
	public, private, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	version := func(site string) []byte {
		b, err := (&catalog.Catalog{Version: catalog.Version, Site: site}).Encode()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	current, reads := version("old"), 0
	c := seeder(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == catalog.PathSignature {
			w.Write(catalog.Sign(private, current))
			return
		}
		w.Write(current)
		if reads++; reads == 1 {
			current = version("new")
		}
	}))
	c.Key = public
	cat, err := c.Catalog(t.Context())
	if err != nil || cat.Site != "new" {
		t.Errorf("got %v, %v; want the new catalog", cat, err)
	}
}

func TestErrorsNameTheirCause(t *testing.T) {
	gone := seeder(t, files(nil))
	if _, err := gone.Torrent(t.Context(), catalog.InfoHash{1}); !errors.Is(err, ErrGone) {
		t.Errorf("a torrent that is not there: %v, want ErrGone", err)
	}
	_, err := gone.Catalog(t.Context())
	var status *StatusError
	if !errors.As(err, &status) || status.Code != 404 || status.Text != "no such thing here" {
		t.Errorf("a catalog that is not there: %v", err)
	}
	endless := seeder(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for chunk := make([]byte, 1<<20); ; {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}))
	if _, err := endless.Catalog(t.Context()); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("an endless catalog: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := gone.Catalog(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestReport(t *testing.T) {
	var got report.Report
	c := seeder(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != catalog.PathReport {
			t.Errorf("%s %s", r.Method, r.URL.Path)
		}
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
		w.Header().Set(report.HelpHeader, "an image")
		w.WriteHeader(http.StatusNoContent)
	}))
	if answer, err := c.Exchange(t.Context(), report.Report{MAC: "52:54:00:00:00:02"}); err != nil || answer.Help != "an image" || len(answer.Order) > 0 {
		t.Errorf("%+v, %v", answer, err)
	}
	if err := c.Report(t.Context(), report.Report{MAC: "52:54:00:00:00:01", Step: report.Fetch}); err != nil {
		t.Fatal(err)
	}
	if got.MAC != "52:54:00:00:00:01" || got.Step != report.Fetch {
		t.Errorf("the seeder got %+v", got)
	}
}

// What a person reads when nobody answers: who, and why, once.
// Any server says 200 to something; only a seeder has a signature there.
func TestProbe(t *testing.T) {
	key, document, signature := signed(t, "lab")
	ours := seeder(t, files(map[string][]byte{catalog.PathCatalog: document, catalog.PathSignature: signature}))
	ours.Key = key
	if err := ours.Probe(t.Context()); err != nil {
		t.Error(err)
	}
	for name, handler := range map[string]http.HandlerFunc{
		"a page for everything": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>Welcome to your router") },
		"nothing at all":        func(http.ResponseWriter, *http.Request) {},
		"not found":             http.NotFound,
		"a login":               func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
	} {
		if err := seeder(t, handler).Probe(t.Context()); !errors.Is(err, ErrNotSeeder) {
			t.Errorf("%s: %v", name, err)
		}
	}
	starting := seeder(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "not yet", http.StatusServiceUnavailable) }))
	if err := starting.Probe(t.Context()); err == nil || errors.Is(err, ErrNotSeeder) || !strings.Contains(err.Error(), "not yet") {
		t.Errorf("a seeder that is starting: %v", err)
	}
}

func TestNoAnswer(t *testing.T) {
	silent := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-silent }))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(silent) })
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errors.New("out of patience"))
	defer cancel()
	err := (&Client{Base: server.URL}).Probe(ctx)
	if want := "the seeder " + server.URL + " does not answer: out of patience"; err == nil || err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
	err = (&Client{Base: "http://127.0.0.1:1"}).Probe(t.Context())
	if want := "the seeder http://127.0.0.1:1 does not answer: nothing runs at that port: connection refused"; err == nil || err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
}

// packed answers every request with a body that says of itself that it is compressed.
func packed(b []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "gzip" {
			http.Error(w, "want gzip", http.StatusNotAcceptable)
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(b)
	})
}

func pack(t *testing.T, write func(w io.Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if err := errors.Join(write(z), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Documents are asked for compressed, and what is unpacked is bounded: a few bytes must not become more than a node's memory.
func TestCompressedDocuments(t *testing.T) {
	sys := catalog.System{Name: "tiny", InfoHash: catalog.InfoHash{1}}
	list, err := sys.SetFiles(catalog.FileList{{Path: "vmlinuz", Size: 1, SHA256: strings.Repeat("ab", 32)}})
	if err != nil {
		t.Fatal(err)
	}
	c := seeder(t, packed(pack(t, func(w io.Writer) error { _, err := w.Write(list); return err })))
	if files, err := c.Files(t.Context(), sys); err != nil || len(files) != 1 {
		t.Errorf("a list: %v, %v", files, err)
	}
	bomb := pack(t, func(w io.Writer) error { _, err := io.CopyN(w, zeros{}, 256<<20); return err })
	c = seeder(t, packed(bomb))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := c.Catalog(t.Context()); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("longer than %d bytes", catalog.MaxDocument)) {
		t.Errorf("256 MiB in %d bytes as a catalog: %v", len(bomb), err)
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 16<<20 {
		t.Errorf("reading it took %d MiB", took>>20)
	}
	if _, err := c.Files(t.Context(), sys); err == nil || !strings.Contains(err.Error(), "longer than 33554432 bytes") {
		t.Errorf("256 MiB as a list: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A list that isn't the one the catalog speaks of is refused, and one that is gone says so.
func TestFiles(t *testing.T) {
	sys := catalog.System{Name: "tiny", InfoHash: catalog.InfoHash{1}}
	list, err := sys.SetFiles(catalog.FileList{{Path: "vmlinuz", Size: 1, SHA256: strings.Repeat("ab", 32)}})
	if err != nil {
		t.Fatal(err)
	}
	c := seeder(t, files(map[string][]byte{catalog.FileListPath(sys.InfoHash): bytes.Replace(list, []byte("vmlinuz"), []byte("initrd!"), 1)}))
	if _, err := c.Files(t.Context(), sys); err == nil || !strings.Contains(err.Error(), "its SHA-256 is") {
		t.Errorf("another list: %v", err)
	}
	if _, err := seeder(t, files(nil)).Files(t.Context(), sys); !errors.Is(err, ErrGone) {
		t.Errorf("no list: %v", err)
	}
}
