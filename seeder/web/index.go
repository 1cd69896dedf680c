package web

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/report"
	page "github.com/boottorrent/boottorrent/templates/web"
)

// serveIndex serves the page for people.
func (s *Server) serveIndex(w http.ResponseWriter, r *http.Request) {
	p := page.Page{Site: s.cfg.Site, Now: time.Now(), Links: s.links()}
	if current := s.published(); current != nil {
		p.Ready, p.Site, p.Systems = true, current.release.Site, systemRows(current.release)
	}
	if s.cfg.NodeList != nil {
		p.Nodes = nodeRows(s.cfg.NodeList())
	}
	if s.cfg.Findings != nil {
		for _, f := range s.cfg.Findings() {
			p.Findings = append(p.Findings, page.Finding{Severity: string(f.Severity), What: f.What, Do: f.Do})
		}
	}
	var b bytes.Buffer
	if err := page.Index(&b, p); err != nil {
		s.cfg.Log.Error("HTTP: the page can't be made", "err", err)
		http.Error(w, "the page can't be made; see the seeder's log", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	// The page has a style of its own and nothing else.
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b.Bytes()))
}

func systemRows(release *Release) (rows []page.System) {
	torrents := slices.SortedFunc(maps.Values(release.Torrents), func(a, b Torrent) int {
		return cmp.Or(strings.Compare(kind(a), kind(b)), strings.Compare(a.System.Title, b.System.Title),
			strings.Compare(a.System.Name, b.System.Name))
	})
	for _, t := range torrents {
		row := page.System{
			Title: t.System.Title, Description: t.System.Description, Method: cmp.Or(t.System.Launch.Method, runtimeKind), Arch: t.System.Arch,
			Default: t.System.Name == release.Default, Hidden: t.System.Hidden, Size: t.System.Size, Torrent: catalog.TorrentPath(t.System.InfoHash),
		}
		for _, f := range t.Files {
			row.Files = append(row.Files, page.File{Path: f.Path, URL: t.System.FilePath(f.Path), Size: f.Size})
		}
		rows = append(rows, row)
	}
	return rows
}

// runtimeKind stands where systems have their method.
const runtimeKind = "runtime"

// kind is what comes first in the order of rows: systems, which are not started without a method, come before runtimes.
func kind(t Torrent) string {
	if t.System.Launch.Method == "" {
		return runtimeKind
	}
	return ""
}

func nodeRows(nodes []report.Node) (rows []page.Node) {
	for _, n := range nodes {
		rows = append(rows, page.Node{
			IP: n.IP, MAC: n.MAC, Name: n.Name, System: n.System, Step: string(n.Step), State: string(n.State), Error: n.Error,
			Percent: n.Percent(), FromSeeder: n.FromSeeder, FromNodes: n.FromNodes, ByHTTP: n.FromHTTP, Uploaded: n.Uploaded,
			Notes: notes(n), HostKey: n.HostKey, Seen: n.Seen,
		})
	}
	return rows
}

// notes is what there is to say of a node beside its step.
func notes(n report.Node) (notes []string) {
	if n.Fallback {
		notes = append(notes, "nothing comes by BitTorrent: falling back to HTTP")
	}
	if len(n.Banned) > 0 {
		notes = append(notes, "wrong data came from "+strings.Trim(strings.ReplaceAll(fmt.Sprint(n.Banned), " ", ", "), "[]")+": no longer asked")
	}
	if text := ended(n.Exit); text != "" {
		notes = append(notes, text)
	}
	return notes
}

// ended says how a system ended; nil is none.
func ended(e *report.Exit) string {
	switch {
	case e == nil:
		return ""
	case e.Reason != "":
		return fmt.Sprintf("%s ended with exit code %d: %s", e.System, e.Code, e.Reason)
	}
	return fmt.Sprintf("%s ended with exit code %d", e.System, e.Code)
}

// links are the other paths a person may want, those only that lead to something.
func (s *Server) links() []page.Link {
	l := []page.Link{
		{URL: catalog.PathCatalog, Text: "the catalog"},
		{URL: catalog.PathSignature, Text: "its minisign signature"},
	}
	if s.cfg.Nodes != nil {
		l = append(l, page.Link{URL: catalog.PathNodes, Text: "the nodes, as JSON"})
	}
	if s.cfg.SelfTest != nil {
		l = append(l, page.Link{URL: pathSelfTest, Text: "what the self-test found, as JSON"})
	}
	for _, name := range s.bootFiles() {
		l = append(l, page.Link{URL: catalog.PathBoot + name, Text: bootText(name)})
	}
	return l
}

// bootFiles are the names below /boot/.
func (s *Server) bootFiles() []string {
	names := slices.Clone(images)
	if s.cfg.Script != nil {
		names = append(names, path.Base(catalog.PathScript))
	}
	return append(names, slices.Sorted(maps.Keys(s.cfg.Loaders))...)
}

func bootText(name string) string {
	switch catalog.PathBoot + name {
	case catalog.PathKernel:
		return "phase 1's kernel"
	case catalog.PathInitrd:
		return "phase 1's initramfs"
	case catalog.PathUKI:
		return "both as one UEFI program"
	case catalog.PathScript:
		return "the iPXE script that starts phase 1"
	}
	return "a boot loader"
}
