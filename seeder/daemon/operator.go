package daemon

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"aead.dev/minisign"
	"golang.org/x/time/rate"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/api"
	"github.com/boottorrent/boottorrent/seeder/auth"
	"github.com/boottorrent/boottorrent/seeder/counter"
	"github.com/boottorrent/boottorrent/seeder/history"
	"github.com/boottorrent/boottorrent/seeder/next"
	"github.com/boottorrent/boottorrent/seeder/orders"
	"github.com/boottorrent/boottorrent/seeder/room"
	"github.com/boottorrent/boottorrent/seeder/status"
	"github.com/boottorrent/boottorrent/seeder/wol"
)

const (
	// gatherTime is for how long changes of what machines start next are gathered before the catalog is published: a room follows within seconds.
	gatherTime = time.Second
	// endTime is how often it is looked which entries are over.
	endTime = time.Minute
)

// operator is what people do with the machines: it wakes them, gives them orders, and keeps what they start the next time.
type operator struct {
	site   func() *site.Site
	next   *next.Store
	orders *orders.Orders
	auth   *auth.Auth
	api    *api.API
	// impostor reports whether an address is another machine's than the one with a MAC address. sometimes bounds what is logged of that.
	impostor  func(mac string, from netip.Addr) bool
	log       *slog.Logger
	sometimes rate.Sometimes
}

// newOperator returns an operator that speaks for the daemon.
func (d *daemon) newOperator(count *counter.Counter) *operator {
	served := func() *catalog.Catalog { return d.feed.catalog() }
	o := &operator{
		site: d.current.Load, next: next.Open(d.state, d.Log, time.Now), impostor: d.impostor, log: d.Log, sometimes: rate.Sometimes{Interval: time.Minute},
		auth: auth.New(auth.Config{Log: d.Log, Page: func() (string, bool) {
			p := d.current.Load().Page
			return p.Password, p.Read == site.PagePassword
		}}),
		orders: orders.New(orders.Config{
			Key: func() (minisign.PrivateKey, error) { return d.current.Load().SecretKey() }, Counter: count.Next, Catalog: served, Log: d.Log, Now: time.Now,
		}),
	}
	cfg := api.Config{
		History: func(mac string) []history.Boot { return d.history.Boots(mac) },
		Log:     d.Log, Catalog: served, Listed: o.listed, Nodes: func() []report.Node { return d.fleet.List() },
		Known:   func() []string { return d.history.MACs() },
		Systems: func() status.Site { return d.status() }, Findings: d.tests.list, Targets: d.targets, Next: o.next, Orders: o.orders, Wake: d.wake,
	}
	if f, ok := d.feed.(*mirrored); ok {
		cfg.Elsewhere = f.elsewhere
	}
	o.api = api.New(cfg)
	return o
}

// listed are the machines that the site names.
func (o *operator) listed() (listed []room.Listed) {
	for _, m := range o.site().Machines {
		l := room.Listed{MAC: m.MAC, Name: m.Name, Hostname: m.Hostname, Notes: m.Notes}
		if m.Address.IsValid() {
			l.Address = m.Address.String()
		}
		listed = append(listed, l)
	}
	return listed
}

// order notes what a node's report says of what it was told, and returns the order that it gets; nil: none. What another machine says in its
// place counts for nothing.
func (o *operator) order(rep report.Report, from netip.Addr) []byte {
	if (o.next.Awaits(rep.MAC, rep.Next) || o.orders.Waits(rep.MAC)) && o.impostor(rep.MAC, from) {
		o.sometimes.Do(func() {
			o.log.Warn("another machine reports as one that was told something; that is not believed", "mac", rep.MAC, "address", from)
		})
		return nil
	}
	o.next.Follow(rep.MAC, rep.Next)
	return o.orders.Answer(rep)
}

// wake wakes machines on every interface that is served, with the addresses of this moment.
func (d *daemon) wake(ctx context.Context, macs []net.HardwareAddr) []wol.Sent {
	on, _, err := interfaces(d.current.Load().Serve)
	if err != nil {
		return []wol.Sent{{Error: err.Error()}}
	}
	var to []wol.Interface
	for _, i := range on {
		to = append(to, wol.Interface{Name: i.Name, Addr: i.Addr.Addr()})
	}
	return wol.Send(ctx, to, macs)
}

// run calls renew when the catalog is to be published, as what machines start next has changed, until ctx ends; changes are gathered.
func (o *operator) run(ctx context.Context, renew func(context.Context)) {
	tick := time.NewTicker(endTime)
	defer tick.Stop()
	defer o.next.End(o.has) // who followed what in the last moment is written down
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			o.next.End(o.has)
			continue
		case <-o.next.Changes():
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(gatherTime):
		}
		o.next.End(o.has)
		select {
		case <-o.next.Changes():
		default:
		}
		renew(ctx)
	}
}

// has are the machines of a group that is nothing but a list of machines; nil: it matches others as well.
func (o *operator) has(group string) (macs []string) {
	s := o.site()
	matches := func(g catalog.Group) bool { return g.Name == group && !reflect.ValueOf(g.Match).IsZero() }
	if group == catalog.GroupAll || slices.ContainsFunc(s.Groups, matches) {
		return nil
	}
	for _, m := range s.Machines {
		if m.Group == group {
			macs = append(macs, m.MAC)
		}
	}
	return macs
}
