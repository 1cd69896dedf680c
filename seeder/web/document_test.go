package web

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// Catalogs and lists of files are sent compressed to who takes that, and as they were signed to everybody else.
func TestDocumentsAreCompressed(t *testing.T) {
	s := newSite(t, nil)
	release := s.release(hash1)
	release.Catalog, release.Signature = []byte(strings.Repeat(`{"name":"tiny"}`, 1000)), []byte("short")
	s.Publish(release)
	plain := s.do(http.MethodGet, catalog.PathCatalog)
	for accept, want := range map[string]bool{
		"gzip": true, "br, gzip": true, "gzip;q=0.5": true, "GZIP ; q=1": true, "": false, "br": false, "gzip;q=0": false, "gzip; q=0.000": false, "xgzip": false,
	} {
		w := s.do(http.MethodGet, catalog.PathCatalog, "Accept-Encoding", accept)
		if got := w.Header().Get("Content-Encoding") == "gzip"; got != want {
			t.Errorf("Accept-Encoding %q: compressed is %t, want %t", accept, got, want)
			continue
		}
		if w.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("Accept-Encoding %q: a cache would not know", accept)
		}
		if !want {
			if w.Body.String() != string(release.Catalog) {
				t.Errorf("Accept-Encoding %q: %d bytes", accept, w.Body.Len())
			}
			continue
		}
		if w.Body.Len() > len(release.Catalog)/10 || w.Header().Get("ETag") == plain.Header().Get("ETag") {
			t.Errorf("Accept-Encoding %q: %d bytes, ETag %s", accept, w.Body.Len(), w.Header().Get("ETag"))
		}
		z, err := gzip.NewReader(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(z); err != nil || string(b) != string(release.Catalog) {
			t.Errorf("Accept-Encoding %q: unpacked it is something else (%v)", accept, err)
		}
	}
	// A range is one of the bytes that were signed.
	w := s.do(http.MethodGet, catalog.PathCatalog, "Accept-Encoding", "gzip", "Range", "bytes=0-4")
	if w.Code != http.StatusPartialContent || w.Body.String() != `{"nam` {
		t.Errorf("a range: %d %q", w.Code, w.Body)
	}
	// What gzip makes no smaller is sent as it is.
	if w := s.do(http.MethodGet, catalog.PathSignature, "Accept-Encoding", "gzip"); w.Header().Get("Content-Encoding") != "" {
		t.Error("a signature of few bytes is compressed")
	}
}
