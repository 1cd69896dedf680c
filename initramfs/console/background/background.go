// Package background keeps every program it is linked into from asking the terminal for its background colour.
//
// Bubble Tea v1 does that when it is initialised (tea_init.go): it writes OSC 11 and a cursor report request to
// standard output and waits up to 5 s for the answer. In a busybox of many commands that is every command, and on a
// serial line nobody may answer. Telling Lip Gloss the colour beforehand avoids the question.
//
// It must be initialised before Bubble Tea. Go initialises packages, as far as imports allow, in the order of their
// import paths (language specification, "Program initialization"), and this one comes before
// github.com/charmbracelet/bubbletea as long as it imports no package but lipgloss. A test in package console
// watches a terminal to see that it stays silent.
package background

import "github.com/charmbracelet/lipgloss"

func init() { lipgloss.SetHasDarkBackground(true) }
