package daemon

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/swarm"
	"github.com/boottorrent/boottorrent/seeder/siblings"
	"github.com/boottorrent/boottorrent/seeder/status"
	"github.com/boottorrent/boottorrent/seeder/store"
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

// elsewhere says where to say what can't be said to a mirror.
func (f *mirrored) elsewhere() string {
	return "this is a mirror, which can't change what the site has signed: say it at the seeder that it follows, " + f.followed()
}

// followed is the base URL of the seeder that answered last, or of the first of the configuration where none has.
func (f *mirrored) followed() string {
	if base := f.state().Following; base != "" {
		return base
	}
	return f.upstream[0].Base
}

// status implements feed.
func (f *mirrored) status() status.Site {
	s := status.Site{Systems: []status.System{}, Mirror: f.mirrorStatus()}
	now := time.Now()
	if !s.Mirror.InStep {
		s.Problems = append(s.Problems, s.Mirror.Words(now))
	}
	if kept := s.Mirror.Kept(); kept != "" {
		s.Problems = append(s.Problems, kept)
	}
	r := f.release.Load()
	if r == nil {
		return s
	}
	s.Counter = r.Catalog.Value.Counter
	for _, v := range f.state().Versions {
		one := status.System{Name: v.Name, State: status.Published, Since: v.Since, InfoHash: &v.InfoHash, Size: v.Size, Done: v.Done}
		switch {
		case v.Whole:
			one.Done = v.Size
		case v.Fetching:
			one.State = status.Fetching
		default:
			one.State = status.Elsewhere
		}
		if v.Trouble != "" {
			one.Problems = []string{v.Trouble}
		}
		s.Systems = append(s.Systems, one)
	}
	return s
}

// mirrorStatus is how it stands with the seeder that is followed.
func (f *mirrored) mirrorStatus() *status.Mirror {
	state := f.state()
	m := &status.Mirror{
		Following: f.followed(), InStep: state.Trouble == "" && !state.Heard.IsZero(), Since: state.Since, Trouble: state.Trouble, Created: state.Created,
		Forward: f.daemon.handOn.to.State(),
	}
	if c := f.daemon.elsewhere.Load(); c != nil {
		m.Complete, m.Incomplete = c.complete, c.incomplete
	}
	if m.Trouble == "" && !m.InStep {
		m.Trouble = "it has not been heard yet"
	}
	for _, s := range f.daemon.siblings.Above() {
		if f.daemon.siblings.Is(s.HTTP) {
			m.Listed = s.HTTP
		}
	}
	return m
}

// helpTime is how often it is looked whether what nodes can give away of phase 1 has arrived.
const helpTime = time.Second

// offer has nodes asked to give phase 1 away once it is here, until ctx ends.
func (f *mirrored) offer(ctx context.Context) {
	tick := time.NewTicker(helpTime)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f.offerHelp()
		}
	}
}

// offerHelp says which images of phase 1 nodes can be asked to give away: those whose files are here, as what nodes give is compared with them.
func (f *mirrored) offerHelp() {
	var here []store.Version
	if r := f.release.Load(); r != nil {
		for _, v := range r.Versions {
			if catalog.IsPhase1(v.System.Name) && v.Whole() {
				here = append(here, store.Version{System: v.System, Files: v.Files, Dir: v.Dir})
			}
		}
	}
	same := func(a, b store.Version) bool { return a.System.InfoHash == b.System.InfoHash && a.Dir == b.Dir }
	f.helping.Lock()
	defer f.helping.Unlock()
	if !slices.EqualFunc(here, f.offered, same) {
		f.offered = here
		f.daemon.helpers.Offer(images(here))
	}
}
