package page

import (
	"bytes"
	"fmt"
	"html"
	"slices"

	"github.com/boottorrent/boottorrent/internal/text"
)

// The picture's sizes, in units of its own.
const (
	barWidth = 10
	endGap   = 12
	// bandsHeight is what all bands take together; an end has at least the height of its label.
	bandsHeight = 300
	minHeight   = 20
)

// end is a giver on the left of the picture, or a taker on its right.
type end struct {
	name  string
	bytes int64
	// top and height are where it stands, used how much of that bands have taken.
	top, height, used float64
}

// picture draws who gave to whom as SVG: bands from the left to the right, as wide as what they stand for. Names are in it, so nobody
// has to tell colours apart.
func (f *flows) picture(narrow bool) []byte {
	width, labels := 800, 210
	if narrow { // a phone
		width, labels = 380, 105
	}
	left, right := f.column(func(o flow) string { return o.from }), f.column(func(o flow) string { return o.to })
	var total int64
	for _, o := range f.all {
		total += o.bytes
	}
	height := max(place(left, total), place(right, total))
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %.0f" width="%d" height="%.0f" role="img"><title>Who gave to whom</title>`,
		width, height, width, height)
	b.WriteString(`<style>text{font:13px system-ui,sans-serif;fill:#1b1f24}.d{fill:#57606a}rect{fill:#57606a}path{fill:#0969da;fill-opacity:.32;stroke:#0969da;stroke-opacity:.6}` +
		`.s{fill:#9a6700;stroke:#9a6700}.r{fill:#9a6700}@media(prefers-color-scheme:dark){text{fill:#e6edf3}.d{fill:#9aa5b1}path{fill:#4493f8;stroke:#4493f8}.s{fill:#d29922;stroke:#d29922}}</style>`)
	for _, o := range f.all {
		band(&b, float64(labels+barWidth), float64(width-labels-barWidth), find(left, o.from), find(right, o.to), float64(o.bytes)/float64(max(total, 1))*bandsHeight, o)
	}
	for _, e := range left {
		label(&b, e, narrow, labels-6, labels, "end")
	}
	for _, e := range right {
		label(&b, e, narrow, width-labels+6, width-labels-barWidth, "start")
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// column are the ends of one side, the seeder first, then by what they gave or got.
func (f *flows) column(of func(flow) string) (ends []*end) {
	for _, o := range f.all {
		e := find(ends, of(o))
		if e == nil {
			e = &end{name: of(o)}
			ends = append(ends, e)
		}
		e.bytes += o.bytes
	}
	slices.SortStableFunc(ends, func(a, b *end) int {
		if (a.name == seederEnd) != (b.name == seederEnd) {
			if a.name == seederEnd {
				return -1
			}
			return 1
		}
		return int(min(max(b.bytes-a.bytes, -1), 1))
	})
	return ends
}

func find(ends []*end, name string) *end {
	if i := slices.IndexFunc(ends, func(e *end) bool { return e.name == name }); i >= 0 {
		return ends[i]
	}
	return nil
}

// place puts the ends below each other, and returns how high all of them are.
func place(ends []*end, total int64) float64 {
	top := float64(endGap)
	for _, e := range ends {
		e.top, e.height = top, max(minHeight, float64(e.bytes)/float64(max(total, 1))*bandsHeight)
		top += e.height + endGap
	}
	return top
}

// band draws what one gave to another.
func band(b *bytes.Buffer, x1, x2 float64, from, to *end, width float64, o flow) {
	middle := (x1 + x2) / 2
	y1, y2 := from.top+from.used, to.top+to.used
	from.used += width
	to.used += width
	class := ""
	if o.from == seederEnd {
		class = ` class="s"`
	}
	fmt.Fprintf(b, `<path%s d="M%.0f %.1fC%.0f %.1f %.0f %.1f %.0f %.1fV%.1fC%.0f %.1f %.0f %.1f %.0f %.1fZ"><title>%s gave %s to %s</title></path>`, class,
		x1, y1, middle, y1, middle, y2, x2, y2, y2+width, middle, y2+width, middle, y1+width, x1, y1+width,
		html.EscapeString(o.from), text.Size(o.bytes), html.EscapeString(o.to))
}

// label draws the bar and the name of an end.
func label(b *bytes.Buffer, e *end, narrow bool, x, bar int, anchor string) {
	class := ""
	if e.name == seederEnd {
		class = ` class="r"`
	}
	fmt.Fprintf(b, `<rect%s x="%d" y="%.1f" width="%d" height="%.1f"/>`, class, bar, e.top, barWidth, e.height)
	name, most, size := []rune(e.name), 20, " "+text.Size(e.bytes)
	if narrow {
		most, size = 14, ""
	}
	if len(name) > most {
		name = append(name[:most-1], '…')
	}
	fmt.Fprintf(b, `<text x="%d" y="%.1f" text-anchor="%s">%s<tspan class="d">%s</tspan></text>`, x, e.top+e.height/2+4.5, anchor,
		html.EscapeString(string(name)), size)
}
