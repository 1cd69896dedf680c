// Package discover finds the seeder.
//
// In goes what the kernel command line, the image and DHCP say; out comes the base URL of a seeder that answers.
// [Candidates] puts what was said in order, [Find] tries one after the other.
package discover

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/config"
	"github.com/boottorrent/boottorrent/initramfs/network"
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

// Candidates lists where the seeder may be, in the order to try: where the kernel command line says, where the image
// says, where DHCP says. Each URL is there once.
func Candidates(cmd config.Cmdline, img sitepart.Config, lease network.Lease) []Candidate {
	var list []Candidate
	add := func(from, said string) {
		if said == "" {
			return
		}
		c := Candidate{From: from, URL: said}
		if base, err := seederurl.Base(said); err != nil {
			c.Err = err
		} else {
			c.URL = base
		}
		for _, known := range list {
			if known.URL == c.URL {
				return
			}
		}
		list = append(list, c)
	}
	add("bt.seeder= on the kernel command line", cmd.Seeder)
	add("built into this image", img.Seeder)
	if seederurl.HasScheme(lease.BootFile) {
		add("DHCP's boot file", lease.BootFile)
	}
	if lease.NextServer.IsValid() {
		from := "DHCP's next server"
		if !lease.Server.IsValid() {
			from = "the boot server in ip= on the kernel command line"
		}
		add(from, lease.NextServer.String())
	}
	return list
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
	return "", tried, notFound(tried)
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

func notFound(tried []Attempt) error { return &NotFoundError{Tried: tried} }

// Error lists what was tried, one a line, and says what to do.
func (e *NotFoundError) Error() string {
	if len(e.Tried) == 0 {
		return "nobody says where the seeder is: the kernel command line has no bt.seeder=, none was built into this image, " +
			"and DHCP names no boot server; add bt.seeder=http://ADDRESS:PORT to the kernel command line, or run the seeder " +
			"with dhcp: mode: proxy in this network"
	}
	lines := []string{"no seeder answers:"}
	for _, a := range e.Tried {
		lines = append(lines, "  "+a.String())
	}
	lines = append(lines, "check that 'seeder serve' runs there and that no firewall is between, or give another with "+
		"bt.seeder=http://ADDRESS:PORT on the kernel command line")
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
