package web

import (
	"encoding/json"
	"net"
	"net/http"
	"net/netip"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// serveSeeders serves the list of the site's seeders.
func (s *Server) serveSeeders(w http.ResponseWriter, r *http.Request) {
	host, err := usedHost(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	list := s.cfg.Seeders(catalog.SeederAddress{HTTP: "http://" + host, Torrent: netip.AddrPortFrom(askedAddr(r, host), 0)})
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(list) // who asked may be gone
}

// askedAddr is the address at which a client reached this server: the one in its URL, so that a forwarded port works too, or where its connection
// ended.
func askedAddr(r *http.Request, host string) netip.Addr {
	if at, err := netip.ParseAddrPort(host); err == nil {
		return at.Addr()
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr
	}
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		at, _ := netip.ParseAddrPort(local.String())
		return at.Addr().Unmap()
	}
	return netip.Addr{}
}
