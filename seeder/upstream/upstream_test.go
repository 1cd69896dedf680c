package upstream

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Whoever is looked at can't have requests sent to others, nor read their answers.
func TestNoRedirect(t *testing.T) {
	asked := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked = true
		http.Error(w, "a secret", http.StatusTeapot)
	}))
	defer elsewhere.Close()
	stranger := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusFound))
	defer stranger.Close()
	_, err := (&Seeder{Base: stranger.URL}).Catalog(t.Context(), "", 0)
	if err == nil || !strings.Contains(err.Error(), "302 Found, to \""+elsewhere.URL+"\": redirects of seeders are not followed") || asked {
		t.Errorf("%v; asked elsewhere: %v", err, asked)
	}
}
