package menu

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/bubbles/key"
	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"

	"github.com/boottorrent/boottorrent/initramfs/decision"
)

const (
	// keptLines is how many log lines a screen keeps for the key "l".
	keptLines = 100
	// askTime is how long a key that asks once more waits for its second press.
	askTime = 5 * time.Second
	// maxWidth is the widest a page gets; on wider terminals it is centred.
	maxWidth = 100
)

// overlay is what covers a screen's body until the next key.
type overlay int

const (
	noOverlay overlay = iota
	machineOverlay
	logOverlay
	helpOverlay
)

// base is what all screens share: the terminal, the clock, the head line, the overlays and the keys that ask once
// more. Its zero value is an 80x24 terminal without colours.
type base struct {
	place         Place
	paint         *paint
	width, height int
	now           time.Time
	note          string
	log           []string
	overlay       overlay

	answer decision.Decision
	lock   Lock
	prompt prompt

	// asked is the key that waits for its second press until askedUntil.
	asked      string
	askedUntil time.Time
}

func newBase(place Place) base {
	return base{place: place, paint: newPaint(Look{}), width: 80, height: 24}
}

// update takes in what every screen is told.
func (b base) update(msg tea.Msg) base {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		if msg.Width > 0 && msg.Height > 0 {
			b.width, b.height = msg.Width, msg.Height
		}
	case Look:
		b.paint = newPaint(msg)
	case Tick:
		b.now, b.note = msg.Now, msg.Note
		if b.asked != "" && !b.now.Before(b.askedUntil) {
			b.asked = ""
		}
		b = b.waited()
	case PasswordMsg:
		b = b.told(msg)
	case LogLine:
		// Clipped, so that copies of a screen never write to one array.
		b.log = append(slices.Clip(b.log), clean(ansi.Strip(string(msg))))
		if len(b.log) > keptLines {
			b.log = b.log[len(b.log)-keptLines:]
		}
	}
	return b
}

// Answer is what was decided; its Action is None until there is one.
func (b base) Answer() decision.Decision { return b.answer }

// over is whether there is an answer.
func (b base) over() bool { return b.answer.Action != decision.None }

// decide is a person's answer.
func (b base) decide(action decision.Action) base {
	b.answer = decision.Decision{Action: action, ByPerson: true}
	return b
}

// confirm is a person's answer with the second press of a key; asked is the key that waited when it was pressed.
func (b base) confirm(k, asked string, action decision.Action) base {
	b.asked = asked
	b, sure := b.ask(k)
	if sure {
		return b.decide(action)
	}
	return b
}

// ask is to be called with every key that needs a second press, and true once it got it.
func (b base) ask(k string) (base, bool) {
	if b.asked == k {
		b.asked = ""
		return b, true
	}
	b.asked, b.askedUntil = k, b.now.Add(askTime)
	return b, false
}

// commonKeys are the bindings every screen has.
type commonKeys struct {
	Machine, Log, Help key.Binding
}

func newCommonKeys() commonKeys {
	return commonKeys{
		Machine: bind("i", "machine", "i"),
		Log:     bind("l", "log", "l"),
		Help:    bind("?", "help", "?"),
	}
}

// bind makes a binding of keys with the texts of the help line.
func bind(shown, does string, keys ...string) key.Binding {
	return key.NewBinding(key.WithKeys(keys...), key.WithHelp(shown, does))
}

// overlayKey opens and closes the overlays; it says whether the key was for it. A key that closes an overlay does
// nothing else.
func (b base) overlayKey(msg tea.KeyMsg, keys commonKeys) (base, bool) {
	was := b.overlay
	b.overlay = noOverlay
	switch {
	case was != noOverlay:
		return b, true
	case key.Matches(msg, keys.Machine):
		b.overlay = machineOverlay
	case key.Matches(msg, keys.Log):
		b.overlay = logOverlay
	case key.Matches(msg, keys.Help):
		b.overlay = helpOverlay
	}
	return b, b.overlay != noOverlay
}

// page is a screen's content, before it is laid out.
type page struct {
	// body gets the room and returns at most that many lines.
	body func(width, height int) []string
	// status are the lines above the keys.
	status []string
	short  []key.Binding
	full   [][]key.Binding
}

// columns is the width of the page and the margin left of it.
func (b base) columns() (width, margin int) {
	width = min(b.width, maxWidth)
	return width - 2, (b.width-width)/2 + 1
}

// compact is whether the terminal is so low that decoration has to go.
func (b base) compact() bool { return b.height < 16 }

// view lays a page out: head, body, and at the bottom status and keys. It is exactly height lines high, none wider
// than the terminal.
func (b base) view(p page) string {
	width, margin := b.columns()
	head := b.head()
	if b.prompt.asking {
		p.status, p.short = b.promptLines(width), []key.Binding{promptKeys.Enter, promptKeys.Back}
	}
	foot := b.foot(p, width)
	room := max(0, b.height-len(head)-len(foot))

	var body []string
	switch b.overlay {
	case machineOverlay:
		body = b.machineLines(width)
	case logOverlay:
		body = b.logLines(width, room)
	case helpOverlay:
		body = b.helpLines(p.full, width)
	default:
		body = p.body(width, room)
	}
	body = body[:min(len(body), room)]
	for len(body) < room {
		body = append(body, "")
	}

	indent := strings.Repeat(" ", margin)
	lines := head
	for _, line := range append(body, foot...) {
		if line != "" {
			line = indent + line
		}
		lines = append(lines, ansi.Truncate(line, b.width, ""))
	}
	return strings.Join(lines[:min(len(lines), b.height)], "\n")
}

// head is the line that says whose screen this is: the product, the site and the machine's address.
func (b base) head() []string {
	width, margin := b.columns()
	p := b.paint
	name := "BootTorrent"
	if site := clean(b.place.Site); site != "" {
		name += p.dot + site
	}
	address := b.place.Machine.IP
	if address == "" {
		address = b.place.Machine.MAC
	}
	side := strings.Repeat(" ", margin)
	line := ansi.Truncate(side+p.spread(name, clean(address), width)+strings.Repeat(" ", b.width), b.width, "")
	head := []string{p.bar.Render(line)}
	if b.compact() {
		return head
	}
	if p.bar.Render("x") == "x" { // no colours: a line takes the bar's place
		return append(head, strings.Repeat(p.rule, b.width))
	}
	return append(head, "")
}

// foot is the status and the line of keys.
func (b base) foot(p page, width int) []string {
	var foot []string
	if !b.compact() {
		foot = append(foot, b.paint.dim.Render(strings.Repeat(b.paint.rule, width)))
	}
	status := p.status
	if b.note != "" {
		status = append([]string{b.paint.dim.Render(clean(b.note))}, status...)
	}
	if b.compact() { // the last lines are about the last key
		status = status[max(0, len(status)-2):]
	}
	for _, line := range status {
		foot = append(foot, b.paint.fit(line, width))
	}
	keys := p.short
	if b.overlay != noOverlay {
		keys = []key.Binding{bind("any key", "goes back", "any")}
	}
	return append(foot, b.paint.fit(b.paint.helper(width).ShortHelpView(keys), width))
}

// secondConsole is said where the terminal is a screen with a keyboard; a serial line has no such keys.
const secondConsole = "Alt+F2: another console, with a shell. Alt+F1: back here."

func (b base) helpLines(keys [][]key.Binding, width int) []string {
	h := b.paint.helper(width)
	lines := strings.Split(h.FullHelpView(keys), "\n")
	if !b.paint.graphics || b.lock.Check != nil { // there is no shell then
		return lines
	}
	if !b.compact() {
		lines = append(lines, "")
	}
	return append(lines, wrap(secondConsole, width)...)
}

func (b base) machineLines(width int) []string {
	m := b.place.Machine
	memory := ""
	if m.MemoryMiB > 0 {
		memory = fmt.Sprintf("%d MiB", m.MemoryMiB)
	}
	if m.MemoryFrom != "" {
		memory += " " + m.MemoryFrom
	}
	lines := []string{b.paint.title.Render("This machine")}
	if !b.compact() {
		lines = append(lines, "")
	}
	for _, row := range [][2]string{
		{"Name", m.Name}, {"Group", m.Group},
		{"MAC", m.MAC}, {"UUID", m.UUID}, {"IP", m.IP}, {"Memory", memory}, {"Arch", m.Arch},
		{"Interface", m.Interface}, {"Driver", m.Driver}, {"Seeder", m.Seeder}, {"Product", m.Product}, {"Serial", m.Serial},
		{"SecureBoot", m.SecureBoot},
	} {
		if row[1] != "" {
			lines = append(lines, b.paint.fit(b.paint.key.Render(fmt.Sprintf("%-11s", row[0]))+clean(row[1]), width))
		}
	}
	head := "Rules"
	for _, line := range wrap(m.Rules, width-11) {
		if m.Rules != "" {
			lines, head = append(lines, b.paint.key.Render(fmt.Sprintf("%-11s", head))+line), ""
		}
	}
	return lines
}

func (b base) logLines(width, height int) []string {
	lines := []string{b.paint.title.Render("Last messages")}
	log := b.log[max(0, len(b.log)-max(0, height-1)):]
	if len(log) == 0 {
		log = []string{"none yet"}
	}
	for _, line := range log {
		lines = append(lines, b.paint.fit(line, width))
	}
	return lines
}
