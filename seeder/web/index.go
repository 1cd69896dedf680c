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
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/text"
	"github.com/boottorrent/boottorrent/seeder/bootfiles"
	"github.com/boottorrent/boottorrent/seeder/status"
	page "github.com/boottorrent/boottorrent/templates/web"
)

// serveIndex serves the page for people.
func (s *Server) serveIndex(w http.ResponseWriter, r *http.Request) {
	text, err := s.page.get(s.published(), s.makeIndex)
	if err != nil {
		s.cfg.Log.Error("HTTP: the page can't be made", "err", err)
		http.Error(w, "the page can't be made; see the seeder's log", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	// The page has a style of its own and nothing else.
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(text))
}

// pageCache keeps the page for a moment, so that it is made once however many look at it. The zero value is ready.
type pageCache struct {
	mu   sync.Mutex
	made time.Time
	of   *published
	text []byte
}

const (
	// pageTime is how old the page may be; a browser asks for it every five seconds.
	pageTime = time.Second
	// maxListed is how many files of a system are on the page, and maxShown how many nodes: it is for anybody to ask for.
	maxListed, maxShown = 20, 500
)

// get returns the page of a release, made by make.
func (c *pageCache) get(of *published, make func(*published) ([]byte, error)) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if age := time.Since(c.made); c.text != nil && c.of == of && age >= 0 && age < pageTime {
		return c.text, nil
	}
	text, err := make(of)
	if err != nil {
		return nil, err
	}
	c.text, c.of, c.made = text, of, time.Now()
	return text, nil
}

// makeIndex makes the page of a release; nil is none yet.
func (s *Server) makeIndex(current *published) ([]byte, error) {
	p := page.Page{Site: s.cfg.Site, Now: time.Now(), Links: s.links()}
	if current != nil {
		p.Ready, p.Site, p.Counter, p.Systems = true, current.release.Site, current.release.Counter, systemRows(current.release)
	}
	if s.cfg.Systems != nil {
		p.Folders = folderRows(s.cfg.Systems())
	}
	if s.cfg.Findings != nil {
		for _, f := range s.cfg.Findings() {
			p.Findings = append(p.Findings, page.Finding{Severity: string(f.Severity), What: f.What, Do: f.Do})
		}
	}
	if s.cfg.NodeList != nil {
		nodes := s.cfg.NodeList()
		shown := mostTelling(nodes)
		p.Nodes, p.MoreNodes = nodeRows(shown, p.Now), len(nodes)-len(shown)
	}
	var b bytes.Buffer
	err := page.Index(&b, p)
	return b.Bytes(), err
}

// mostTelling are all nodes, or of too many those that have failed and those that reported last.
func mostTelling(nodes []report.Node) []report.Node {
	if len(nodes) <= maxShown {
		return nodes
	}
	nodes = slices.Clone(nodes)
	slices.SortStableFunc(nodes, func(a, b report.Node) int {
		if failed := a.State == report.Failed; failed != (b.State == report.Failed) {
			if failed {
				return -1
			}
			return 1
		}
		return b.Seen.Compare(a.Seen)
	})
	return nodes[:maxShown]
}

func systemRows(release *Release) (rows []page.System) {
	torrents := slices.SortedFunc(maps.Values(release.Torrents), func(a, b Torrent) int {
		return cmp.Or(strings.Compare(kind(a), kind(b)), strings.Compare(a.System.Title, b.System.Title),
			strings.Compare(a.System.Name, b.System.Name))
	})
	for _, t := range torrents {
		row := page.System{
			Title: t.System.Title, Description: t.System.Description, Method: t.System.Kind(), Arch: t.System.Arch,
			Default: t.System.Name == release.Default, Hidden: t.System.Hidden, Size: t.System.Size, Torrent: catalog.TorrentPath(t.System.InfoHash),
		}
		if n := len(t.Files); n > maxListed {
			row.Unlisted = n
			rows = append(rows, row)
			continue
		}
		for _, f := range t.Files {
			row.Files = append(row.Files, page.File{Path: f.Path, URL: t.System.FilePath(f.Path), Size: f.Size})
		}
		rows = append(rows, row)
	}
	return rows
}

// kind is what comes first in the order of rows: systems, which are not started without a method, come before boot parts and runtimes.
func kind(t Torrent) string {
	if t.System.Launch.Method == "" {
		return t.System.Kind()
	}
	return ""
}

func nodeRows(nodes []report.Node, now time.Time) (rows []page.Node) {
	for _, n := range nodes {
		step, state := stepWords(n, now)
		rows = append(rows, page.Node{
			IP: n.IP, MAC: n.MAC, Name: n.Name, System: n.System, Step: step, State: state, Error: n.Error,
			Percent: n.Percent(), FromSeeder: n.FromSeeder, FromNodes: n.FromNodes, ByHTTP: n.FromHTTP, Uploaded: n.Uploaded,
			Notes: notes(n), SecureBoot: n.SecureBoot, HostKey: n.HostKey, Seen: n.Seen,
		})
	}
	return rows
}

// stepWords say what a node does. One whose system runs gives it away; when it falls silent, somebody has switched it off.
func stepWords(n report.Node, now time.Time) (step, state string) {
	switch {
	case n.SwitchedOff(now):
		return "silent since " + n.Seen.Local().Format(time.DateTime) + ":", "switched off, it seems"
	case n.Step == report.Give && n.State == report.Running:
		return "running,", "gives away"
	}
	return string(n.Step), string(n.State)
}

// notes is what there is to say of a node beside its step.
func notes(n report.Node) (notes []string) {
	if n.Fallback {
		notes = append(notes, "nothing comes by BitTorrent: falling back to HTTP")
	}
	if len(n.Banned) > 0 {
		notes = append(notes, "wrong data came from "+strings.Trim(strings.ReplaceAll(fmt.Sprint(n.Banned), " ", ", "), "[]")+": no longer asked")
	}
	if n.Step == report.Give && n.Peers > 0 {
		notes = append(notes, fmt.Sprintf("connected to %s, gives %s/s", text.Count(n.Peers, "peer"), text.Size(n.Up)))
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
	if s.cfg.Manifest != nil {
		l = append(l, page.Link{URL: catalog.PathManifest, Text: "what machines start before they have a catalog, with sizes and hashes"},
			page.Link{URL: catalog.PathManifestSignature, Text: "its minisign signature"})
	}
	if s.cfg.Nodes != nil {
		l = append(l, page.Link{URL: catalog.PathNodes, Text: "the nodes, as JSON"})
	}
	if s.cfg.Systems != nil {
		l = append(l, page.Link{URL: status.Path, Text: "what became of each system's folder, as JSON"})
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
	names := slices.Clone(bootfiles.Names)
	if s.cfg.Script != nil {
		names = append(names, path.Base(catalog.PathScript))
	}
	if s.cfg.Boot.Has(arch.ARM64, image.Kernel) {
		for _, name := range bootfiles.Names {
			names = append(names, path.Join(image.Folder(arch.ARM64), name))
		}
	}
	return append(names, slices.Sorted(maps.Keys(s.loaderFiles()))...)
}

func bootText(name string) string {
	of := ""
	if folder, base := path.Split(name); folder == image.Folder(arch.ARM64)+"/" {
		of, name = " for arm64", base
	}
	switch catalog.PathBoot + name {
	case catalog.PathKernel:
		return "phase 1's kernel" + of
	case catalog.PathInitrd:
		return "phase 1's initramfs" + of
	case catalog.PathUKI:
		return "both as one UEFI program" + of
	case catalog.PathScript:
		return "the iPXE script that starts phase 1"
	}
	return "a boot loader"
}
