package menu

// NewSeeders makes a chooser of seeders: an item's name is the seeder's URL. Left alone it takes the first after so many
// seconds. Its choice is to Start the chosen one, and never another action.
func NewSeeders(place Place, seeders []Item, seconds int) Chooser {
	config := ChooserConfig{Place: place, Items: seeders, Timeout: seconds}
	if len(seeders) > 0 {
		config.Default = seeders[0].Name
	}
	c := NewChooser(config)
	c.heading, c.doing = "Several seeders answer: choose one", "Taking"
	c.keys.Start.SetHelp("enter", "take it")
	c.keys.Describe.SetEnabled(false)
	c.keys.Shell.SetEnabled(false)
	c.keys.Reboot.SetEnabled(false)
	c.keys.PowerOff.SetEnabled(false)
	return c
}
