package catalog

import (
	"net/netip"
	"reflect"
	"slices"
)

// Rules say what holds for some machines only. Package rules evaluates them, on nodes and in the seeder.
type Rules struct {
	// Groups are in the order in which they are tried: the first whose Match holds for a machine is its group. Names are unique, also
	// among those of machines, and whatever the case of letters; see [CheckRuleName].
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
	// MAC are addresses, globs ("52:54:00:*") or ranges ("52:54:00:00:00:01-52:54:00:00:00:20"), in lower case; see [MatchMAC].
	MAC []string `json:"mac,omitempty"`
	// UUID, Serial, Vendor and Model are globs (path.Match) on what SMBIOS says, whatever the case of letters.
	UUID   []string `json:"uuid,omitempty"`
	Serial []string `json:"serial,omitempty"`
	Vendor []string `json:"vendor,omitempty"`
	Model  []string `json:"model,omitempty"`
	// Subnet are IPv4 subnets, of which one has the address that the machine got.
	Subnet []netip.Prefix `json:"subnet,omitempty"`
	// Arch are GOARCH values.
	Arch []string `json:"arch,omitempty"`
	// Firmware is FirmwareBIOS or FirmwareUEFI.
	Firmware string `json:"firmware,omitempty"`
	// Memory is how much the machine has installed: what it is sold with, not what Linux leaves of it.
	Memory *MemoryBound `json:"memory,omitempty"`
	// SecureBoot is whether that is on.
	SecureBoot *bool `json:"secure_boot,omitempty"`
}

// IsZero reports whether nothing is asked for.
func (m Match) IsZero() bool { return reflect.ValueOf(m).IsZero() }

// The values of Match.Firmware.
const (
	FirmwareBIOS = "bios"
	FirmwareUEFI = "uefi"
)

// MemoryOps are the values of MemoryBound.Op.
var MemoryOps = []string{">=", ">", "<=", "<"}

// MemoryBound compares a machine's memory with a number of bytes.
type MemoryBound struct {
	// Op is one of MemoryOps.
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
	// Systems are what the machines offer: names of systems, and [StartLocal]; nil: everything. What somebody says with `seeder next`
	// starts whatever is listed here.
	Systems []string `json:"systems,omitzero"`
	// Cmdline is added to the kernel command line of systems; it may hold placeholders, see [Expand].
	Cmdline string   `json:"cmdline,omitempty"`
	Seed    *Seeding `json:"seed,omitempty"`
	// LeaveAtStart is as in [Defaults].
	LeaveAtStart *bool   `json:"leave_at_start,omitempty"`
	Limits       *Limits `json:"limits,omitempty"`
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

// Offers reports whether the machines offer a system of that name, or [StartLocal].
func (s *Settings) Offers(name string) bool {
	return s.Systems == nil || slices.Contains(s.Systems, name)
}

// Machine is a single machine that the site knows by name. In JSON it is one text, see [Machine.MarshalText].
type Machine struct {
	// MAC is aa:bb:cc:dd:ee:ff.
	MAC  string
	Name string
	// Group is the machine's group, whatever those match; empty: the first that does.
	Group string
	// Hostname is the machine's host name; empty: the group's pattern, or the name if that can be one, or what DHCP says.
	Hostname string
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
	// Once says that each machine follows it once: in Done are the MAC addresses of those that have, sorted, as they may be thousands.
	Once bool `json:"once,omitempty"`
	Done MACs `json:"done,omitzero"`
}
