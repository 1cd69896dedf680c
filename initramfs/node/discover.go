package node

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/discover"
	"github.com/boottorrent/boottorrent/initramfs/menu"
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
		n.session.away.Store(true)
	}
	if err != nil {
		n.link.seederFound(false)
		return err // which lists what was tried
	}
	n.link.seederFound(true)
	limited, cancel := context.WithTimeout(ctx, nameDeadline)
	defer cancel()
	if base, err = numeric(limited, base); err != nil {
		return err
	}
	n.session.found.Store(n.session.at(base))
	if !n.session.reporting && !n.ByHand { // of this boot, boot reports
		n.session.reporting = true
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
		return n.session.at(base).Probe(ctx)
	}
	base, tried, err := discover.Find(limited, discover.Named(n.session.typed, n.Cmdline, n.Image), probe)
	n.logAttempts(tried)
	if err == nil {
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
		cat, err := n.session.fetch(ctx, base)
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
		if c := n.session.client(); len(answering) == 1 || c != nil && c.Base == a.URL {
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

// numeric returns a seeder's base URL with its address instead of its name: peers are known by address. That of a seeder behind
// https, whose certificate has the name, stays.
func numeric(ctx context.Context, base string) (string, error) {
	u, err := url.Parse(base)
	if err != nil {
		return "", fmt.Errorf("the seeder's URL: %w", err)
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil || u.Scheme != "http" {
		return base, nil
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", u.Hostname())
	if err != nil {
		return "", fmt.Errorf("the address of the seeder %s: %w; give the address instead of the name", base, err)
	}
	u.Host = net.JoinHostPort(addrs[0].Unmap().String(), cmp.Or(u.Port(), "80"))
	return u.String(), nil
}
