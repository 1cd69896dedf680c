package daemon

import (
	"net/http"
	"path/filepath"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/seeder/page"
	"github.com/boottorrent/boottorrent/seeder/status"
	"github.com/boottorrent/boottorrent/seeder/web"
	text "github.com/boottorrent/boottorrent/templates/page"
)

// page makes the page for people. What it shows is asked for when somebody looks.
func (d *daemon) page() *page.Page {
	return page.New(page.Config{
		Log: d.Log, Site: d.Site.Name, Nodes: d.fleet.List, LogDir: filepath.Join(d.state, LogDir), History: d.history.Boots, Known: d.history.Last,
		Catalog:  func() *catalog.Catalog { return d.feed.catalog() },
		Release:  func() *web.Release { return d.web.Release() },
		Systems:  func() status.Site { return d.status() },
		Findings: d.tests.list,
		Links:    func() []web.Link { return d.web.Links() },
		Notes:    d.notes,
		Session: func(r *http.Request) text.Person {
			s := d.operator.auth.Session(r)
			p := text.Person{Password: s.On, LoggedIn: s.LoggedIn, CSRF: s.CSRF}
			if f, ok := d.feed.(*mirrored); ok {
				p.Elsewhere = f.followed()
			}
			return p
		},
	})
}

// notes are what the site notes of the machine with a MAC address.
func (d *daemon) notes(mac string) string {
	for _, m := range d.current.Load().Machines {
		if m.MAC == mac {
			return m.Notes
		}
	}
	return ""
}
