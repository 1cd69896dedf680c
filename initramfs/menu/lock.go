package menu

import (
	"fmt"
	"time"

	"github.com/charmbracelet/bubbles/key"
	"github.com/charmbracelet/bubbles/textinput"
	tea "github.com/charmbracelet/bubbletea"

	"github.com/boottorrent/boottorrent/initramfs/decision"
)

// Lock keeps some of a screen's keys for those who know a password. The zero Lock keeps none.
type Lock struct {
	// Check begins to find out whether a password is right; the screen is told by a [PasswordMsg] with the same number. Each copy of a
	// screen calls it.
	Check func(try int, password string)
	// Until is before when no password is looked at.
	Until time.Time
}

// PasswordMsg tells whether the password of a try was right.
type PasswordMsg struct {
	Try   int
	Right bool
	// Until is as in Lock.
	Until time.Time
}

// promptTime is how long the question for a password waits for the next key.
const promptTime = time.Minute

// prompt asks for the password before something is decided.
type prompt struct {
	asking bool
	input  textinput.Model
	// then is what was decided, if the password is right.
	then decision.Decision
	// try counts the passwords typed; checking says that the last one is being looked at, wrong that it was.
	try             int
	checking, wrong bool
	// typed is when the last key came.
	typed time.Time
}

var promptKeys = struct{ Enter, Back key.Binding }{bind("enter", "go on", "enter", "ctrl+j"), bind("esc", "back", "esc", "ctrl+c")}

// locked sets what keeps the screen's keys.
func (b base) locked(l Lock) base {
	b.lock = l
	return b
}

// guarded is a person's answer, if need be with the password first.
func (b base) guarded(d decision.Decision) base {
	d.ByPerson = true
	if b.lock.Check == nil {
		b.answer = d
		return b
	}
	b.prompt = prompt{asking: true, input: newInput(), then: d, try: b.prompt.try, typed: b.now}
	b.prompt.input.EchoMode, b.prompt.input.EchoCharacter = textinput.EchoPassword, '*'
	return b
}

// pressPrompt handles a key while the password is asked for.
func (b base) pressPrompt(msg tea.KeyMsg) base {
	b.prompt.typed = b.now
	switch {
	case key.Matches(msg, promptKeys.Back): // what is being looked at is forgotten
		b.prompt = prompt{try: b.prompt.try}
	case b.prompt.checking || b.pausing():
	case key.Matches(msg, promptKeys.Enter):
		password := b.prompt.input.Value()
		b.prompt.input.SetValue("")
		b.prompt.try++
		b.prompt.checking, b.prompt.wrong = true, false
		b.lock.Check(b.prompt.try, password)
	default:
		b.prompt.wrong = false
		b.prompt.input, _ = b.prompt.input.Update(msg)
	}
	return b
}

// told takes in whether the password was right.
func (b base) told(msg PasswordMsg) base {
	b.lock.Until = msg.Until
	if !b.prompt.checking || msg.Try != b.prompt.try {
		return b // the person went back meanwhile
	}
	b.prompt.checking, b.prompt.wrong = false, !msg.Right
	if msg.Right {
		b.answer = b.prompt.then
	}
	return b
}

// waited ends the question when nobody types.
func (b base) waited() base {
	if b.prompt.asking && !b.prompt.checking && b.now.Sub(b.prompt.typed) >= promptTime {
		b.prompt = prompt{try: b.prompt.try}
	}
	return b
}

// pausing is whether no password is looked at, after wrong ones.
func (b base) pausing() bool { return b.now.Before(b.lock.Until) }

// promptLines are the question, in place of a page's status.
func (b base) promptLines(width int) []string {
	p := b.paint
	switch {
	case b.pausing():
		return []string{p.fail.Render(p.fit(fmt.Sprintf("Too many wrong passwords: wait %s.", Clock(b.lock.Until.Sub(b.now).Round(time.Second))), width))}
	case b.prompt.checking:
		return []string{p.fit("Checking the password ...", width)}
	}
	question := p.key.Render("Password: ") + showInput(b.prompt.masked(), p, width-10)
	if b.prompt.wrong {
		return []string{p.fail.Render("That is not the password."), question}
	}
	return []string{"This menu is locked.", question}
}

// masked is the line editor with stars in place of what was typed.
func (p prompt) masked() textinput.Model {
	shown := newInput()
	stars := make([]rune, len([]rune(p.input.Value())))
	for i := range stars {
		stars[i] = p.input.EchoCharacter
	}
	shown.SetValue(string(stars))
	shown.SetCursor(p.input.Position())
	return shown
}
