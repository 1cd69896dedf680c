// Package selftest finds out what will keep machines from booting before a machine is switched on. In goes a site and where it
// is served, out come findings: what is wrong, and what to do. It is the same for `seeder check`, the start of `seeder serve`, and the
// seeder's page.
//
// It looks at what is not in the site's files alone, which package site judges: the image, this machine's interfaces, ports, programs
// and disk, and who else answers in the network. It changes nothing.
package selftest

import (
	"context"
	"time"

	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/dhcp"
	"github.com/boottorrent/boottorrent/seeder/loaders"
)

// Severity is how bad a finding is.
type Severity string

// The severities.
const (
	// Problem: some machine or all can't boot.
	Problem Severity = "problem"
	// Warning: something is probably not as it is meant.
	Warning Severity = "warning"
	// Note: something could not be tested.
	Note Severity = "note"
)

// Finding is one thing that the self-test found.
type Finding struct {
	Severity Severity `json:"severity"`
	// About is the part: key, image, network, dhcp, ports, loaders, secure boot, qemu, disk or clock.
	About string `json:"about"`
	// What is wrong, with what comes of it, and what to Do.
	What string `json:"what"`
	Do   string `json:"do"`
}

// String is "problem: what is wrong; what to do".
func (f Finding) String() string { return string(f.Severity) + ": " + f.What + "; " + f.Do }

// Input is what is tested.
type Input struct {
	Site *site.Site
	// Interfaces are where the site is served, All those of this machine. NoInterface says which named one is not there.
	Interfaces, All []dhcp.Interface
	NoInterface     error
	// Loaders are the boot loaders of the site.
	Loaders *loaders.Loaders
	// Release and Revision are those of this seeder (package version).
	Release, Revision string
	// Serving says that this process serves the site already, so that the ports are its own.
	Serving bool
	// Running says that another process on this machine serves the site, so that it may have the ports, and be a DHCP server here.
	Running bool
	// Lost says why services could not be had that the site is served without.
	Lost []error
	// Now is this machine's clock; nil: time.Now.
	Now func() time.Time
	// Wait is how long other DHCP servers are waited for; 0: they are not looked for.
	Wait time.Duration
}

// Run tests everything. It takes as long as the slowest part, of which the other DHCP servers are one.
func Run(ctx context.Context, in Input) []Finding {
	servers := make(chan []Finding, 1)
	go func() { servers <- in.dhcpServers(ctx) }()
	var found []Finding
	if in.Site.Mirrored { // what it serves is made and signed elsewhere
		for _, part := range []func() []Finding{in.network, in.dhcp, in.ports, in.disk, in.clock} {
			found = append(found, part()...)
		}
		return append(found, <-servers...)
	}
	for _, part := range []func() []Finding{in.key, in.image, in.loaders, in.secureBoot, in.lockdown, func() []Finding { return in.qemu(ctx) }, in.network, in.dhcp, in.ports, in.disk, in.clock} {
		found = append(found, part()...)
	}
	return append(found, <-servers...)
}

// Problems is how many findings keep machines from booting.
func Problems(found []Finding) (n int) {
	for _, f := range found {
		if f.Severity == Problem {
			n++
		}
	}
	return n
}

// list is findings of one part in the making.
type list struct {
	about string
	found []Finding
}

func (l *list) problem(what, do string) {
	l.found = append(l.found, Finding{Problem, l.about, what, do})
}

func (l *list) warning(what, do string) {
	l.found = append(l.found, Finding{Warning, l.about, what, do})
}

func (l *list) note(what, do string) {
	l.found = append(l.found, Finding{Note, l.about, what, do})
}
