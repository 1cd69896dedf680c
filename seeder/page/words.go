package page

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/text"
	page "github.com/boottorrent/boottorrent/templates/page"
)

// silence is after how long without a report a node that is still booting counts as switched off: it reports every 15 s.
const silence = 90 * time.Second

// doing says what a node does in a step.
var doing = map[report.Step]string{
	report.Hardware: "looks for its hardware", report.Network: "gets an address", report.Discover: "looks for the seeder",
	report.Catalog: "reads the catalog", report.Choose: "waits for a choice", report.Fetch: "downloads",
	report.Seed: "has all of it, gives to others first", report.Launch: "starts its system", report.Give: "runs, gives to others",
}

// stateOf says how a node stands, and what it does, in words.
func stateOf(n *report.Node, now time.Time) (state, step string) {
	quiet := now.Sub(n.Seen)
	switch {
	case n.State == report.Failed:
		return page.Failed, "failed: " + failing(n.Step)
	case n.Step == report.Launch && n.State == report.Done:
		return page.Running, "runs, has left phase 1"
	case n.SwitchedOff(now):
		return page.Off, "switched off, it seems: silent since " + n.Seen.Local().Format(time.DateTime)
	case n.Step == report.Give:
		return page.Running, doing[n.Step]
	case quiet > silence:
		return page.Off, "switched off or cut off: silent since " + n.Seen.Local().Format(time.DateTime)
	case n.Step == report.Launch:
		return page.Running, doing[n.Step]
	case n.Step == report.Fetch && n.State == report.Running:
		return page.Downloading, doing[n.Step]
	}
	return page.Waiting, doing[n.Step]
}

// failing says what a node failed to do.
func failing(s report.Step) string {
	words := map[report.Step]string{
		report.Hardware: "hardware", report.Network: "no network", report.Discover: "no seeder found", report.Catalog: "no catalog",
		report.Choose: "choice", report.Fetch: "download", report.Seed: "giving away", report.Launch: "start", report.Give: "giving away",
	}
	return words[s]
}

// notes are what there is to say of a node beside its step: why it failed and what to try first.
func notes(n *report.Node, now time.Time, next string) (notes []string) {
	say := func(format string, args ...any) { notes = append(notes, sentence(fmt.Sprintf(format, args...))) }
	if n.State == report.Failed {
		if n.Error != "" {
			say("%s", n.Error)
		}
		if !strings.Contains(n.Error, "; ") { // where our messages say what to do
			say("Try: %s", advice(&n.Report))
		}
		if now.Sub(n.Seen) > silence {
			say("silent since %s", n.Seen.Local().Format(time.DateTime))
		}
	}
	if n.Fallback {
		say("nothing comes by BitTorrent: falling back to HTTP")
	}
	if len(n.Banned) > 0 {
		say("wrong data came from %s: no longer asked", strings.Trim(strings.ReplaceAll(fmt.Sprint(n.Banned), " ", ", "), "[]"))
	}
	if e := n.Exit; e != nil {
		if e.Reason != "" {
			say("%s ended with exit code %d: %s", e.System, e.Code, e.Reason)
		} else {
			say("%s ended with exit code %d", e.System, e.Code)
		}
	}
	if o := n.Order; o != nil && o.State == report.OrderRefused {
		say("refused an order: %s", o.Text)
	}
	if next != "" {
		say("%s", next)
	}
	if n.Via != "" {
		say("behind the mirror %s", strings.TrimPrefix(n.Via, "http://"))
	}
	return notes
}

// sentence ends a text with a full stop, if nothing else ends it.
func sentence(s string) string {
	if s == "" || strings.ContainsRune(".!?", rune(s[len(s)-1])) {
		return s
	}
	return s + "."
}

// speed says how fast something comes, or goes if the node gives away.
func speed(n *report.Node) string {
	switch {
	case n.Step == report.Fetch && n.State == report.Running:
		return text.Size(n.Down) + "/s"
	case (n.Step == report.Give || n.Step == report.Seed) && n.Up > 0:
		return "gives " + text.Size(n.Up) + "/s"
	}
	return ""
}

// from says from whom a node got what it has, the nodes that gave most by their names; and what it gave away.
func (r *room) from(n *report.Node) string {
	var parts []string
	if all := n.Received(); all > 0 {
		part := func(bytes int64, who string) {
			if share := 100 * float64(bytes) / float64(all); bytes > 0 {
				parts = append(parts, fmt.Sprintf("%.0f %% %s", share, who))
			}
		}
		part(n.FromSeeder, "seeder")
		part(n.FromHTTP, "HTTP")
		who := "nodes"
		if len(n.Sources) > 0 {
			var names []string
			for _, s := range n.Sources[:min(2, len(n.Sources))] {
				names = append(names, r.nameOf(s.Addr))
			}
			if len(n.Sources) > 2 {
				names = append(names, "…")
			}
			who = strings.Join(names, ", ")
		}
		part(n.FromNodes, who)
	}
	if n.Uploaded > 0 {
		parts = append(parts, "gave "+text.Size(n.Uploaded))
	}
	return strings.Join(parts, " · ")
}

// nameOf is what people call who has an address.
func (r *room) nameOf(a netip.Addr) string {
	if m := r.at[a]; m != nil {
		return m.Name
	}
	return a.String()
}

// cures are what to try first when a message has one of some words in it, the first that fits. docs/troubleshooting.md has more.
var cures = []struct {
	words []string
	try   string
}{
	{[]string{"no network interface", "no network card"}, "mkimage DIR --drivers all: its card has no driver in the image"},
	{[]string{"no carrier", "no link", "cable"}, "its cable and the switch's port"},
	{[]string{"does not fit into memory", "too little memory", "no space left"}, "a smaller system, or more memory"},
	{[]string{"signature", "signed"}, "mkimage DIR, as its image was made with another key; write sticks again"},
	{[]string{"counter", "older"}, "the seeder's clock and its state: the catalog is older than one it has seen"},
	{[]string{"kexec", "kernel"}, "another kernel, or console= in the system's cmdline; its log has the last lines"},
	{[]string{"password"}, "the group's password"},
}

// advice is what to try first for a node that has failed.
func advice(r *report.Report) string {
	message := strings.ToLower(r.Error)
	for _, c := range cures {
		if slices.ContainsFunc(c.words, func(w string) bool { return strings.Contains(message, w) }) {
			return c.try
		}
	}
	switch r.Step {
	case report.Hardware:
		return "mkimage DIR --drivers all"
	case report.Network:
		return "its cable, the switch's port (edge or portfast), and whether a DHCP server answers there"
	case report.Discover, report.Catalog:
		return "whether TCP 8080 of the seeder is open to it; seeder check DIR"
	case report.Fetch, report.Seed:
		return "TCP 6881 between it, the others and the seeder; its log"
	}
	return "its log"
}
