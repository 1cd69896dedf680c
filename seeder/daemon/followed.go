package daemon

import (
	"context"
	"errors"
	"net/http"

	"github.com/boottorrent/boottorrent/internal/catalog"
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
	return from.Seeders(ctx)
}
