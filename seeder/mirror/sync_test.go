package mirror

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/seeder/upstream"
)

// A mirror that has nothing is not told by "not modified" that it has all.
func TestUnchangedWithNothingHere(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) }))
	defer server.Close()
	m, err := New(Config{Dir: t.TempDir(), Key: minisign.PublicKey{}, Engine: &fakeEngine{}, Log: slog.New(slog.DiscardHandler), Gone: func(catalog.InfoHash) {}})
	must(t, err)
	defer m.Close()
	if _, err := m.sync(t.Context(), &upstream.Seeder{Base: server.URL}); err == nil {
		t.Error("a mirror without a catalog took that for one")
	}
}
