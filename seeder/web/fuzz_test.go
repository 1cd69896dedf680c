package web

import (
	"maps"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

func FuzzPath(f *testing.F) {
	for _, path := range []string{
		"/boot/../secret", "/boot/..%2f..%2fsecret", "/systems/" + hash1.String() + "/tiny/../../secret", "//boot//vmlinuz",
		"/systems/" + hash1.String() + "/tiny/./vmlinuz", "/torrents/../catalog.json", "/boot/vmlinuz\x00.efi", "*", "",
	} {
		f.Add(path)
	}
	s := newSite(f, nil)
	s.Publish(s.release(hash1))
	public := maps.Collect(func(yield func(string, bool) bool) {
		for _, path := range []string{
			catalog.PathCatalog, catalog.PathSignature, catalog.TorrentPath(hash1), catalog.PathKernel, catalog.PathInitrd,
			catalog.PathScript, "/boot/snponly.efi", "/boot/undionly.kpxe", catalog.WebSeedPath(hash1) + "tiny/vmlinuz",
			catalog.WebSeedPath(hash1) + "tiny/sub/a%20b%25c", catalog.PathAnnounce,
		} {
			if !yield(s.do("GET", path).Body.String(), true) {
				return
			}
		}
	})
	f.Fuzz(func(t *testing.T, path string) {
		r := httptest.NewRequest("GET", "http://10.0.0.1:8080/", nil)
		r.URL.Path = path
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		body := w.Body.String()
		if strings.Contains(body, secret) {
			t.Fatalf("%q leads out of what is served", path)
		}
		if w.Code == 200 && !public[body] && !strings.Contains(body, "<h1>Room 12</h1>") {
			t.Errorf("%q gives %q", path, body)
		}
	})
}
