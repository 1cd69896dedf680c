package web

import (
	"encoding/json"
	"net/http"

	"github.com/boottorrent/boottorrent/seeder/status"
	page "github.com/boottorrent/boottorrent/templates/web"
)

// serveStatus serves what became of each system's folder, as JSON.
func (s *Server) serveStatus(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(s.cfg.Systems()) // who asked may be gone
}

// folderRows are the folders of which there is something to say: all but those that are published without a problem. The site as a
// whole has no name.
func folderRows(s status.Site) (rows []page.Folder) {
	if len(s.Problems) > 0 {
		rows = append(rows, page.Folder{Problems: s.Problems})
	}
	for _, sys := range s.Systems {
		if sys.State != status.Published || len(sys.Problems) > 0 {
			rows = append(rows, page.Folder{Name: sys.Name, State: sys.State.Words(), Since: sys.Since, Problems: sys.Problems})
		}
	}
	return rows
}
