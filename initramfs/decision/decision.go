// Package decision has what a person, or a countdown, decides at a node's screens: one type from the key to the order of the
// steps.
package decision

// Action is what to do. The zero Action is none: the screen was ended from outside.
type Action int

// The actions.
const (
	None Action = iota
	// Start starts a system, or goes on with what follows.
	Start
	// Retry does what failed again.
	Retry
	// Choose goes (back) to the chooser, which then waits for a person.
	Choose
	// Shell opens a shell and comes back.
	Shell
	// Reboot and PowerOff end the boot.
	Reboot
	PowerOff
	// Type asks for the seeder's address.
	Type
	// Done is work that has ended by itself, Skip a person who doesn't want to wait for its end.
	Done
	Skip
	// Back goes back to a system that runs beside this program, Quit ends it, SeedOn ends it and goes on giving it to others.
	Back
	Quit
	SeedOn
	// Switch ends the boot, as everything is prepared for a system of the method root: init becomes that system's first program.
	Switch
)

var names = [...]string{"none", "start", "retry", "choose", "shell", "reboot", "power off", "type", "done", "skip", "back", "quit", "seed on", "switch"}

// String names the action for logs.
func (a Action) String() string {
	if a < 0 || int(a) >= len(names) {
		return "unknown"
	}
	return names[a]
}

// Decision is an action with what belongs to it.
type Decision struct {
	Action Action
	// System is the name of what to Start.
	System string
	// ByPerson is false if a countdown decided.
	ByPerson bool
}
