// Package web makes the page a person sees who opens the seeder's address in a browser: in goes what the seeder offers
// and what its nodes do, out comes one HTML document without scripts that loads itself again every five seconds.
package web

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"time"

	"github.com/dustin/go-humanize"
)

//go:embed index.html
var text string

// Page is what the page shows.
type Page struct {
	// Site is the site's name.
	Site string
	// Now is the time the page is made, from which ages are counted.
	Now time.Time
	// Ready is false while there is no catalog yet.
	Ready bool
	// Counter is the catalog's; 0 is not shown.
	Counter uint64
	// Findings are what the self-test found.
	Findings []Finding
	Systems  []System
	// Folders are those of oss/ of which there is more to say than that they are published.
	Folders []Folder
	Nodes   []Node
	// MoreNodes is how many there are besides.
	MoreNodes int
	// Links are the other things to fetch.
	Links []Link
}

// Finding is something that keeps machines from booting (severity problem), or may do so.
type Finding struct{ Severity, What, Do string }

// System is a row of the table of systems.
type System struct {
	Title, Description, Method, Arch string
	// Default is what nodes start when nobody chooses; Hidden is not shown to who chooses.
	Default, Hidden bool
	// Size is in bytes.
	Size int64
	// Torrent is the URL of the metainfo file.
	Torrent string
	// Files are the system's files, unless those are too many to list: then Unlisted is how many.
	Files    []File
	Unlisted int
}

// Folder is what became of a folder of oss/; without a name it is the site as a whole.
type Folder struct {
	Name, State string
	Since       time.Time
	Problems    []string
}

// File is one file of a system; Size is in bytes.
type File struct {
	Path, URL string
	Size      int64
}

// Node is a row of the table of nodes.
type Node struct {
	IP, MAC, Name, System, Step, State, Error string
	// Notes say what else there is to know: how the last system ended, that BitTorrent brings nothing, who sent wrong data.
	Notes []string
	// SecureBoot says that the firmware verifies what it starts.
	SecureBoot bool
	// HostKey is the fingerprint of the node's SSH server; empty: it has none.
	HostKey string
	// Percent of the download, 0 to 100.
	Percent float64
	// FromSeeder, FromNodes, ByHTTP and Uploaded are bytes.
	FromSeeder, FromNodes, ByHTTP, Uploaded int64
	// Seen is when the node last reported.
	Seen time.Time
}

// Link is a URL with what is found there.
type Link struct{ URL, Text string }

// page is parsed once; "ago" is replaced by the clock of each page.
var page = template.Must(template.New("index.html").Funcs(template.FuncMap{"bytes": size, "ago": ago(time.Time{})}).Parse(text))

// Index writes the page to w.
func Index(w io.Writer, p Page) error {
	t, err := page.Clone()
	if err != nil {
		return fmt.Errorf("make the seeder's page: %w", err)
	}
	if err := t.Funcs(template.FuncMap{"ago": ago(p.Now)}).Execute(w, p); err != nil {
		return fmt.Errorf("make the seeder's page: %w", err)
	}
	return nil
}

func ago(now time.Time) func(time.Time) string {
	return func(t time.Time) string { return now.Sub(t).Round(time.Second).String() + " ago" }
}

// size is a number of bytes for a person. Templates stand below package text, so they ask the same library themselves.
func size(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }
