package menu

import "github.com/boottorrent/boottorrent/initramfs/decision"

// NewDisk makes a chooser of what is on the machine's own disk. Its choice is to Start an item, by its name, or to Choose: back to the systems
// of the network.
func NewDisk(config ChooserConfig) Chooser {
	c := NewChooser(config)
	c.heading, c.back = "On this machine's disk", true
	c.keys.Clear.SetHelp("esc", "back to the systems of the network")
	return c
}

// leave goes back to the screen before, if there is one.
func (c *Chooser) leave() bool {
	if c.back {
		c.answer = decision.Decision{Action: decision.Choose, ByPerson: true}
	}
	return c.back
}
