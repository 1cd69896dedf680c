// Package page is the text of the seeder's page for people: in go values that say what the room does, out come HTML documents, each
// with one style sheet and one script beside it. Everything that comes from machines is escaped where it stands (html/template); no
// document has a script or a style in it, so a strict Content-Security-Policy holds for all of them.
package page

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io"
	"time"

	"github.com/dustin/go-humanize"
)

//go:embed *.html
var documents embed.FS

// Style and Script are the style sheet and the script of all documents.
var (
	//go:embed page.css
	Style []byte
	//go:embed page.js
	Script []byte
)

// StyleURL and ScriptURL are where they are found. They change with the content, so they may be kept for ever.
var (
	StyleURL  = "/page/" + short(Style) + ".css"
	ScriptURL = "/page/" + short(Script) + ".js"
)

func short(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:6])
}

// Head is what all documents have.
type Head struct {
	// Site is the site's name, Title that of the document.
	Site, Title string
	// Now is the time the document is made.
	Now time.Time
	// Reload says that the document loads itself again every so many seconds where scripts don't run; 0: never.
	Reload int
	Person
}

// Person is what somebody who looks at the page may do.
type Person struct {
	// Password says that the site has one, which is needed to change something; without it nothing can be changed.
	Password bool
	// LoggedIn says that this person gave it, and CSRF is what each change must have.
	LoggedIn bool
	CSRF     string
	// Here is the document's path, to which a change leads back.
	Here string
	// Elsewhere is the base URL of the seeder where to say what machines are to do; empty: this is no mirror, and it is said here.
	Elsewhere string
}

// Room is the front page.
type Room struct {
	Head
	// Group is the one whose machines are shown; empty: all. Groups are all of them.
	Group  string
	Groups []string
	// Ready is false while there is no catalog yet.
	Ready bool
	// Findings are what keeps machines from booting, or may do so. Folders are those of oss/ of which there is more to say than that
	// they are published.
	Findings []Finding
	Folders  []Folder
	// Mirror says how a mirror stands with the seeder that it follows; empty: this is the site's own. Mirrors are those that follow this one,
	// by where they are reached, with how they stand.
	Mirror  string
	Mirrors []Fact
	Sums    Sums
	Rows    []Row
	// More is how many machines there are besides.
	More int
	// Systems are what can be started.
	Systems []System
	// Gave is the URL of the picture of who gave to whom, GaveText the same in words; empty: nobody gave anything yet.
	Gave     string
	GaveText []string
}

// Finding is something that keeps machines from booting (severity problem), or may do so.
type Finding struct {
	Severity string `json:"severity"`
	What     string `json:"what"`
	Do       string `json:"do"`
}

// Folder is what became of a folder of oss/; without a name it is the site as a whole.
type Folder struct {
	Name, State string
	Since       time.Time
	Problems    []string
}

// Sums are what the front page says of all machines, each a text for a person.
type Sums struct {
	Waiting, Downloading, Running, Failed, Off string
	// Time is how long the room has taken so far, beside one machine; Copies what the seeder sent.
	Time, Copies string
	// Slowest is the slowest machine, and why; empty: none is slower than the others.
	Slowest string
	// Phase1 says who gives phase 1 and who waits for it; empty: nobody but the seeder gives it, and nobody waits.
	Phase1 string
}

// The states of a row.
const (
	Waiting     = "waiting"
	Downloading = "downloading"
	Running     = "running"
	Failed      = "failed"
	Off         = "off"
)

// Row is the line of a machine.
type Row struct {
	// ID is its MAC address. Key puts rows in order; State is one of the states.
	ID, Key, State string
	// Name is what people call it; IP is empty as long as it has not reported.
	Name, IP, Group, System string
	// Step says what it does, Note what else there is to know: why it failed, and what to try.
	Step, Note string
	// Percent is how much of its download is here ("41"); empty: there is none.
	Percent string
	// Speed is how fast it comes, From from whom.
	Speed, From string
}

// Address is its IP address, where that is not its name already.
func (r Row) Address() string {
	if r.IP == r.Name {
		return ""
	}
	return r.IP
}

// System is one thing that can be started, in the list of all.
type System struct {
	Name, Title, Description, Method, Arch string
	// Default is what nodes start when nobody chooses; Hidden is not shown to who chooses.
	Default, Hidden bool
	// Size is in bytes.
	Size int64
	// Start says that a person may choose it.
	Start bool
	// Here says at a mirror whether its files are there; empty: they are.
	Here string
}

// Fact is a line of a list of facts.
type Fact struct{ Name, Value string }

// Node is the page of one machine.
type Node struct {
	Head
	Row
	// Facts are what is known of it, Rules what holds for it and which rule says so.
	Facts, Rules []Fact
	// Steps are those that it took in this boot, with their seconds.
	Steps   []Fact
	History []Boot
	// Exit are the last lines of the system that ended last.
	Exit []string
	// Log says that there is a log, Previous that there is one of the boot before.
	Log, Previous bool
	// Systems are those that it can be told to start.
	Systems []System
}

// Boot is a line of a machine's history.
type Boot struct {
	Began                     time.Time
	System, Took, How, Shares string
	Failed                    bool
}

// Log is the log of a machine.
type Log struct {
	Head
	// ID is the MAC address, Name what people call it.
	ID, Name string
	// Previous says that it is that of the boot before; Other that there is the other one.
	Previous, Other bool
	// Cut says that earlier lines are left out.
	Cut  bool
	Text string
}

// Files is the page of all files.
type Files struct {
	Head
	Ready bool
	// Counter is the catalog's; 0 is not shown.
	Counter uint64
	Systems []System
	// Links are the other things to fetch.
	Links []Link
}

// SystemFiles is the page of a system's files.
type SystemFiles struct {
	Head
	System
	// Torrent is the URL of the metainfo file.
	Torrent string
	Files   []File
	// More is how many there are besides.
	More int
}

// File is one file of a system; Size is in bytes.
type File struct {
	Path, URL string
	Size      int64
}

// Link is a URL with what is found there.
type Link struct{ URL, Text string }

// Login is the page where people log in.
type Login struct {
	Head
	// Back is the path that it leads back to.
	Back string
}

// Message is a page that says something and no more.
type Message struct {
	Head
	Text string
}

// all are parsed once; "ago" is replaced by the clock of each document.
var all = template.Must(template.New("").Funcs(template.FuncMap{
	"bytes": size, "ago": ago(time.Time{}), "style": func() string { return StyleURL }, "script": func() string { return ScriptURL },
	"row": func(r Row, p Person) rowOf { return rowOf{r, p} }, "empty": func() Row { return Row{} },
}).ParseFS(documents, "*.html"))

// rowOf is a row for somebody.
type rowOf struct {
	Row
	Person
}

// Write writes a document: the one that the type of its value is of.
func Write(w io.Writer, document any) error {
	var name string
	var now time.Time
	switch d := document.(type) {
	case *Room:
		name, now = "room.html", d.Now
	case *Node:
		name, now = "node.html", d.Now
	case *Log:
		name, now = "log.html", d.Now
	case *Files:
		name, now = "files.html", d.Now
	case *SystemFiles:
		name, now = "system.html", d.Now
	case *Login:
		name, now = "login.html", d.Now
	case *Message:
		name, now = "message.html", d.Now
	default:
		return fmt.Errorf("make the seeder's page: %T is none", document)
	}
	t, err := all.Clone()
	if err == nil {
		err = t.Funcs(template.FuncMap{"ago": ago(now)}).ExecuteTemplate(w, name, document)
	}
	if err != nil {
		return fmt.Errorf("make the seeder's page: %w", err)
	}
	return nil
}

func ago(now time.Time) func(time.Time) string {
	return func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return now.Sub(t).Round(time.Second).String() + " ago"
	}
}

// size is a number of bytes for a person. Templates stand below package text, so they ask the same library themselves.
func size(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

// Actions are the buttons for some machines.
type Actions struct {
	Person
	What    string
	Systems []System
}

// Actions are the buttons of the front page.
func (r *Room) Actions(what string) Actions { return Actions{r.Person, what, r.Systems} }

// Actions are the buttons of a machine's page.
func (n *Node) Actions(what string) Actions { return Actions{n.Person, what, n.Systems} }
