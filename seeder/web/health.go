package web

import (
	"fmt"
	"net/http"
	"strings"
)

// The paths of what supervisors and load balancers ask.
const (
	// PathHealth answers 200 as long as this process serves at all.
	PathHealth = "/healthz"
	// PathReady answers 200 if machines can be switched on, and 503 with what they can't have yet.
	PathReady = "/readyz"
)

func serveHealth(w http.ResponseWriter, _ *http.Request) { tell(w, http.StatusOK, "alive") }

func (s *Server) serveReady(w http.ResponseWriter, _ *http.Request) {
	if missing := s.cfg.Unready(); len(missing) > 0 {
		tell(w, http.StatusServiceUnavailable, strings.Join(missing, "\n"))
		return
	}
	tell(w, http.StatusOK, "ready")
}

func tell(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = fmt.Fprintln(w, text) // who asked may be gone
}
