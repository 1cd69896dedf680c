package menu

import (
	"fmt"
	"slices"
	"strings"

	"github.com/charmbracelet/bubbles/key"
	"github.com/charmbracelet/bubbles/textinput"
	"github.com/charmbracelet/x/ansi"
)

// View implements tea.Model.
func (c Chooser) View() string {
	if c.hidden {
		return c.hiddenView()
	}
	width, _ := c.columns()
	return c.view(page{body: c.body, status: c.status(width), short: c.shortHelp(), full: c.fullHelp()})
}

// hiddenView is one line, and nothing around it.
func (c Chooser) hiddenView() string {
	width, margin := c.columns()
	text := fmt.Sprintf("%s %s in %s. Press a key for the menu.", c.doing, c.paint.fit(c.defaultTitle(), width/3), Clock(c.count.left))
	return "\n" + strings.Repeat(" ", margin) + c.paint.fit(text, width) + strings.Repeat("\n", max(0, c.height-2))
}

func (c Chooser) shortHelp() []key.Binding {
	k := c.keys
	if c.reading {
		return []key.Binding{k.Start, bind("up/down", "scroll", "up"), bind("any key", "goes back", "any")}
	}
	if c.filtering {
		return []key.Binding{k.Start, bind("up/down", "choose", "up"), bind("esc", "clears the filter", "esc")}
	}
	if c.width < 80 {
		return []key.Binding{k.Start, k.Help, k.Describe, k.Filter, k.Shell, k.Reboot, k.PowerOff, k.Machine}
	}
	if c.width < 100 { // i is told by ?
		return []key.Binding{k.Start, k.Describe, k.Filter, k.Shell, k.Reboot, k.PowerOff, k.Help}
	}
	return []key.Binding{k.Start, k.Describe, k.Filter, k.Shell, k.Reboot, k.PowerOff, k.Machine, k.Help}
}

func (c Chooser) fullHelp() [][]key.Binding {
	k := c.keys
	return [][]key.Binding{
		{k.Start, k.Up, k.Down, k.PageUp, k.PageDown, k.Home, k.End},
		{k.Describe, k.Filter, k.Clear, k.Shell, k.Reboot, k.PowerOff, k.Machine, k.Log},
	}
}

// status is what stands above the keys: the question, the message or the countdown, after as many notices as fit.
func (c Chooser) status(width int) []string {
	p := c.paint
	lines := c.noticeLines(width)
	switch {
	case c.asked == "r":
		return append(lines, p.warn.Render("Press r again to reboot."))
	case c.asked == "p":
		return append(lines, p.warn.Render("Press p again to power off."))
	case c.message != "":
		message := c.messageLines(width)
		if len(lines)+len(message) > c.mostStatus()+1 { // it is about the last key, and notices come back with the next one
			return message
		}
		return append(lines, message...)
	case c.count.running:
		return append(lines, c.count.line(p, c.doing+" "+p.fit(c.defaultTitle(), width/3)+" in", width))
	}
	return lines
}

// noticeLines are as many of the last notices as fit, whole ones where there is room, since what to do stands at their end.
func (c Chooser) noticeLines(width int) []string {
	p := c.paint
	most := c.mostStatus()
	var lines []string
	for _, notice := range slices.Backward(c.notices) {
		text := wrap("! "+notice, width)
		if len(lines)+len(text) > most {
			if len(lines) > 0 {
				break
			}
			text = []string{p.fit("! "+clean(notice), width)}
		}
		for i, line := range text {
			text[i] = p.warn.Render(line)
		}
		lines = append(text, lines...)
	}
	return lines
}

// messageLines are what the last key could not do, whole where there is room.
func (c Chooser) messageLines(width int) []string {
	p := c.paint
	text := wrap(c.message, width)
	if len(text) > c.mostStatus() {
		text = []string{p.fit(c.message, width)}
	}
	for i, line := range text {
		text[i] = p.fail.Render(line)
	}
	return text
}

// mostStatus is how many lines notices get, or what the last key could not do.
func (c Chooser) mostStatus() int {
	if c.compact() {
		return 1
	}
	return 6
}

func (c Chooser) defaultTitle() string {
	for _, item := range c.items {
		if item.Name == c.deflt {
			return item.Title
		}
	}
	return c.deflt
}

// body is the list under its title line.
func (c Chooser) body(width, height int) []string {
	shown := c.shown()
	if c.reading && c.cursor < len(shown) {
		return c.description(shown[c.cursor], width, height)
	}
	lines := []string{c.listTitle(shown, width)}
	if !c.compact() {
		lines = append(lines, "")
	}
	if len(shown) == 0 {
		return append(lines, c.emptyText())
	}
	room := height - len(lines)
	each := c.linesEach(shown, room)
	// A gap between items, where all fit.
	gap := each == 2 && len(shown)*3-1 <= room
	if gap {
		room, each = room+1, 3
	}
	fit := max(1, room/each)
	first := max(0, min(c.cursor-fit/2, len(shown)-fit))
	for i := first; i < min(first+fit, len(shown)); i++ {
		lines = append(lines, c.item(shown[i], i == c.cursor, width, each > 1)...)
		if gap {
			lines = append(lines, "")
		}
	}
	return lines
}

// description is all that is known of an item, from the line to which it was scrolled.
func (c Chooser) description(item Item, width, height int) []string {
	p := c.paint
	var text []string
	if item.Unavailable != "" {
		for _, line := range wrap("Not available: "+item.why(), width) {
			text = append(text, p.warn.Render(line))
		}
		text = append(text, "")
	}
	about := item.Description
	if about == "" {
		about = "Its config.yaml has no description."
	}
	text = append(text, wrap(about, width)...)
	title := wrap(item.Title, width)
	if item.Size > 0 {
		title = append(title, Size(item.Size))
	}
	room := max(1, height-len(title)-1)
	first := max(0, min(c.skipped, len(text)-room))
	last := min(first+room, len(text))
	lines := make([]string, 0, height)
	for _, line := range title {
		lines = append(lines, p.title.Render(line))
	}
	position := ""
	if len(text) > room {
		position = p.dim.Render(fmt.Sprintf("lines %d to %d of %d", first+1, last, len(text)))
	}
	return append(append(lines, position), text[first:last]...)
}

// linesEach is how many lines an item gets: a second one for its description, if there is any and there is room for
// a few such.
func (c Chooser) linesEach(shown []Item, room int) int {
	for _, item := range shown {
		if (item.Description != "" || item.Unavailable != "") && room >= 8 {
			return 2
		}
	}
	return 1
}

func (c Chooser) emptyText() string {
	if c.filter.Value() != "" {
		return c.paint.warn.Render("Nothing matches; esc clears the filter.")
	}
	return c.paint.warn.Render("This site offers no system for this machine.")
}

// listTitle is the line above the list: the filter, and where the cursor is.
func (c Chooser) listTitle(shown []Item, width int) string {
	p := c.paint
	position := ""
	if len(shown) > 0 {
		position = fmt.Sprintf("%d of %d", c.cursor+1, len(shown))
	}
	if c.filtering {
		return p.spread(p.key.Render("/ ")+showInput(c.filter, p, width-12), position, width)
	}
	return p.spread(p.title.Render(c.heading), position, width)
}

// item draws one item: marker, title and size; below, if there is room, what it is or why it can't be had.
func (c Chooser) item(item Item, selected bool, width int, second bool) []string {
	p := c.paint
	size := ""
	if item.Size > 0 {
		size = Size(item.Size)
	}
	marker := " "
	if selected {
		marker = p.marker
	}
	title := item.Title
	if item.Unavailable != "" && !second {
		title += " (not here)"
	}
	switch {
	case selected: // the whole row is coloured, so nothing within it
	case item.Unavailable != "":
		title, size = p.dim.Render(title), p.dim.Render(size)
	default:
		title = p.strong.Render(title)
	}
	row := " " + marker + " " + p.spread(title, size, width-4) + " "
	if selected {
		row = p.selected.Render(row)
	}
	if !second {
		return []string{row}
	}
	below := strings.TrimRight("   "+p.fit(item.Description, width-4), " ")
	if item.Unavailable != "" {
		below = p.warn.Render("   " + p.fit("not available: "+clean(item.Unavailable), width-4))
	}
	return []string{row, below}
}

// showInput draws a line editor: its text with the cursor, the end of it where it is longer than width.
func showInput(input textinput.Model, p *paint, width int) string {
	text := []rune(input.Value())
	at := min(input.Position(), len(text))
	under, after := " ", ""
	if at < len(text) {
		under, after = string(text[at]), string(text[at+1:])
	}
	if p.cursor.Render("x") == "x" { // no colours: a mark before the cell instead of a coloured one
		under = strings.TrimRight("_"+under, " ")
	} else {
		under = p.cursor.Render(under)
	}
	before := string(text[:at])
	if over := ansi.StringWidth(before) + 1 - width; over > 0 {
		before = ansi.TruncateLeft(before, over, "")
	}
	return p.fit(before+under+after, width)
}
