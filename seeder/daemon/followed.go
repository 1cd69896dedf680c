package daemon

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/swarm"
	"github.com/boottorrent/boottorrent/seeder/siblings"
	"github.com/boottorrent/boottorrent/seeder/upstream"
)

// errUnheard is why nothing is asked of the seeder that is followed.
var errUnheard = errors.New("no seeder that this one follows has answered yet")

// hello is what a mirror says of itself with each request for the catalog.
func (f *mirrored) hello() http.Header {
	d := f.daemon
	h := siblings.Hello{HTTP: d.Site.Ports.HTTP, Torrent: uint16(d.sockets.engine.Port())}
	if cat := f.catalog(); cat != nil {
		h.Counter = cat.Counter
	}
	for _, v := range f.state().Versions {
		if v.Whole || v.Fetching {
			h.Size, h.Done = h.Size+v.Size, h.Done+v.Done
		}
	}
	return http.Header{siblings.Header: {h.String()}}
}

// following is the seeder that answered last; nil: none has.
func (f *mirrored) following() *upstream.Seeder {
	base := f.state().Following
	for _, u := range f.upstream {
		if u.Base == base {
			return u
		}
	}
	return nil
}

// readSeeders reads the list of the seeder that is followed.
func (f *mirrored) readSeeders(ctx context.Context) (catalog.SeederList, error) {
	from := f.following()
	if from == nil {
		return catalog.SeederList{}, errUnheard
	}
	list, err := from.Seeders(ctx)
	if err == nil {
		f.tellEngine(list.Seeders)
	}
	return list, err
}

// tellEngine tells the engine from whom to fetch: the seeder that answered last, the others that are followed, and those that it lists.
func (f *mirrored) tellEngine(listed []catalog.SeederAddress) {
	var all []swarm.Seeder
	add := func(s swarm.Seeder) {
		at, err := netip.ParseAddrPort(strings.TrimPrefix(s.HTTP, "http://"))
		own := err == nil && f.daemon.isOwn(at)
		if i := slices.IndexFunc(all, func(o swarm.Seeder) bool { return o.HTTP == s.HTTP }); i >= 0 {
			if s.Torrent.IsValid() {
				all[i].Torrent = s.Torrent
			}
		} else if !own {
			all = append(all, s)
		}
	}
	if from := f.following(); from != nil {
		add(swarm.Seeder{HTTP: from.Base})
	}
	for _, u := range f.upstream {
		add(swarm.Seeder{HTTP: u.Base})
	}
	for _, s := range listed {
		add(swarm.Seeder{HTTP: s.HTTP, Torrent: s.Torrent})
	}
	f.daemon.sockets.engine.SetSeeders(all)
}
