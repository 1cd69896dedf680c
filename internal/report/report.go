// Package report is what a node tells the seeder about itself: the body of POST /api/report and, one element a node,
// of GET /api/nodes. Nothing in it is trusted; the seeder only shows and logs it.
package report

import (
	"slices"
	"time"
)

// Step is one of the steps of a boot, in the order of their declaration.
type Step string

// The steps of a boot.
const (
	Hardware Step = "hardware"
	Network  Step = "network"
	Discover Step = "discover"
	Catalog  Step = "catalog"
	Choose   Step = "choose"
	Fetch    Step = "fetch"
	Seed     Step = "seed"
	Launch   Step = "launch"
	// Give is what a node does whose system of the method root runs: it gives that away.
	Give Step = "give"
)

// Steps lists all of them in order.
var Steps = []Step{Hardware, Network, Discover, Catalog, Choose, Fetch, Seed, Launch, Give}

// State is how a step stands.
type State string

// The states of a step. A launch step that is Done is a node that has left phase 1.
const (
	Running State = "running"
	Done    State = "done"
	Failed  State = "failed"
)

// Report is a node's whole state at one moment; a later one replaces an earlier one of the same MAC.
type Report struct {
	// Boot is a random identifier of this boot: two reports with different ones are two boots.
	Boot string `json:"boot"`
	// MAC identifies the node: aa:bb:cc:dd:ee:ff, of the interface in use.
	MAC  string `json:"mac"`
	IP   string `json:"ip"`
	UUID string `json:"uuid,omitempty"`
	// Name is the host name DHCP gave, if any.
	Name string `json:"name,omitempty"`
	// MemoryMiB is the machine's memory.
	MemoryMiB int64  `json:"memory_mib,omitempty"`
	Arch      string `json:"arch,omitempty"`
	// Serial, Vendor and Model are SMBIOS's; Firmware is "bios" or "uefi", empty if it is neither. Rules go by them.
	Serial   string `json:"serial,omitempty"`
	Vendor   string `json:"vendor,omitempty"`
	Model    string `json:"model,omitempty"`
	Firmware string `json:"firmware,omitempty"`
	// Group is the group whose rules the node follows, Machine what the site calls it; Next is the ID of the catalog.Next that it follows.
	Group   string `json:"group,omitempty"`
	Machine string `json:"machine,omitempty"`
	Next    string `json:"next,omitempty"`
	// SecureBoot says that the machine's firmware verifies what it starts; its kernel is locked down then.
	SecureBoot bool `json:"secure_boot,omitempty"`
	// LinkMbps is the speed of the network card's link in Mbit/s; 0: not known, as of virtual cards.
	LinkMbps int64 `json:"link_mbps,omitempty"`
	// CPU is how busy the processors were since the report before, in percent of all of them.
	CPU int64 `json:"cpu,omitempty"`

	Step  Step  `json:"step"`
	State State `json:"state"`
	// Error is the message on the node's screen when State is Failed.
	Error    string `json:"error,omitempty"`
	System   string `json:"system,omitempty"`
	InfoHash string `json:"infohash,omitempty"`

	Transfer

	// Exit is how the last system that ran beside phase 1 ended; nil before.
	Exit *Exit `json:"exit,omitempty"`
	// Order is the order that the node got last, and what became of it; nil: it got none in this boot. Its counter goes on under another
	// kernel of the same boot, as reports do.
	Order *Order `json:"order,omitempty"`
	// Phase1 is set as long as the node gives phase 1 away to machines that start; nil: it doesn't.
	Phase1 *Phase1 `json:"phase1,omitempty"`
	// HostKey is the fingerprint of the node's SSH server ("SHA256:…", as ssh-keygen -l shows it); empty if it has none.
	HostKey string `json:"host_key,omitempty"`

	// Durations are the seconds each finished step took, waits for a person included.
	Durations map[Step]float64 `json:"durations"`
	// Uptime is the seconds since the node's kernel started.
	Uptime float64 `json:"uptime"`
}

// Order is what became of an order (internal/order).
type Order struct {
	// Counter is the order's.
	Counter uint64     `json:"counter"`
	State   OrderState `json:"state"`
	// Text says in words what the node does, or why it doesn't.
	Text string `json:"text"`
}

// OrderState is what a node does with an order.
type OrderState string

// The states of an order.
const (
	OrderTaken   OrderState = "taken"
	OrderRefused OrderState = "refused"
)

// Exit is how a system of the methods bin and qemu ended.
type Exit struct {
	System string `json:"system"`
	// At is the Uptime when it ended, by which two ends that are otherwise the same are two.
	At float64 `json:"at"`
	// Code is the exit code, 128 and the signal's number if it was killed.
	Code int `json:"code"`
	// Reason says why it ended where the code alone doesn't: "killed by a signal: segmentation fault".
	Reason string `json:"reason,omitempty"`
	// Lines are the last of its output, without control characters: at most [ExitLines] of at most [ExitWidth] bytes.
	Lines []string `json:"lines,omitempty"`
}

// Limits of Exit.Lines.
const (
	ExitLines = 20
	ExitWidth = 200
)

// Log is the body of POST /api/log: lines of the log of one boot, each without its line end.
type Log struct {
	// Boot and MAC are those of the node's reports.
	Boot string `json:"boot"`
	MAC  string `json:"mac"`
	// First is the number of the first line within this boot, from 0: a line that comes twice is known by it, and lines that
	// were lost are missed.
	First int64    `json:"first"`
	Lines []string `json:"lines"`
}

// Node is a report with what the seeder adds to it.
type Node struct {
	Report
	// Via is the base URL of the mirror that the node reports to, which has handed it on; empty: it reports to this seeder.
	Via string `json:"via,omitempty"`
	// Since is when the node entered its step; Seen when it last reported. Both by the seeder's clock.
	Since time.Time `json:"since"`
	Seen  time.Time `json:"seen"`
	// FetchBegan is when the node began to download in this boot, FetchEnded when it went on to another step; zero: it has not. By the
	// seeder's clock as well.
	FetchBegan time.Time `json:"fetch_began,omitzero"`
	FetchEnded time.Time `json:"fetch_ended,omitzero"`
	// Previous is the last report of the node's boot before, if there is one.
	Previous *Report `json:"previous,omitempty"`
}

// Silence is after how long without a report a node whose system runs counts as switched off. Such nodes report twice a minute, and
// after failures every two minutes.
const Silence = 3 * time.Minute

// SwitchedOff reports whether a node whose system ran until it reported last has been switched off, as far as can be told: systems are
// shut down without a word. Of a node that is still booting silence says something else.
func (n *Node) SwitchedOff(now time.Time) bool { return n.Step == Give && now.Sub(n.Seen) > Silence }

// Index returns a step's place in Steps, or -1.
func Index(s Step) int { return slices.Index(Steps, s) }
