package page

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/seeder/web"
	page "github.com/boottorrent/boottorrent/templates/page"
)

const (
	// tick is how often changes are sent: what comes in between is gathered.
	tick = 500 * time.Millisecond
	// quietTime is after how long without a change something is sent all the same, by which a listener that has gone is found out.
	quietTime = 20 * time.Second
	// maxListeners is how many there are at a time, with some whose connection has been ended for another one's, and who have not gone yet.
	// Others are told to come again, and a page of theirs shows what it was made with.
	maxListeners = web.MaxListeners + 16
)

// event is what listeners get, as JSON. Of a row there is what has changed; in the first event of each listener, all of it.
type event struct {
	Full     bool                         `json:"full,omitempty"`
	Rows     map[string]map[string]string `json:"rows,omitempty"`
	Gone     []string                     `json:"gone,omitempty"`
	Text     map[string]string            `json:"text,omitempty"`
	Findings []page.Finding               `json:"findings,omitzero"`
	Gave     []string                     `json:"gave,omitempty"`
	// Say is for those who hear the page: what a person there would be told.
	Say string `json:"say,omitempty"`
}

// shown is what listeners of a group have been sent.
type shown struct {
	order    []string
	rows     map[string]page.Row
	text     map[string]string
	findings []page.Finding
	gave     []string
	number   map[string]int
}

func newShown(r *room, group string) *shown {
	v := r.view(group)
	s := &shown{rows: make(map[string]page.Row, len(v.rows)), findings: r.findings, gave: r.flows().words(), number: v.number}
	for _, row := range v.rows {
		s.rows[row.ID] = row
		s.order = append(s.order, row.ID)
	}
	title := ""
	if r.cat != nil {
		title = r.cat.Site
	}
	if t := v.title(); t != "" {
		title = t + " · " + title
	}
	s.text = map[string]string{
		"waiting": v.sums.Waiting, "downloading": v.sums.Downloading, "running": v.sums.Running, "failed": v.sums.Failed, "off": v.sums.Off,
		"time": v.sums.Time, "copies": v.sums.Copies, "slowest": v.sums.Slowest, "phase1": v.sums.Phase1, "title": title,
	}
	return s
}

// cells are the texts of a row that the script knows, by their names in the document.
func cells(r *page.Row) [12]string {
	return [12]string{r.Key, r.State, r.Name, r.Address(), r.Group, r.System, r.Step, r.Note, r.Percent, r.Speed, r.From}
}

var cellNames = [...]string{"key", "state", "name", "ip", "group", "system", "step", "note", "percent", "speed", "from"}

// since is what has changed since what was shown before; nil stands for nothing, and then it is all.
func (s *shown) since(before *shown) event {
	e := event{Full: before == nil}
	if before == nil {
		before = &shown{}
	}
	for _, id := range s.order {
		row := s.rows[id]
		now, old := cells(&row), [12]string{}
		if was, ok := before.rows[id]; ok {
			old = cells(&was)
		}
		if now == old {
			continue
		}
		changed := map[string]string{}
		for i, name := range cellNames {
			if now[i] != old[i] {
				changed[name] = now[i]
			}
		}
		if e.Rows == nil {
			e.Rows = map[string]map[string]string{}
		}
		e.Rows[id] = changed
	}
	for _, id := range before.order {
		if _, ok := s.rows[id]; !ok {
			e.Gone = append(e.Gone, id)
		}
	}
	for name, text := range s.text {
		if old, ok := before.text[name]; !ok || old != text {
			if e.Text == nil {
				e.Text = map[string]string{}
			}
			e.Text[name] = text
		}
	}
	if e.Full || !slices.Equal(s.findings, before.findings) {
		e.Findings = append([]page.Finding{}, s.findings...)
	}
	if !slices.Equal(s.gave, before.gave) {
		e.Gave = s.gave
	}
	if !e.Full {
		e.Say = s.news(before)
	}
	return e
}

// news is what somebody should hear: which machines have failed, and how many do what if that has changed.
func (s *shown) news(before *shown) string {
	for _, id := range s.order {
		row := s.rows[id]
		if was, known := before.rows[id]; row.State == page.Failed && (!known || was.State != page.Failed) {
			return fmt.Sprintf("%s %s. %s", row.Name, row.Step, row.Note)
		}
	}
	if s.number[page.Running] != before.number[page.Running] || s.number[page.Failed] != before.number[page.Failed] {
		return fmt.Sprintf("%d wait, %d download, %d run, %d failed", s.number[page.Waiting], s.number[page.Downloading], s.number[page.Running],
			s.number[page.Failed])
	}
	return ""
}

// empty says that there is nothing to send.
func (e *event) empty() bool {
	return !e.Full && len(e.Rows) == 0 && len(e.Gone) == 0 && len(e.Text) == 0 && e.Findings == nil && len(e.Gave) == 0
}

// encode is the event as it is sent: one line of data (JSON has no line ends), and an empty line.
func (e *event) encode() []byte {
	var b bytes.Buffer
	b.WriteString("data: ")
	if err := json.NewEncoder(&b).Encode(e); err != nil { // which ends the line
		return nil // of texts and numbers alone there is no error
	}
	b.WriteByte('\n')
	return b.Bytes()
}

// comment is what is sent when there is nothing to say.
var comment = []byte(":\n\n")

// channel is the listeners of one group, and what they have been shown. Each event is encoded once for all of them.
type channel struct {
	shown *shown
	// listeners have room for one event. Of who doesn't take it in time the connection is ended: its browser comes again, and gets all.
	listeners map[*listener]bool
}

type listener struct {
	events chan []byte
	// behind is closed for one that takes too long.
	behind context.CancelFunc
}

// hub sends changes to listeners, as long as there are any.
type hub struct {
	room func() *room

	mu       sync.Mutex
	channels map[string]*channel
	number   int
	// stop ends the loop that looks for changes; nil: none runs.
	stop context.CancelFunc
}

func newHub(room func() *room) *hub { return &hub{room: room, channels: map[string]*channel{}} }

// join adds a listener, which gets all of the present first; false: there are too many.
func (h *hub) join(group string, cut context.CancelFunc) (*listener, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.number >= maxListeners {
		return nil, false
	}
	c := h.channels[group]
	if c == nil {
		c = &channel{shown: newShown(h.room(), group), listeners: map[*listener]bool{}}
		h.channels[group] = c
	}
	l := &listener{events: make(chan []byte, 4), behind: cut}
	all := c.shown.since(nil)
	l.events <- all.encode()
	c.listeners[l] = true
	h.number++
	if h.stop == nil {
		var ctx context.Context
		ctx, h.stop = context.WithCancel(context.Background())
		go h.run(ctx)
	}
	return l, true
}

// leave takes a listener away, and ends the loop after the last one.
func (h *hub) leave(group string, l *listener) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.channels[group]
	delete(c.listeners, l)
	if len(c.listeners) == 0 {
		delete(h.channels, group)
	}
	if h.number--; h.number == 0 {
		h.stop()
		h.stop = nil
	}
}

// run sends what has changed, until ctx ends.
func (h *hub) run(ctx context.Context) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			h.send()
		}
	}
}

// send sends each group's changes to its listeners.
func (h *hub) send() {
	room := h.room()
	h.mu.Lock()
	defer h.mu.Unlock()
	for group, c := range h.channels {
		now := newShown(room, group)
		e := now.since(c.shown)
		c.shown = now
		if e.empty() {
			continue
		}
		text := e.encode()
		for l := range c.listeners {
			select {
			case l.events <- text:
			default:
				l.behind()
			}
		}
	}
}

// Events sends the changes of the front page, of one group if the request names one (?group=NAME), until who listens goes away. The
// listener that is one too many is answered with 503.
func (p *Page) Events() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cut := context.WithCancel(r.Context())
		defer cut()
		group := r.URL.Query().Get("group")
		l, ok := p.hub.join(group, cut)
		if !ok {
			w.Header().Set("Retry-After", "5")
			http.Error(w, "too many look at the page at this time; it shows what it was made with", http.StatusServiceUnavailable)
			return
		}
		defer p.hub.leave(group, l)
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Cache-Control", "no-store")
		flush := http.NewResponseController(w)
		quiet := time.NewTicker(quietTime)
		defer quiet.Stop()
		for {
			var text []byte
			select {
			case <-ctx.Done():
				return
			case text = <-l.events:
			case <-quiet.C:
				text = comment
			}
			if _, err := w.Write(text); err != nil || flush.Flush() != nil {
				return
			}
		}
	})
}
