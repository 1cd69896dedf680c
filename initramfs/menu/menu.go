// Package menu holds the screens of a node: the chooser of systems ([Chooser]), the progress of a download
// ([Transfer]), what to do about a failure ([Problem]), which seeder to take ([NewSeeders]) and where it is ([Address]),
// about a system that runs beside this program ([Guest]) and after it ([Ended]).
//
// Each screen is a tea.Model (github.com/charmbracelet/bubbletea) that is a plain value: in go messages (keys,
// tea.WindowSizeMsg, [Look], [Tick], [LogLine] and, for Transfer, [TransferMsg]), out come a view that fits the
// terminal and, once the model has returned tea.Quit, an answer: a decision.Decision, or what was typed.
//
// A screen runs on several consoles at once (package console), one copy each, and the copies must stay alike. So a
// screen keeps these rules: it starts no timer and no other command than tea.Quit; its only clock is Tick; nothing
// but its view depends on the terminal's size or look; and after its answer is given it ignores every message.
package menu

import (
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/boottorrent/boottorrent/initramfs/decision"
)

// Tick tells a screen the time. Countdowns advance with it and with nothing else; whoever runs a screen sends one
// about every 250 ms.
type Tick struct {
	Now time.Time
	// Note is a line about what the node does besides; empty: nothing.
	Note string
}

// Look tells a screen what its terminal can show. The zero Look is the one that works everywhere: no colour and
// nothing but ASCII of our own (titles are shown as the operator wrote them).
type Look struct {
	// Color allows the 16 ANSI colours.
	Color bool
	// Graphics allows the line and block characters of code page 437, which the Linux console's built-in font has.
	Graphics bool
}

// LogLine is a line that was logged; the key "l" shows the last ones.
type LogLine string

// Machine is what the screen says of this machine. Empty fields are left out.
type Machine struct {
	MAC, UUID string
	// Name is what the site calls it, Group the group it is in and why, Rules which rules say what.
	Name, Group, Rules string
	// IP is the address in use, with or without its prefix length.
	IP string
	// MemoryMiB is how much memory it has, MemoryFrom where the number comes from.
	MemoryMiB  int64
	MemoryFrom string
	Arch       string
	// Product is the firmware's name of the machine, Serial its serial number.
	Product, Serial   string
	Interface, Driver string
	// Seeder is the seeder's base URL.
	Seeder string
	// SecureBoot says whether the firmware verifies what it starts, and what follows from that.
	SecureBoot string
}

// Place is where we are: what the head of every screen shows.
type Place struct {
	// Site is the site's name.
	Site    string
	Machine Machine
}

// answering is what every screen is: a model with an answer (console.Ask).
type answering interface {
	tea.Model
	Answer() decision.Decision
}

var (
	_ answering = Chooser{}
	_ answering = Transfer{}
	_ answering = Problem{}
	_ answering = Guest{}
	_ answering = Ended{}
	_ tea.Model = Address{}
)
