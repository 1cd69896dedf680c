package web

import (
	"encoding/json"
	"net/http"
)

// serveStatus serves what became of each system's folder, as JSON.
func (s *Server) serveStatus(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(s.cfg.Systems()) // who asked may be gone
}
