package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Who supervises is told what is missing, without a password, and everybody that the process is alive.
func TestReady(t *testing.T) {
	var missing []string
	forbidden := func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	}
	var observed []string
	s := New(Config{
		Unready: func() []string { return missing }, Metrics: http.NotFoundHandler(), Guard: forbidden,
		Observe: func(kind string, _ int, _ int64) { observed = append(observed, kind) },
	})
	ask := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return w
	}
	if w := ask(PathReady); w.Code != http.StatusOK {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	missing = []string{"no catalog", "TFTP: port 69 is taken"}
	if w := ask(PathReady); w.Code != http.StatusServiceUnavailable || w.Body.String() != "no catalog\nTFTP: port 69 is taken\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := ask(PathHealth); w.Code != http.StatusOK {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := ask("/metrics"); w.Code != http.StatusForbidden {
		t.Errorf("metrics that need a password: %d", w.Code)
	}
	ask("/nothing")
	ask("/systems/x")
	if got := strings.Join(observed, " "); got != "health health health metrics catalog files" {
		t.Errorf("observed %s", got)
	}
}
