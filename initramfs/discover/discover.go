// Package discover finds the seeder.
//
// In goes what a person, the kernel command line, the medium, the image and DHCP say; out comes the base URL of a seeder that
// answers. [Named] and [Told] put what was said in order; [Find] tries one after the other, [All] all at once.
package discover

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/config"
	"github.com/boottorrent/boottorrent/initramfs/network"
	"github.com/boottorrent/boottorrent/internal/mediumconf"
	"github.com/boottorrent/boottorrent/internal/seederurl"
	"github.com/boottorrent/boottorrent/internal/sitepart"
)

// probeTimeout is how long one candidate may take to answer: a few lost packets, not a person's patience.
const probeTimeout = 5 * time.Second

// Candidate is an address somebody named.
type Candidate struct {
	// From says who, for the screen.
	From string
	// URL is the base URL, without a slash at the end; or what was said, if Err says why that is none.
	URL string
	Err error
}

// Attempt is how a candidate fared; Err is nil for the one that answered.
type Attempt struct {
	From, URL string
	Err       error
}

// String is one line for the screen.
func (a Attempt) String() string {
	if a.Err != nil {
		return fmt.Sprintf("%s (%s): %v", a.URL, a.From, a.Err)
	}
	return fmt.Sprintf("%s (%s): answers", a.URL, a.From)
}

// Named lists where people say that the seeder is, in the order to try: what was typed at the console, which may be nothing, what
// the kernel command line says, boottorrent.conf on the medium, and the image. Each URL is there once.
func Named(typed string, cmd config.Cmdline, img sitepart.Config) []Candidate {
	var l list
	l.add("typed at the console", typed)
	l.add("bt.seeder= on the kernel command line", cmd.Seeder)
	l.add("seeder: in "+mediumconf.Name, cmd.ConfSeeder)
	l.add("built into this image", img.Seeder)
	return l
}

// Told lists where the network says that the seeder is: the seeders that answered DHCP, and what came with the lease. A next
// server is there only if nothing better is: it is where a DHCP server's boot files are, which may be anywhere.
func Told(answers []string, lease network.Lease) []Candidate {
	var l list
	for _, base := range answers {
		l.add("DHCP", base)
	}
	if seederurl.HasScheme(lease.BootFile) {
		l.add("DHCP's boot file", lease.BootFile)
	}
	if lease.NextServer.IsValid() && len(l) == 0 {
		from := "DHCP's next server"
		if !lease.Server.IsValid() {
			from = "the boot server in ip= on the kernel command line"
		}
		l.add(from, lease.NextServer.String())
	}
	return l
}

// list is one of candidates in the making.
type list []Candidate

func (l *list) add(from, said string) {
	if said == "" {
		return
	}
	c := Candidate{From: from, URL: said}
	if base, err := seederurl.Base(said); err != nil {
		c.Err = err
	} else {
		c.URL = base
	}
	if !slices.ContainsFunc(*l, func(known Candidate) bool { return known.URL == c.URL }) {
		*l = append(*l, c)
	}
}

// All asks all candidates at once and returns how each fared, in their order.
func All(ctx context.Context, candidates []Candidate, probe func(ctx context.Context, base string) error) []Attempt {
	tried := make([]Attempt, len(candidates))
	var asking sync.WaitGroup
	for i, c := range candidates {
		tried[i] = Attempt(c)
		if c.Err == nil {
			asking.Go(func() { tried[i].Err = probeOne(ctx, c.URL, probe) })
		}
	}
	asking.Wait()
	return tried
}

// Answering are those of several attempts that succeeded.
func Answering(tried []Attempt) []Attempt {
	return slices.DeleteFunc(slices.Clone(tried), func(a Attempt) bool { return a.Err != nil })
}

// Find returns the first candidate for which probe, which asks for the catalog, returns nil. tried are all that were
// asked, the answering one last. The error lists them and says what to do.
func Find(ctx context.Context, candidates []Candidate, probe func(ctx context.Context, base string) error) (base string, tried []Attempt, err error) {
	for _, c := range candidates {
		a := Attempt(c)
		if a.Err == nil {
			a.Err = probeOne(ctx, c.URL, probe)
		}
		tried = append(tried, a)
		if a.Err == nil {
			return c.URL, tried, nil
		}
	}
	return "", tried, &NotFoundError{Tried: tried}
}

func probeOne(ctx context.Context, base string, probe func(ctx context.Context, base string) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, probeTimeout, fmt.Errorf("no answer within %s", probeTimeout))
	defer cancel()
	err := probe(ctx, base)
	if err != nil && errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil {
		return fmt.Errorf("%w (%w)", context.Cause(ctx), err)
	}
	return err
}

// NotFoundError says that no candidate answered.
type NotFoundError struct {
	// Tried is empty when nobody named a seeder.
	Tried []Attempt
}

// Error lists what was tried, one a line, and says what to do.
func (e *NotFoundError) Error() string {
	if len(e.Tried) == 0 {
		return "nobody says where the seeder is: the kernel command line has no bt.seeder=, " + mediumconf.Name + " no seeder:, none " +
			"was built into this image, and DHCP names no boot server; type its address, or run the seeder with dhcp: mode: " +
			"proxy in this network"
	}
	lines := []string{"no seeder answers:"}
	for _, a := range e.Tried {
		lines = append(lines, "  "+a.String())
	}
	lines = append(lines, "check that 'seeder serve' runs there and that no firewall is between, or type another address")
	return strings.Join(lines, "\n")
}

// Unwrap gives access to what kept each candidate from answering.
func (e *NotFoundError) Unwrap() []error {
	var errs []error
	for _, a := range e.Tried {
		errs = append(errs, a.Err)
	}
	return errs
}
