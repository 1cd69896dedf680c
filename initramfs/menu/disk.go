package menu

import "github.com/boottorrent/boottorrent/initramfs/decision"

// NewDisk makes a chooser of what is on the machine's own disk. The default is started after so many seconds; negative: when a person says so.
// Its choice is to Start an item, by its name, or to Choose: back to the systems of the network.
func NewDisk(place Place, items []Item, deflt string, seconds int, notices []string) Chooser {
	c := NewChooser(ChooserConfig{Place: place, Items: items, Default: deflt, Timeout: seconds, Notices: notices})
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
