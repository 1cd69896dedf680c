package page

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/rules"
	"github.com/boottorrent/boottorrent/internal/text"
	"github.com/boottorrent/boottorrent/seeder/fleet"
	"github.com/boottorrent/boottorrent/seeder/history"
	page "github.com/boottorrent/boottorrent/templates/page"
)

// asked finds the machine that a request is about, and answers that there is none. One of which there is only a log or a history, as
// it has not reported since the seeder started, is known by its address alone.
func (p *Page) asked(w http.ResponseWriter, r *http.Request) (m machine, room *room, ok bool) {
	room = p.now()
	mac, err := net.ParseMAC(r.PathValue("mac"))
	if err == nil {
		i := slices.IndexFunc(room.machines, func(m machine) bool { return m.ID == mac.String() })
		if i >= 0 {
			return room.machines[i], room, true
		}
		m.ID, m.Name, m.State, m.Step = mac.String(), mac.String(), page.Off, "has not reported"
		if p.hasLog(m.ID, false) || len(p.history(m.ID)) > 0 {
			return m, room, true
		}
	}
	p.message(w, r, http.StatusNotFound, "No such machine", "No machine of this MAC address has reported.")
	return m, room, false
}

func (p *Page) history(mac string) []history.Boot {
	if p.cfg.History == nil {
		return nil
	}
	return p.cfg.History(mac)
}

func (p *Page) hasLog(mac string, previous bool) bool {
	return p.cfg.LogDir != "" && fleet.HasLog(p.cfg.LogDir, mac, previous)
}

func (p *Page) serveNode(w http.ResponseWriter, r *http.Request) {
	m, room, ok := p.asked(w, r)
	if !ok {
		return
	}
	d := &page.Node{Head: p.head(r, m.Name), Row: m.Row, Systems: systemRows(room.cat), Log: p.hasLog(m.ID, false), Previous: p.hasLog(m.ID, true)}
	d.Reload = reload
	if d.LoggedIn {
		d.Reload = 0 // it has a form
	}
	known := rules.Facts{MAC: m.ID}
	if m.node != nil {
		known = facts(m.node)
		d.Steps = steps(m.node)
		if e := m.node.Exit; e != nil {
			d.Exit = e.Lines
		}
	}
	d.Facts = p.factRows(m)
	if room.cat != nil {
		d.Rules = ruleRows(rules.For(room.cat, known))
	}
	for _, b := range p.history(m.ID) {
		d.History = append(d.History, historyRow(b))
	}
	p.write(w, http.StatusOK, d)
}

// factRows are what is known of a machine.
func (p *Page) factRows(m machine) (rows []page.Fact) {
	add := func(name, value string) {
		if value = strings.TrimSpace(value); value != "" {
			rows = append(rows, page.Fact{Name: name, Value: value})
		}
	}
	add("MAC address", m.ID)
	if m.node != nil {
		add("Mirror", m.node.Via)
	}
	if p.cfg.Notes != nil {
		add("Notes", p.cfg.Notes(m.ID))
	}
	n := m.node
	if n == nil {
		return rows
	}
	positive := func(v int64, format string) string {
		if v <= 0 {
			return ""
		}
		return fmt.Sprintf(format, v)
	}
	add("IP address", n.IP)
	add("Host name", n.Name)
	add("Machine", n.Vendor+" "+n.Model)
	add("Serial number", n.Serial)
	add("UUID", n.UUID)
	add("Architecture", n.Arch)
	add("Firmware", map[string]string{catalog.FirmwareBIOS: "BIOS", catalog.FirmwareUEFI: "UEFI"}[n.Firmware])
	add("Secure Boot", map[bool]string{true: "on"}[n.SecureBoot])
	add("Memory", positive(n.MemoryMiB, "%d MiB"))
	add("Link", positive(n.LinkMbps, "%d Mbit/s"))
	add("Processors busy", positive(n.CPU, "%d %%"))
	if n.Writing > 0 {
		add("Writes", text.Size(n.Writing)+"/s")
	}
	add("Peers", positive(int64(n.Peers), "%d"))
	add("Its seeders gave", sources(n.Seeders))
	add("SSH host key", n.HostKey)
	if o := n.Order; o != nil {
		add("Last order", string(o.State)+": "+o.Text)
	}
	add("Last report", n.Seen.Local().Format("2006-01-02 15:04:05"))
	return rows
}

// sources says who gave how much.
func sources(given []report.Source) string {
	var parts []string
	for _, s := range given {
		parts = append(parts, fmt.Sprintf("%s %s", s.Addr, text.Size(s.Bytes)))
	}
	return strings.Join(parts, ", ")
}

// steps are those that a node has ended, with how long they took.
func steps(n *report.Node) (rows []page.Fact) {
	for _, step := range report.Steps {
		if seconds, ok := n.Durations[step]; ok {
			rows = append(rows, page.Fact{Name: string(step), Value: took(seconds)})
		}
	}
	return rows
}

// took is a number of seconds for a person.
func took(seconds float64) string {
	switch {
	case seconds >= 3600:
		return fmt.Sprintf("%.1f h", seconds/3600)
	case seconds >= 120:
		return fmt.Sprintf("%.0f min", seconds/60)
	}
	return fmt.Sprintf("%.1f s", seconds)
}

// ruleKeys are the keys of boottorrent.yaml that are shown, in this order.
var ruleKeys = []string{"group", "hostname", "default", "timeout", "menu", "systems", "next", "cmdline", "seed", "limits", "writable", "ssh_keys"}

// ruleRows say what holds for a machine, and which rule says so.
func ruleRows(d rules.Decision) (rows []page.Fact) {
	s := &d.Settings
	value := map[string]string{
		"group": d.Group, "hostname": d.Hostname, "menu": s.Menu, "next": d.Next, "cmdline": s.Cmdline, "writable": s.Writable,
		"systems": strings.Join(s.Systems, ", "),
	}
	if s.Default != nil {
		value["default"] = cmp.Or(*s.Default, "nothing: the chooser waits")
	}
	if s.Timeout != nil {
		value["timeout"] = fmt.Sprintf("%d s", *s.Timeout)
		if *s.Timeout < 0 {
			value["timeout"] = "none: the chooser waits"
		}
	}
	if n := len(s.SSHKeys); n > 0 {
		value["ssh_keys"] = text.Count(n, "key")
	}
	if l := s.Limits; l != nil && (l.Upload > 0 || l.Download > 0) {
		value["limits"] = limits(*l)
	}
	for _, key := range ruleKeys {
		if v := value[key]; v != "" {
			if why := d.Because[key]; why != "" {
				v += " — " + why
			}
			rows = append(rows, page.Fact{Name: key, Value: v})
		}
	}
	if len(d.Unknown) > 0 {
		rows = append(rows, page.Fact{Name: "not known yet", Value: strings.Join(d.Unknown, ", ") + ": its group depends on that"})
	}
	return rows
}

// historyRow is a line of a machine's history.
func historyRow(b history.Boot) page.Boot {
	row := page.Boot{Began: b.Began.Local(), System: b.System, Failed: b.State == report.Failed, How: doing[b.Step]}
	switch {
	case row.Failed:
		row.How = "failed: " + failing(b.Step)
		if b.Error != "" {
			row.How += ": " + b.Error
		}
	case b.Step == report.Launch && b.State == report.Done, b.Step == report.Give:
		row.How = "ran"
	default:
		row.How = "came as far as: " + row.How
	}
	if seconds := b.Phase1(); seconds > 0 {
		row.Took = took(seconds)
	}
	if all := b.FromSeeder + b.FromNodes + b.FromHTTP; all > 0 {
		row.Shares = fmt.Sprintf("%s, %.0f %% of it from nodes", text.Size(all), 100*float64(b.FromNodes)/float64(all))
	}
	return row
}

// maxLog is how much of a log its page has, from its end; all of it is text.
const maxLog = 256 << 10

func (p *Page) serveLog(w http.ResponseWriter, r *http.Request) {
	m, _, ok := p.asked(w, r)
	if !ok {
		return
	}
	d := &page.Log{Head: p.head(r, "Log of "+m.Name), ID: m.ID, Name: m.Name, Previous: r.URL.Query().Has("previous")}
	d.Other = p.hasLog(m.ID, !d.Previous)
	var b bytes.Buffer
	if !p.printLog(w, r, &b, m.ID, d.Previous) {
		return
	}
	text := b.Bytes()
	if d.Cut = len(text) > maxLog; d.Cut {
		text = text[len(text)-maxLog:]
		text = text[bytes.IndexByte(text, '\n')+1:]
	}
	d.Text = string(text)
	p.write(w, http.StatusOK, d)
}

func (p *Page) serveLogText(w http.ResponseWriter, r *http.Request) {
	m, _, ok := p.asked(w, r)
	if !ok {
		return
	}
	var b bytes.Buffer
	if p.printLog(w, r, &b, m.ID, r.URL.Query().Has("previous")) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write(b.Bytes())
	}
}

// printLog writes a log down, or answers why it can't.
func (p *Page) printLog(w http.ResponseWriter, r *http.Request, b *bytes.Buffer, mac string, previous bool) bool {
	err := os.ErrNotExist
	if p.cfg.LogDir != "" {
		err = fleet.PrintLog(b, p.cfg.LogDir, mac, previous)
	}
	if err == nil {
		return true
	}
	if !errors.Is(err, os.ErrNotExist) {
		p.cfg.Log.Warn("a node's log can't be read", "mac", mac, "err", err)
	}
	p.message(w, r, http.StatusNotFound, "No log", "This machine has sent none. Machines send their log while they boot; the seeder keeps those of the last two boots.")
	return false
}

// limits says what a machine may send and fetch at most.
func limits(l catalog.Limits) string {
	var parts []string
	if l.Upload > 0 {
		parts = append(parts, "upload "+text.Size(l.Upload)+"/s")
	}
	if l.Download > 0 {
		parts = append(parts, "download "+text.Size(l.Download)+"/s")
	}
	return cmp.Or(strings.Join(parts, ", "), "none")
}
