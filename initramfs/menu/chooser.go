package menu

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/bubbles/cursor"
	"github.com/charmbracelet/bubbles/key"
	"github.com/charmbracelet/bubbles/textinput"
	tea "github.com/charmbracelet/bubbletea"

	"github.com/boottorrent/boottorrent/initramfs/decision"
)

// Item is one system of the list.
type Item struct {
	// Name is the system's name in the catalog, Title what the person reads.
	Name, Title, Description string
	// Size is what there is to fetch, in bytes; 0 is not shown.
	Size int64
	// Unavailable is why the system can't be started here ("needs 4.0 GiB of memory"); empty if it can. Remedy is what can be done about it, if
	// that is known ("put more memory into it").
	Unavailable, Remedy string
	// Hidden systems are listed only while the filter is exactly their name.
	Hidden bool
}

// ChooserConfig is what a Chooser offers.
type ChooserConfig struct {
	Place
	Items []Item
	// Default is the name of the item the countdown leads to; without one (or with one that isn't there or is
	// unavailable) there is no countdown, and a notice says why.
	Default string
	// Timeout is in seconds; 0 starts the default with the first Tick, negative waits for a person.
	Timeout int
	// Hidden shows a line of text instead of the list while the countdown runs; a key shows the list.
	Hidden bool
	// Lock keeps everything but the default, a reboot and switching off.
	Lock Lock
	// Notices are lines shown above the keys, such as a warning. The last ones win where room is short.
	Notices []string
}

// Chooser lists the systems and lets a person, or a countdown, choose one.
type Chooser struct {
	base
	keys    chooserKeys
	items   []Item
	deflt   string
	notices []string

	hidden    bool // nothing but the countdown is shown
	count     countdown
	cursor    int // index into shown
	filtering bool
	filter    textinput.Model
	message   string // what the last key could not do
	reading   bool   // the description of the item under the cursor is shown
	skipped   int    // how many of its lines were scrolled away; more than there are mean the last ones
	// heading is the line above the list, doing what the countdown says of the default.
	heading, doing string
	// back says that esc goes back to a screen before.
	back bool
}

type chooserKeys struct {
	commonKeys
	Up, Down, PageUp, PageDown, Home, End key.Binding
	Filter, Clear, Start, Describe        key.Binding
	Shell, Reboot, PowerOff               key.Binding
}

// pageStep is how far pgup and pgdn go: not a terminal's height, since that differs between consoles.
const pageStep = 10

func newChooserKeys() chooserKeys {
	return chooserKeys{
		commonKeys: newCommonKeys(),
		Up:         bind("up/k", "up", "up", "k", "ctrl+p"),
		Down:       bind("down/j", "down", "down", "j", "ctrl+n"),
		PageUp:     bind("pgup", "10 up", "pgup", "ctrl+b"),
		PageDown:   bind("pgdn", "10 down", "pgdown", "ctrl+f"),
		Home:       bind("home", "first", "home", "g"),
		End:        bind("end", "last", "end", "G"),
		Filter:     bind("/", "filter", "/"),
		Clear:      bind("esc", "no filter", "esc"),
		Start:      bind("enter", "start", "enter", "ctrl+j"),
		Describe:   bind("d", "more", "d"),
		Shell:      bind("s", "shell", "s"),
		Reboot:     bind("r", "reboot", "r"),
		PowerOff:   bind("p", "power off", "p"),
	}
}

// NewChooser makes a chooser; the cursor stands on the default, if there is one.
func NewChooser(config ChooserConfig) Chooser {
	c := Chooser{
		base: newBase(config.Place), keys: newChooserKeys(), filter: newInput(),
		heading: "Choose a system", doing: "Starting",
		items: slices.Clone(config.Items), deflt: config.Default, notices: slices.Clone(config.Notices),
	}
	for i, item := range c.items {
		c.items[i].Title, c.items[i].Description = clean(item.Title), clean(item.Description)
		if c.items[i].Title == "" {
			c.items[i].Title = item.Name
		}
	}
	c.setDefault(config.Timeout)
	c.base = c.locked(config.Lock)
	c.hidden = config.Hidden && c.count.running
	return c
}

// setDefault starts the countdown, or says why there is none.
func (c *Chooser) setDefault(timeout int) {
	if c.deflt == "" {
		return
	}
	i := slices.IndexFunc(c.items, func(item Item) bool { return item.Name == c.deflt })
	switch {
	case i < 0:
		c.notices = append(c.notices, fmt.Sprintf("The default system %q is not offered to this machine.", clean(c.deflt)))
		return
	case c.items[i].Unavailable != "":
		c.notices = append(c.notices, fmt.Sprintf("The default system can't be started here: %s.", c.items[i].why()))
	case timeout >= 0:
		c.count = newCountdown(time.Duration(timeout) * time.Second)
	}
	c.moveTo(c.deflt)
}

// Init implements tea.Model.
func (c Chooser) Init() tea.Cmd { return nil }

// Update implements tea.Model.
func (c Chooser) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	if c.over() {
		return c, nil
	}
	c.base = c.base.update(msg)
	switch msg := msg.(type) {
	case Tick:
		var ended bool
		if c.count, ended = c.count.tick(msg.Now); ended {
			c.answer = decision.Decision{Action: decision.Start, System: c.deflt}
		}
	case tea.KeyMsg:
		c = c.press(msg)
	}
	if c.over() {
		return c, tea.Quit
	}
	return c, nil
}

// press handles a key. Whatever it does, somebody is there: the countdown stops.
func (c Chooser) press(msg tea.KeyMsg) Chooser {
	c.count.running = false
	c.message = ""
	if c.hidden {
		c.hidden = false
		return c
	}
	if c.prompt.asking {
		c.base = c.pressPrompt(msg)
		return c
	}
	asked := c.asked
	c.asked = ""
	if c.reading {
		return c.pressReading(msg)
	}
	if c.filtering {
		return c.pressFiltering(msg)
	}
	var used bool
	if c.base, used = c.overlayKey(msg, c.keys.commonKeys); used {
		return c
	}
	if c.move(msg) {
		return c
	}
	switch {
	case key.Matches(msg, c.keys.Filter):
		c.filtering = true
	case key.Matches(msg, c.keys.Clear):
		if !c.leave() {
			c.clearFilter()
		}
	case key.Matches(msg, c.keys.Start):
		c.start()
	case key.Matches(msg, c.keys.Describe):
		c.reading, c.skipped = len(c.shown()) > 0, 0
	case key.Matches(msg, c.keys.Shell):
		c.base = c.guarded(decision.Decision{Action: decision.Shell})
	case key.Matches(msg, c.keys.Reboot):
		c.base = c.confirm("r", asked, decision.Reboot)
	case key.Matches(msg, c.keys.PowerOff):
		c.base = c.confirm("p", asked, decision.PowerOff)
	}
	return c
}

// pressReading handles a key while a description is read: what moves the cursor scrolls, Enter starts, any other goes back. How
// long it is differs between consoles, so the end is only known when it is drawn.
func (c Chooser) pressReading(msg tea.KeyMsg) Chooser {
	switch {
	case key.Matches(msg, c.keys.Up):
		c.skipped--
	case key.Matches(msg, c.keys.Down):
		c.skipped++
	case key.Matches(msg, c.keys.PageUp):
		c.skipped -= pageStep
	case key.Matches(msg, c.keys.PageDown):
		c.skipped += pageStep
	case key.Matches(msg, c.keys.Home):
		c.skipped = 0
	case key.Matches(msg, c.keys.Start):
		c.reading = false
		c.start()
	default:
		c.reading = false
	}
	c.skipped = max(0, min(c.skipped, maxSkipped))
	return c
}

// maxSkipped is more than the lines of any description, one word a line.
const maxSkipped = 2000

// pressFiltering handles a key while the filter is typed: arrows and Enter work on the list, esc clears.
func (c Chooser) pressFiltering(msg tea.KeyMsg) Chooser {
	switch {
	case key.Matches(msg, c.keys.Clear):
		c.clearFilter()
	case key.Matches(msg, c.keys.Start):
		c.start()
	case msg.Type != tea.KeyRunes && c.move(msg):
	default:
		before := c.filter.Value()
		c.filter, _ = c.filter.Update(msg)
		if c.filter.Value() != before {
			c.cursor = 0
		}
	}
	return c
}

// move moves the cursor, if the key is one of those.
func (c *Chooser) move(msg tea.KeyMsg) bool {
	last := len(c.shown()) - 1
	to := c.cursor
	switch {
	case key.Matches(msg, c.keys.Up):
		to--
	case key.Matches(msg, c.keys.Down):
		to++
	case key.Matches(msg, c.keys.PageUp):
		to -= pageStep
	case key.Matches(msg, c.keys.PageDown):
		to += pageStep
	case key.Matches(msg, c.keys.Home):
		to = 0
	case key.Matches(msg, c.keys.End):
		to = last
	default:
		return false
	}
	c.cursor = max(0, min(to, last))
	return true
}

func (c *Chooser) moveTo(name string) {
	c.cursor = max(0, slices.IndexFunc(c.shown(), func(item Item) bool { return item.Name == name }))
}

// clearFilter shows all items again, the cursor still on the same one.
func (c *Chooser) clearFilter() {
	name := ""
	if shown := c.shown(); c.cursor < len(shown) {
		name = shown[c.cursor].Name
	}
	c.filtering = false
	c.filter.SetValue("")
	c.moveTo(name)
}

func (c *Chooser) start() {
	shown := c.shown()
	if c.cursor >= len(shown) {
		return
	}
	item := shown[c.cursor]
	if item.Unavailable != "" {
		c.message = fmt.Sprintf("%s can't be started here: %s.", item.Title, item.why())
		return
	}
	d := decision.Decision{Action: decision.Start, System: item.Name, ByPerson: true}
	if item.Name == c.deflt {
		c.answer = d
		return
	}
	c.base = c.guarded(d)
}

// why is why the item can't be started, and what can be done about it.
func (i Item) why() string {
	if i.Remedy == "" {
		return clean(i.Unavailable)
	}
	return clean(i.Unavailable) + "; " + clean(i.Remedy)
}

// shown are the items that pass the filter: all its words are in name, title or description.
func (c Chooser) shown() []Item {
	typed := strings.TrimSpace(c.filter.Value())
	words := strings.Fields(strings.ToLower(typed))
	var shown []Item
	for _, item := range c.items {
		text := strings.ToLower(item.Name + "\n" + item.Title + "\n" + item.Description)
		matches := !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(text, word) })
		if item.Hidden && typed != item.Name {
			matches = false
		}
		if matches {
			shown = append(shown, item)
		}
	}
	return shown
}

// newInput is a line editor that keeps the rules of this package: a cursor that doesn't blink, no clipboard.
func newInput() textinput.Model {
	input := textinput.New()
	input.Prompt = ""
	input.CharLimit = 200
	input.KeyMap.Paste.SetEnabled(false)
	input.Cursor.SetMode(cursor.CursorStatic) // a blinking one starts timers
	input.Focus()
	return input
}
