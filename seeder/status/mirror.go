package status

import (
	"fmt"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/boottorrent/boottorrent/seeder/forward"
	"github.com/boottorrent/boottorrent/seeder/siblings"
)

// Mirror is how a mirror stands with the seeder that it follows.
type Mirror struct {
	// Following is the base URL of the one that answered last, or the first one of the configuration where none has yet.
	Following string `json:"following"`
	// InStep says that it answers, and that what it has signed last is served here; Since is when that came to be so.
	InStep bool      `json:"in_step"`
	Since  time.Time `json:"since,omitzero"`
	// Trouble is why it is not in step; empty: it is.
	Trouble string `json:"trouble,omitempty"`
	// Created is when the catalog that is served was made, by the clock of who made it; zero: none is served.
	Created time.Time `json:"created,omitzero"`
	// Listed is under which base URL the other seeder lists this one for machines; empty: it doesn't.
	Listed string `json:"listed,omitempty"`
	// Complete and Incomplete are how many peers the other seeder's tracker says that it knows, of those that have all of a system and of those
	// that don't.
	Complete   int `json:"complete"`
	Incomplete int `json:"incomplete"`
	// Forward is what is handed on of what nodes tell.
	Forward forward.State `json:"forward"`
}

// Words say it to a person.
func (m *Mirror) Words(now time.Time) string {
	of := "this is a mirror of " + m.Following
	switch {
	case m.Created.IsZero():
		return of + ", which has nothing to serve yet: " + m.Trouble
	case m.InStep:
		return fmt.Sprintf("%s, in step since %s; its catalog was made %s", of, said(m.Since, now), age(m.Created, now))
	}
	since := ", which it has not heard since it was started"
	if !m.Since.IsZero() {
		since = ", away since " + said(m.Since, now)
	}
	return fmt.Sprintf("%s%s (%s); the catalog that is served on was made %s", of, since, m.Trouble, age(m.Created, now))
}

// Kept says what waits for the other seeder; empty: nothing does.
func (m *Mirror) Kept() string {
	r, l := m.Forward.Reports, m.Forward.Logs
	if m.Forward.Away.IsZero() || r.Kept+l.Kept == 0 {
		return ""
	}
	return fmt.Sprintf("for it are kept: the last reports of %d machines, and %s of logs; they are sent when it is back", r.Kept, humanize.Bytes(uint64(l.KeptBytes)))
}

// MirrorWords says how a mirror that follows this seeder stands, whose catalog has the counter; nodes are how many report to it.
func MirrorWords(m siblings.Mirror, counter uint64, nodes int) string {
	text := "in step"
	switch {
	case m.Counter == 0:
		text = "has no catalog yet"
	case m.Counter < counter:
		text = "has an older catalog"
	}
	if m.Done < m.Size {
		text += fmt.Sprintf(", has %d %% of the files that it fetches", m.Done*100/m.Size)
	}
	if nodes > 0 {
		text += fmt.Sprintf(", %d machines behind it", nodes)
	}
	if n := m.Complete + m.Incomplete; n > 0 {
		text += fmt.Sprintf(", %d peers at its tracker", n)
	}
	if m.Trouble != "" {
		text += "; it is not listed for machines: " + m.Trouble
	}
	return text
}

// said is a time, with the day where that is not today's.
func said(t, now time.Time) string {
	t, now = t.Local(), now.Local()
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format("15:04:05")
	}
	return t.Format(time.DateTime)
}

// age says how long ago something was.
func age(t, now time.Time) string {
	return fmt.Sprintf("at %s (%s)", said(t, now), humanize.RelTime(t, now, "ago", "from now"))
}
