// Package api is the seeder's HTTP interface for programs, /api/v1: in go requests of scripts, of the page and of the seeder's own
// commands, out come machines, systems and history, and what is to be done goes to packages next, orders and wol. openapi.yaml beside
// this file describes it (OpenAPI 3.0), and is served too.
package api

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/seeder/auth"
	"github.com/boottorrent/boottorrent/seeder/history"
	"github.com/boottorrent/boottorrent/seeder/next"
	"github.com/boottorrent/boottorrent/seeder/orders"
	"github.com/boottorrent/boottorrent/seeder/room"
	"github.com/boottorrent/boottorrent/seeder/selftest"
	"github.com/boottorrent/boottorrent/seeder/status"
	"github.com/boottorrent/boottorrent/seeder/wol"
)

// Path is where the interface is.
const Path = "/api/v1/"

// Config is what the interface speaks for.
type Config struct {
	Log *slog.Logger
	// Catalog is the one that is served; nil: none is yet.
	Catalog func() *catalog.Catalog
	// Listed are the machines that the site names, Nodes those that have reported, Known others, by MAC address; Known may be nil.
	Listed func() []room.Listed
	Nodes  func() []report.Node
	Known  func() []string
	// History returns the last boots of a machine, of all for an empty address; it may be nil.
	History func(mac string) []history.Boot
	// Systems is what became of each system's folder, Findings what the self-test found.
	Systems  func() status.Site
	Findings func() []selftest.Finding

	// Targets is what Prometheus can scrape, for who reached this machine at the local address; nil: nothing.
	Targets func(local netip.Addr) []Target

	// Elsewhere says where to say what can't be said here, as this is a mirror; nil: everything can.
	Elsewhere func() string

	Next   *next.Store
	Orders *orders.Orders
	// Wake sends magic packets on every interface that is served.
	Wake func(ctx context.Context, macs []net.HardwareAddr) []wol.Sent
}

// API answers requests. Its methods may be called from any goroutine.
type API struct{ cfg Config }

// New returns the interface.
func New(cfg Config) *API { return &API{cfg} }

// Room is the machines as they are known now.
func (a *API) Room() *room.Room {
	var known []string
	if a.cfg.Known != nil {
		known = a.cfg.Known()
	}
	return room.New(a.cfg.Catalog(), a.cfg.Listed(), a.cfg.Nodes(), known)
}

// route is one way to ask something.
type route struct {
	method, path string
	// changes says that it changes something, and signs that it does so by what the site's key signs, which a mirror hasn't got.
	changes, signs bool
	handle         func(http.ResponseWriter, *http.Request) (any, error)
}

// routes are all of them, below Path.
func (a *API) routes() []route {
	return []route{
		{"GET", "nodes", false, false, a.nodes},
		{"GET", "systems", false, false, a.systems},
		{"GET", "findings", false, false, a.findings},
		{"GET", "history", false, false, a.history},
		{"GET", "targets", false, false, a.scraped},
		{"GET", "next", false, false, a.listNext},
		{"POST", "next", true, true, a.setNext},
		{"POST", "next/clear", true, true, a.clearNext},
		{"POST", "wake", true, false, a.wake},
		{"GET", "orders", false, false, a.listOrders},
		{"POST", "orders", true, true, a.giveOrder},
		{"GET", "orders/{id}", false, false, a.getOrder},
	}
}

// Handler serves Path to those that may; with no guard to everybody, as on a socket that only the seeder's own user can open.
func (a *API) Handler(guard *auth.Auth) http.Handler {
	mux := http.NewServeMux()
	read := func(h http.Handler) http.Handler { return h }
	change := read
	if guard != nil {
		read, change = guard.Read, guard.Change
	}
	for _, r := range a.routes() {
		if r.signs && a.cfg.Elsewhere != nil {
			r.handle = a.notHere
		}
		h := a.answer(r)
		if r.changes {
			h = change(h)
		} else {
			h = read(h)
		}
		mux.Handle(r.method+" "+Path+r.path, bounded(h))
	}
	mux.HandleFunc("GET "+Path+"openapi.json", serveDescription)
	mux.Handle(Path, a.answer(route{handle: notThere}))
	return mux
}

// notHere answers what a mirror can't do.
func (a *API) notHere(http.ResponseWriter, *http.Request) (any, error) {
	return nil, failed(http.StatusConflict, "%s", a.cfg.Elsewhere())
}

// notThere answers what is no route: with 405 and what is allowed, or 404.
func notThere(_ http.ResponseWriter, r *http.Request) (any, error) {
	return nil, failed(http.StatusNotFound, "nothing answers %s %s; %sopenapi.json says what there is", r.Method, r.URL.Path, Path)
}
