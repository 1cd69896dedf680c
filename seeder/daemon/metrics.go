package daemon

import (
	"net/netip"
	"strings"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/internal/swarm"
	"github.com/boottorrent/boottorrent/seeder/api"
	"github.com/boottorrent/boottorrent/seeder/metrics"
	"github.com/boottorrent/boottorrent/seeder/status"
	"github.com/boottorrent/boottorrent/seeder/store"
)

// newMetrics makes the metrics, which services are given to count. What they ask for is there once the daemon is assembled.
func (d *daemon) newMetrics() *metrics.Metrics {
	return metrics.New(metrics.Config{
		Log: d.Log, Catalog: func() *catalog.Catalog { return d.feed.catalog() },
		Nodes:    func(do func(*report.Node)) { d.fleet.Each(do) },
		Torrents: func() []swarm.Torrent { return d.sockets.engine.Torrents() },
		Peers:    func(h catalog.InfoHash) (complete, incomplete int) { return d.tracker.Swarm(h) },
		Store:    func() (store.Size, error) { return d.feed.size() },
		Systems:  func() status.Site { return d.status() }, Findings: d.tests.list, Services: d.services,
	})
}

// services says of each service that the site has on whether it has its port. Without those of HTTP and BitTorrent there is no seeder.
func (d *daemon) services() map[string]bool {
	up := map[string]bool{"http": true, "bittorrent": true}
	if d.Site.Ports.TFTP != 0 {
		up["tftp"] = !d.sockets.noTFTP
	}
	if d.Site.DHCP.Mode != site.DHCPOff {
		up["dhcp"] = d.sockets.dhcp != nil
	}
	return up
}

// unready says what machines can't have: the catalog as long as the site is being read, or a service whose port could not be had.
func (d *daemon) unready() (missing []string) {
	if d.feed.catalog() == nil {
		missing = append(missing, "no catalog is published yet: "+d.feed.waiting())
	}
	for _, err := range d.lost {
		missing = append(missing, err.Error())
	}
	return missing
}

// targets is where Prometheus finds this seeder's metrics: at the address at which it was asked, or at the first one where it was asked
// elsewhere, as over the control socket.
func (d *daemon) targets(local netip.Addr) []api.Target {
	cat := d.feed.catalog()
	if cat == nil {
		return nil
	}
	bases := cat.HTTP
	if d.Mirror != nil {
		bases = d.bases() // what is signed names the site's own seeder
	}
	if len(bases) == 0 {
		return nil
	}
	at := bases[0]
	for _, b := range bases {
		if host, err := netip.ParseAddrPort(strings.TrimPrefix(b, "http://")); err == nil && host.Addr() == local {
			at = b
		}
	}
	return []api.Target{{
		Targets: []string{strings.TrimPrefix(at, "http://")}, Labels: map[string]string{"__meta_boottorrent_site": cat.Site},
	}}
}
