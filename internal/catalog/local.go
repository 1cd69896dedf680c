package catalog

// MethodLocal starts what is on the machine's own disk. No folder of a site has it: each node makes a system of it, see [Catalog.WithLocal].
const MethodLocal = "local"

// LocalTitle is what the chooser calls that system.
const LocalTitle = "This machine's disk"

// WithLocal returns the catalog with one system more, the last: [StartLocal], what is on the disk of a machine of an architecture (a GOARCH
// value). Where the site doesn't offer it, it is hidden: rules may start it nevertheless. It has no files of its own.
func (c *Catalog) WithLocal(arch string) *Catalog {
	with := *c
	with.Systems = append(c.Systems[:len(c.Systems):len(c.Systems)], System{
		Name: StartLocal, Title: LocalTitle, Hidden: !c.Local, Arch: arch, Launch: Launch{Method: MethodLocal},
		Description: "What is installed on this machine's own disk: Linux is started at once, anything else by the machine's firmware. Nothing on the disk is changed.",
	})
	return &with
}

// LocalRequest asks the seeder to have a machine's firmware start the machine's own disk at its next start, once.
type LocalRequest struct {
	// MAC is aa:bb:cc:dd:ee:ff, of the card that the machine boots from.
	MAC string `json:"mac"`
	// Sent says that the machine was sent to its disk, and Next is the ID of the [Next] that it follows by that; empty: none. Only a mirror says
	// so, to the seeder that it follows.
	Sent bool   `json:"sent,omitempty"`
	Next string `json:"next,omitempty"`
}

// Reserved reports whether a name means something else where a system's name may stand, so that no system can have it.
func Reserved(name string) bool {
	return name == StartLocal || name == StartMenu || name == GroupAll
}
