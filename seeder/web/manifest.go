package web

import (
	"errors"
	"net/http"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/seeder/admit"
	"github.com/boottorrent/boottorrent/seeder/bootmanifest"
)

// serveManifest serves the signed list of what is below /boot/, or its signature. The two are two requests: whoever gets a pair that does not
// match, because something was replaced in between, asks once more.
func (s *Server) serveManifest(w http.ResponseWriter, r *http.Request) {
	current, contentType := s.cfg.Manifest.Current, "application/json"
	if r.URL.Path == catalog.PathManifestSignature {
		current, contentType = s.cfg.Manifest.Last, "text/plain; charset=utf-8"
	}
	signed, err := current()
	if errors.Is(err, bootmanifest.ErrNotYet) {
		admit.ComeAgain(w, err.Error())
		return
	}
	if err != nil {
		s.cfg.Log.Error("HTTP: the boot manifest can't be made", "client", r.RemoteAddr, "err", err)
		http.Error(w, "the boot manifest can't be made; see the seeder's log", http.StatusInternalServerError)
		return
	}
	data := signed.Document
	if r.URL.Path == catalog.PathManifestSignature {
		data = signed.Signature
	}
	newDocument(data).serve(w, r, contentType)
}
