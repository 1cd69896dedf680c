package catalog

import "net/netip"

// Rules say what holds for some machines only. Package rules evaluates them, on nodes and in the seeder.
type Rules struct {
	// Groups are in the order in which they are tried: the first whose Match holds for a machine is its group.
	Groups []Group `json:"groups,omitempty"`
	// Machines are sorted by MAC, which is unique among them.
	Machines []Machine `json:"machines,omitempty"`
	// Next are what somebody said that machines start; the first for a machine counts. Those for one machine come before those for groups.
	Next []Next `json:"next,omitempty"`
}

// GroupAll is the name of the group that has every machine that is in no other. It is the last one.
const GroupAll = "all"

// Group is some machines and what holds for them.
type Group struct {
	Name  string `json:"name"`
	Match Match  `json:"match,omitzero"`
	Settings
}

// Match is what a machine must be to belong to a group: each field that is not empty must hold, by any of its elements. The zero Match
// holds for no machine, but for that of the group GroupAll, which holds for all.
type Match struct {
	// MAC are addresses, globs ("52:54:00:*") or ranges ("52:54:00:00:00:01-52:54:00:00:00:20"), in lower case.
	MAC []string `json:"mac,omitempty"`
	// UUID, Serial, Vendor and Model are globs (path.Match) on what SMBIOS says, whatever the case of letters.
	UUID   []string `json:"uuid,omitempty"`
	Serial []string `json:"serial,omitempty"`
	Vendor []string `json:"vendor,omitempty"`
	Model  []string `json:"model,omitempty"`
	// Subnet has the address that the machine got.
	Subnet []netip.Prefix `json:"subnet,omitempty"`
	// Arch are GOARCH values.
	Arch []string `json:"arch,omitempty"`
	// Firmware is FirmwareBIOS or FirmwareUEFI.
	Firmware string `json:"firmware,omitempty"`
	// Memory is how much the machine has.
	Memory *MemoryBound `json:"memory,omitempty"`
	// SecureBoot is whether that is on.
	SecureBoot *bool `json:"secure_boot,omitempty"`
}

// The values of Match.Firmware.
const (
	FirmwareBIOS = "bios"
	FirmwareUEFI = "uefi"
)

// MemoryBound compares a machine's memory with a number of bytes.
type MemoryBound struct {
	// Op is one of ">=", ">", "<=", "<".
	Op    string `json:"op"`
	Bytes int64  `json:"bytes"`
}

// Holds reports whether so many bytes are within the bound.
func (b *MemoryBound) Holds(bytes int64) bool {
	switch b.Op {
	case ">=":
		return bytes >= b.Bytes
	case ">":
		return bytes > b.Bytes
	case "<=":
		return bytes <= b.Bytes
	case "<":
		return bytes < b.Bytes
	}
	return false
}

// Settings are what a group says; what it leaves open is the site's ([Catalog.Defaults], [Catalog.Limits]).
type Settings struct {
	// Default is the system the countdown leads to, or [StartLocal]; empty: the chooser waits.
	Default *string `json:"default,omitempty"`
	// Timeout is as in [Defaults].
	Timeout *int `json:"timeout,omitempty"`
	// Menu is MenuShown, MenuHidden or MenuLocked; empty is MenuShown.
	Menu string `json:"menu,omitempty"`
	// Password is a bcrypt hash, set with MenuLocked: of what a person must type to start something else than the default.
	Password string `json:"password,omitempty"`
	// Systems are the names of the systems that the machines offer; nil: all.
	Systems []string `json:"systems,omitempty"`
	// Cmdline is added to the kernel command line of systems; it may hold placeholders, see [Expand].
	Cmdline string   `json:"cmdline,omitempty"`
	Seed    *Seeding `json:"seed,omitempty"`
	Limits  *Limits  `json:"limits,omitempty"`
	// Hostname is the pattern of the machines' host names, see package rules; empty: what DHCP says.
	Hostname string `json:"hostname,omitempty"`
	// Writable and WritableLimit take the place of those of systems of MethodRoot.
	Writable      string `json:"writable,omitempty"`
	WritableLimit Share  `json:"writable_limit,omitzero"`
	// SSHKeys are lines in the form of authorized_keys (sshd(8)), beside those in the image.
	SSHKeys []string `json:"ssh_keys,omitempty"`
	// Next is what the machines start without showing the chooser: a system's name, [StartLocal] or [StartMenu]; empty: nothing is said.
	Next string `json:"next,omitempty"`
}

// The values of Settings.Menu.
const (
	// MenuShown shows the chooser.
	MenuShown = "shown"
	// MenuHidden shows a line of text and the countdown; a key shows the chooser.
	MenuHidden = "hidden"
	// MenuLocked shows the chooser, and asks for a password for everything but the default.
	MenuLocked = "locked"
)

// The words that stand where a system's name may stand.
const (
	// StartLocal is what is on the machine's own disk.
	StartLocal = "local"
	// StartMenu is the chooser.
	StartMenu = "menu"
)

// Machine is a single machine that the site knows by name.
type Machine struct {
	// MAC is aa:bb:cc:dd:ee:ff.
	MAC  string `json:"mac"`
	Name string `json:"name,omitempty"`
	// Group is the machine's group, whatever those match; empty: the first that does.
	Group string `json:"group,omitempty"`
	// Hostname is the machine's host name; empty: the group's pattern, or what DHCP says.
	Hostname string `json:"hostname,omitempty"`
}

// Next is what machines start, said by somebody while the site runs. It counts before what groups say, and the chooser isn't shown.
type Next struct {
	// ID tells it from others; a node reports that of what it follows.
	ID string `json:"id"`
	// MAC is of the machine, or Group the name of the group, that it is for. One of them is set. [GroupAll] is every machine here, whatever
	// its group.
	MAC   string `json:"mac,omitempty"`
	Group string `json:"group,omitempty"`
	// What is a system's name, [StartLocal] or [StartMenu].
	What string `json:"what"`
	// Once says that each machine follows it once: in Done are the MAC addresses of those that have.
	Once bool     `json:"once,omitempty"`
	Done []string `json:"done,omitempty"`
}
