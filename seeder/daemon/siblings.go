package daemon

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/seeder/forward"
	"github.com/boottorrent/boottorrent/seeder/siblings"
	"github.com/boottorrent/boottorrent/seeder/status"
	"github.com/boottorrent/boottorrent/seeder/upstream"
)

// siblingsFile is where a mirror keeps the list of the site's seeders, in its state.
const siblingsFile = "seeders.json"

// newSiblings makes the book of the site's other seeders.
func (d *daemon) newSiblings() *siblings.Book {
	cfg := siblings.Config{Log: d.Log, Now: time.Now, Own: d.isOwn, Look: d.servesSite}
	if d.Mirror != nil {
		cfg.File = filepath.Join(d.state, siblingsFile)
	}
	return siblings.New(cfg)
}

// siteKey is the site's public key.
func (d *daemon) siteKey() (minisign.PublicKey, error) {
	if d.Mirror != nil {
		return d.Mirror.Key, nil
	}
	return d.current.Load().PublicKey()
}

// servesSite reports why no catalog of the site is served at a base URL.
func (d *daemon) servesSite(ctx context.Context, base string) error {
	key, err := d.siteKey()
	if err == nil {
		_, err = (&upstream.Seeder{Base: base, Key: key}).Catalog(ctx, "", 0)
	}
	return err
}

// status is what became of each system's folder, and how it stands with the site's other seeders.
func (d *daemon) status() status.Site {
	s := d.feed.status()
	s.Mirrors = d.siblings.Mirrors()
	if s.Phase1 == nil {
		counts := d.helpers.Counts()
		s.Phase1 = &counts
	}
	return s
}

// isOwn reports whether it is this seeder that is reached at an address and port by HTTP.
func (d *daemon) isOwn(at netip.AddrPort) bool {
	if at.Port() != d.Site.Ports.HTTP {
		return false
	}
	addrs, _ := net.InterfaceAddrs() // of which it was told elsewhere why it fails
	return slices.ContainsFunc(addrs, func(a net.Addr) bool {
		p, err := netip.ParsePrefix(a.String())
		return err == nil && p.Addr() == at.Addr()
	})
}

// seeders is the list of the site's seeders for somebody who reached this one at an address.
func (d *daemon) seeders(asked catalog.SeederAddress) catalog.SeederList {
	asked.Torrent = d.seedAt(asked.Torrent.Addr())
	return d.siblings.List(asked)
}

// handedOn is a handler for requests that nodes make and mirrors hand on.
func (d *daemon) handedOn(next http.Handler) http.Handler {
	return forward.Handler(func(r *http.Request) (base string, undecided bool) {
		at, _ := netip.ParseAddrPort(r.RemoteAddr)
		return d.siblings.Known(at.Addr(), r.Header.Get(siblings.Header))
	}, func(addr netip.Addr) bool {
		_, own := d.network(addr)
		return own
	}, next)
}

// mirrors notes who asks for the catalog as a mirror.
func (d *daemon) mirrors(client netip.Addr, header http.Header) {
	if hello := header.Get(siblings.Header); hello != "" {
		d.siblings.Note(client, hello)
	}
}
