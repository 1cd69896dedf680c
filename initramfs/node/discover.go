package node

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/discover"
	"github.com/boottorrent/boottorrent/initramfs/menu"
	"github.com/boottorrent/boottorrent/initramfs/seeders"
	"github.com/boottorrent/boottorrent/internal/catalog"
	wire "github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/seederurl"
)

const (
	// seederTime is how long the choice between several seeders waits for a person, in seconds.
	seederTime = 10
	// sameDeadline is how long the seeder that the node had under another kernel may take to answer.
	sameDeadline = 4 * time.Second
	// nameDeadline is how long a seeder's name may take to be resolved. It was resolved just before, to ask it.
	nameDeadline = 10 * time.Second
)

// Discover finds the seeder.
func (n *Node) Discover(ctx context.Context) error {
	base, err := n.findSeeder(ctx)
	if err != nil && n.handed != nil && ctx.Err() == nil {
		n.Log("%v\nGoing on with what this node has.", err)
		base, err = n.handed.Seeder, nil
	}
	if err != nil {
		n.link.seederFound(false)
		return err // which lists what was tried
	}
	n.link.seederFound(true)
	limited, cancel := context.WithTimeout(ctx, nameDeadline)
	defer cancel()
	if base, err = seeders.Numeric(limited, base); err != nil {
		return err
	}
	n.session.Use(base)
	if !n.session.reporting && !n.ByHand { // of this boot, boot reports
		n.session.reporting = true
		go n.session.Watch(ctx)
		go n.Report.Run(ctx, n.reporter(ctx))
		n.ship(ctx)
	}
	return n.save()
}

// findSeeder tries where people say that the seeder is, one after the other, and if none answers there, what DHCP tells.
func (n *Node) findSeeder(ctx context.Context) (string, error) {
	if n.handed.first(wire.Discover) {
		return n.sameSeeder(ctx), nil
	}
	limited, cancel := context.WithTimeout(ctx, discoverDeadline)
	defer cancel()
	probe := func(ctx context.Context, base string) error {
		return n.session.At(base).Probe(ctx)
	}
	base, tried, err := discover.Find(limited, discover.Named(n.session.typed, n.Cmdline, n.Image), probe)
	n.logAttempts(tried)
	if err == nil {
		return base, nil
	}
	if base := n.knownSeeder(limited, tried); base != "" {
		return base, nil
	}
	lease := n.link.lease()
	answers, err := n.askDHCP(limited, lease)
	if err != nil {
		n.Log("seeder: nobody is asked by DHCP: %v", err)
	}
	offers := descriptions{texts: map[string]string{}}
	told := discover.All(limited, discover.Told(answers, lease), func(ctx context.Context, base string) error {
		// Nobody vouches for who answers DHCP: only a seeder of this site counts.
		cat, err := n.session.fetch(ctx, n.session.At(base))
		if err == nil {
			offers.set(base, cat.Catalog)
		}
		return err
	})
	n.logAttempts(told)
	answering := discover.Answering(told)
	if len(answering) == 0 {
		return "", &discover.NotFoundError{Tried: append(tried, told...)}
	}
	return n.chooseSeeder(ctx, answering, offers.texts)
}

// knownSeeder returns a seeder that the node learned of before, if one of them serves: that which it had, or another.
func (n *Node) knownSeeder(ctx context.Context, tried []discover.Attempt) string {
	own := n.session.Client()
	if own == nil {
		return ""
	}
	if !slices.ContainsFunc(tried, func(a discover.Attempt) bool { return a.URL == own.Base }) {
		limited, cancel := context.WithTimeout(ctx, sameDeadline)
		defer cancel()
		if _, err := n.session.fetch(limited, own); err == nil {
			n.Log("seeder: %s answers, as before", own.Base)
			return own.Base
		}
	}
	base, _ := n.session.Next(ctx)
	if base != "" {
		n.Log("seeder: %s answers, which another seeder told", base)
	}
	return base
}

func (n *Node) logAttempts(tried []discover.Attempt) {
	for _, t := range tried {
		n.Log("seeder: %s", t)
	}
}

// descriptions say what each seeder offers, by URL.
type descriptions struct {
	mu    sync.Mutex
	texts map[string]string
}

func (d *descriptions) set(base string, cat *catalog.Catalog) {
	text := fmt.Sprintf("%s, %d systems", cat.Site, len(cat.Systems))
	if len(cat.Systems) == 1 {
		text = cat.Site + ", 1 system"
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.texts[base] = text
}

// chooseSeeder asks which of several seeders to take, but only once: later it takes the same as long as that one answers.
func (n *Node) chooseSeeder(ctx context.Context, answering []discover.Attempt, offers map[string]string) (string, error) {
	var items []menu.Item
	for _, a := range answering {
		if len(answering) == 1 || n.session.Base() == a.URL {
			return a.URL, nil
		}
		items = append(items, menu.Item{Name: a.URL, Description: offers[a.URL]})
	}
	chosen, err := ask(ctx, n, menu.NewSeeders(n.place(), items, seederTime), nil)
	if err != nil {
		n.Log("seeder: the screen failed, the first one is taken: %v", err)
		return answering[0].URL, nil
	}
	if chosen.System == "" { // ended from outside
		return "", context.Cause(ctx)
	}
	by := "nobody chose"
	if chosen.ByPerson {
		by = "somebody chose it"
	}
	n.Log("seeder: %d answer, %s is taken (%s)", len(answering), chosen.System, by)
	return chosen.System, nil
}

// typeSeeder asks a person for the seeder's address, and says whether one was typed.
func (n *Node) typeSeeder(ctx context.Context, tried string) bool {
	check := func(text string) error {
		_, err := seederurl.Base(text)
		return err
	}
	text, err := ask(ctx, n, menu.NewAddress(n.place(), tried, check), nil)
	if err != nil {
		n.Log("the screen failed: %v", err)
		return false
	}
	if text == "" {
		return false
	}
	n.session.typed = text
	n.Log("seeder: somebody typed %s", text)
	return true
}

// canType is whether another seeder may be what mends a failed step.
func canType(step wire.Step) bool { return step == wire.Discover || step == wire.Catalog }
