// Package page is what a person sees who opens the seeder's address in a browser: in go what the seeder knows (reports, catalog, history,
// what became of folders, what the self-test found), out come documents of templates/page, and the changes of the front page as
// server-sent events (HTML Living Standard, 9.2).
//
// Whatever comes from nodes is text of strangers: it is escaped by html/template, set as text by the script, and no document may run
// anything but the one script that is embedded (Content-Security-Policy). What changes something is not here but in seeder/api: this
// package shows its forms to who is logged in.
package page

import (
	"bytes"
	"log/slog"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzhttp"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/seeder/history"
	"github.com/boottorrent/boottorrent/seeder/selftest"
	"github.com/boottorrent/boottorrent/seeder/status"
	"github.com/boottorrent/boottorrent/seeder/web"
	page "github.com/boottorrent/boottorrent/templates/page"
)

// Config is what the page shows. Functions may be nil where there is nothing to show; those that are not must be safe for several
// goroutines.
type Config struct {
	Log *slog.Logger     // nil: nothing is logged
	Now func() time.Time // nil: time.Now
	// Site is the site's name, for the page until there is a release.
	Site string
	// Nodes are those that have reported.
	Nodes func() []report.Node
	// Catalog returns the present one, nil as long as there is none; Release what is served with it.
	Catalog func() *catalog.Catalog
	Release func() *web.Release
	// Systems is what became of each system's folder, Findings what the self-test found.
	Systems  func() status.Site
	Findings func() []selftest.Finding
	// Links are the other things to fetch.
	Links func() []web.Link
	// History returns the last boots of a machine, the last one first; Known the last boot of each machine.
	History func(mac string) []history.Boot
	Known   func() []history.Boot
	// Notes is what the site notes of a machine.
	Notes func(mac string) string
	// LogDir is the folder of the nodes' logs.
	LogDir string
	// Session says what who asks may do; nil: nothing.
	Session func(*http.Request) page.Person
}

// Page serves the documents. Its methods may be called from any goroutine.
type Page struct {
	cfg Config
	mux *http.ServeMux
	hub *hub
	// room is the front page's content, kept for a moment, however many look at it.
	mu   sync.Mutex
	room *room
}

// roomTime is how old the content of the front page may be.
const roomTime = 400 * time.Millisecond

// New returns a page.
func New(cfg Config) *Page {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	p := &Page{cfg: cfg, mux: http.NewServeMux()}
	p.hub = newHub(p.now)
	p.mux.HandleFunc("GET /{$}", p.serveRoom)
	p.mux.HandleFunc("GET /node/{mac}", p.serveNode)
	p.mux.HandleFunc("GET /node/{mac}/log", p.serveLog)
	p.mux.HandleFunc("GET /node/{mac}/log.txt", p.serveLogText)
	p.mux.HandleFunc("GET /files", p.serveFiles)
	p.mux.HandleFunc("GET "+pathLogin, p.serveLogin)
	p.mux.HandleFunc("GET /system/{name}", p.serveSystem)
	p.mux.HandleFunc("GET /gave.svg", p.servePicture)
	p.mux.HandleFunc("GET /page/{file}", p.serveAsset)
	p.mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		p.message(w, r, http.StatusNotFound, "Nothing is here", "Nothing is at this path.")
	})
	return p
}

// Paths are the patterns (http.ServeMux) of what [Page.Documents] serves.
var Paths = []string{"GET /{$}", "GET /node/", "GET /files", "GET /system/", "GET /page/", "GET /gave.svg", "GET " + pathLogin}

// OpenPaths are those of them that everybody may read, also where reading the page needs a password. The picture of who gave to whom has
// machines' names, and is not among them.
var OpenPaths = []string{"GET /page/", "GET " + pathLogin}

// pathLogin is where people log in; forms are posted there, to package auth.
const pathLogin = "/login"

// Documents serves everything but the events.
func (p *Page) Documents() http.Handler {
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(1024))
	if err != nil {
		panic(err) // of an option that is written above
	}
	return wrap(p.mux)
}

// policy lets a document load the style sheet, the script, pictures and events of this server, send forms there, and nothing else.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; " +
	"base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

// write answers with a document.
func (p *Page) write(w http.ResponseWriter, code int, document any) {
	var b bytes.Buffer
	if err := page.Write(&b, document); err != nil {
		p.cfg.Log.Error("HTTP: the page can't be made", "err", err)
		http.Error(w, "the page can't be made; see the seeder's log", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "same-origin")
	w.WriteHeader(code)
	_, _ = w.Write(b.Bytes()) // who asked may be gone
}

// head is what all documents have.
func (p *Page) head(r *http.Request, title string) page.Head {
	h := page.Head{Site: p.site(), Title: title, Now: p.cfg.Now()}
	if p.cfg.Session != nil {
		h.Person = p.cfg.Session(r)
	}
	h.Here = r.URL.RequestURI()
	return h
}

// site is the site's name.
func (p *Page) site() string {
	if cat := p.catalog(); cat != nil {
		return cat.Site
	}
	return p.cfg.Site
}

func (p *Page) catalog() *catalog.Catalog {
	if p.cfg.Catalog == nil {
		return nil
	}
	return p.cfg.Catalog()
}

func (p *Page) message(w http.ResponseWriter, r *http.Request, code int, title, text string) {
	p.write(w, code, &page.Message{Head: p.head(r, title), Text: text})
}

// now is the room as it is, made anew if it is too old.
func (p *Page) now() *room {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.cfg.Now()
	cat := p.catalog()
	if p.room != nil && p.room.cat == cat {
		if age := now.Sub(p.room.now); age >= 0 && age < roomTime {
			return p.room
		}
	}
	var nodes []report.Node
	if p.cfg.Nodes != nil {
		nodes = p.cfg.Nodes()
	}
	var known []history.Boot
	if p.cfg.Known != nil {
		known = p.cfg.Known()
	}
	p.room = newRoom(cat, nodes, known, now)
	if p.cfg.Systems != nil {
		p.room.phase1 = p.cfg.Systems().Phase1
	}
	if p.cfg.Findings != nil {
		for _, f := range p.cfg.Findings() {
			p.room.findings = append(p.room.findings, page.Finding{Severity: string(f.Severity), What: f.What, Do: f.Do})
		}
	}
	return p.room
}

// maxShown is how many machines the front page and the events have: it is for anybody to ask for.
const maxShown = 1000

// reload is how often the page loads itself again where scripts don't run, in seconds; calm where that would clear what somebody chose.
const reload, calm = 10, 60

func (p *Page) serveRoom(w http.ResponseWriter, r *http.Request) {
	room := p.now()
	d := &page.Room{Head: p.head(r, ""), Ready: room.cat != nil, Findings: room.findings, Group: r.URL.Query().Get("group")}
	if d.Reload = reload; d.LoggedIn {
		d.Reload = calm
	}
	d.Groups, d.Systems = room.groups, systemRows(room.cat)
	v := room.view(d.Group)
	d.Sums, d.Rows, d.More = v.sums, v.rows, v.more
	d.Title = v.title()
	if p.cfg.Systems != nil {
		now := p.cfg.Systems()
		d.Folders = folderRows(now)
		sayMirrors(d, now, room)
	}
	d.Gave, d.GaveText = "/gave.svg", room.flows().words()
	p.write(w, http.StatusOK, d)
}

func (p *Page) serveLogin(w http.ResponseWriter, r *http.Request) {
	back := r.URL.Query().Get("back") // which is checked when the form is posted
	d := &page.Login{Head: p.head(r, "Log in"), Back: back}
	d.Here = back // there is no other place to lead to
	p.write(w, http.StatusOK, d)
}

// folderRows are the folders of which there is something to say: all but those that are published without a problem. The site as a
// whole has no name.
func folderRows(s status.Site) (rows []page.Folder) {
	if len(s.Problems) > 0 {
		rows = append(rows, page.Folder{Problems: s.Problems})
	}
	for _, sys := range s.Systems {
		here := sys.State == status.Published || s.Mirror != nil // a mirror's are said beside the system
		if !here || len(sys.Problems) > 0 {
			rows = append(rows, page.Folder{Name: sys.Name, State: sys.Says(), Since: sys.Since, Problems: sys.Problems})
		}
	}
	return rows
}

func (p *Page) servePicture(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "image/svg+xml")
	h.Set("Cache-Control", "no-store")
	// A picture has a style of its own, as it can't have that of the document.
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	_, _ = w.Write(p.now().flows().picture(r.URL.Query().Has("narrow")))
}

// icon is the site's picture in a browser's tab.
const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="3" fill="#0969da"/><path d="M8 3v7M5 7l3 3 3-3M4 13h8" fill="none" stroke="#fff" stroke-width="1.6"/></svg>`

func (p *Page) serveAsset(w http.ResponseWriter, r *http.Request) {
	var kind string
	var content []byte
	switch r.URL.Path {
	case page.StyleURL:
		kind, content = "text/css; charset=utf-8", page.Style
	case page.ScriptURL:
		kind, content = "text/javascript; charset=utf-8", page.Script
	case "/page/icon.svg":
		kind, content = "image/svg+xml", []byte(icon)
	default:
		// Of a page that an older seeder made: it is to be loaded again.
		http.Error(w, "no such file; load / again", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "max-age=31536000, immutable")
	w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	_, _ = w.Write(content)
}

// systemRows are the systems that machines can start, in the order of the catalog.
func systemRows(cat *catalog.Catalog) (rows []page.System) {
	if cat == nil {
		return nil
	}
	for _, s := range cat.Systems {
		rows = append(rows, systemRow(s, cat.Defaults.System))
	}
	return rows
}

func systemRow(s catalog.System, byDefault string) page.System {
	return page.System{
		Name: s.Name, Title: s.Title, Description: s.Description, Method: s.Kind(), Arch: s.Arch, Default: s.Name == byDefault,
		Hidden: s.Hidden, Size: s.Size, Start: s.Launch.Method != "",
	}
}

// maxListed is how many files of a system are listed.
const maxListed = 2000

func (p *Page) serveFiles(w http.ResponseWriter, r *http.Request) {
	d := &page.Files{Head: p.head(r, "Systems and files")}
	if release := p.release(); release != nil {
		d.Ready, d.Counter = true, release.Counter
		for _, t := range release.Torrents {
			d.Systems = append(d.Systems, systemRow(t.System, release.Default))
		}
		// Systems come before boot parts and runtimes, which are not started by themselves.
		slices.SortFunc(d.Systems, func(a, b page.System) int {
			if a.Start != b.Start {
				return map[bool]int{true: -1, false: 1}[a.Start]
			}
			return strings.Compare(a.Title+"\x00"+a.Name, b.Title+"\x00"+b.Name)
		})
	}
	if p.cfg.Links != nil {
		for _, l := range p.cfg.Links() {
			d.Links = append(d.Links, page.Link(l))
		}
	}
	p.write(w, http.StatusOK, d)
}

func (p *Page) release() *web.Release {
	if p.cfg.Release == nil {
		return nil
	}
	return p.cfg.Release()
}

func (p *Page) serveSystem(w http.ResponseWriter, r *http.Request) {
	release, name := p.release(), r.PathValue("name")
	if release != nil {
		for _, t := range release.Torrents {
			if t.System.Name == name {
				p.write(w, http.StatusOK, systemFiles(p.head(r, t.System.Title), t, release.Default))
				return
			}
		}
	}
	p.message(w, r, http.StatusNotFound, "No such system", "The catalog has no system of the name "+path.Base(name)+" (any more).")
}

func systemFiles(head page.Head, t web.Torrent, byDefault string) *page.SystemFiles {
	d := &page.SystemFiles{Head: head, System: systemRow(t.System, byDefault), Torrent: catalog.TorrentPath(t.System.InfoHash)}
	d.More = max(0, len(t.Files)-maxListed)
	for _, f := range t.Files[:len(t.Files)-d.More] {
		d.Files = append(d.Files, page.File{Path: f.Path, URL: t.System.FilePath(f.Path), Size: f.Size})
	}
	return d
}
