package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/integration/lab"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/report"
)

// slowLink is a seeder's upload in bits per second, as on a laptop's WiFi: slower than what emulated nodes can take, so
// that the link is what they share.
const slowLink = 2e6

// Three machines with nothing on them are switched on at once, beside an existing DHCP server: each boots by BIOS PXE and
// proxyDHCP to the chooser, a person at each chooses the tiny system at the same time, and they get it mostly from each
// other. Somebody has the seeder's page open meanwhile: it shows what they do, a failure, and bars that move; and is where one of them is
// woken and told what to start next.
func TestThreeNodesBootAtOnce(t *testing.T) {
	const padding = 4 << 20
	r := newRoom(t, "default: tiny\ntimeout: -1\nseed_time: 10\n"+pageKey(t)+deskNames)
	r.must(r.site.AddTiny(t.Context(), "tiny", padding))
	r.must(r.site.AddTiny(t.Context(), "large", tooLarge))
	r.must(r.site.MakeImage(t.Context())) // only the site's part is new: its name
	r.dhcp()
	r.serve()
	page := r.openPage()
	page.login()

	var nodes []*lab.Node
	for i := range 3 {
		nodes = append(nodes, r.node(lab.NodeConfig{Name: fmt.Sprintf("n%d", i+1), MemoryMiB: 1024}))
	}
	for _, n := range nodes {
		lab.AwaitScreen(t, n.Console(), toChooser, `Tiny system`)
	}
	page.awaitState(toMessage, "waiting", nodes...)
	r.screenPicture(nodes[0], "chooser")
	r.failAndReturn(page, nodes[2])
	page.orders(nodes[0], nodes[1])
	// Had the link been slow before, they would have got phase 1 one after the other.
	r.must(r.host.SetRates(t.Context(), 0, slowLink))
	for _, n := range nodes {
		r.must(n.Console().Send(lab.Enter))
	}
	page.watch(nodes)
	together(t, nodes, func(n *lab.Node) {
		want := n.Config.NICs[0].MAC
		mac, cmdline := r.awaitTiny(n, toSystem)
		if mac != want {
			t.Errorf("%s: the system sees the MAC %s, the machine has %s", n.Config.Name, mac, want)
		}
		if !strings.Contains(cmdline, "bt.mac="+want) || !strings.Contains(cmdline, "bt.seeder="+r.host.IP().String()) {
			t.Errorf("%s: the placeholders of the command line are not filled in: %s", n.Config.Name, cmdline)
		}
	})
	page.after(nodes)
	r.checkSharing(3)
}

// checkSharing asserts that n nodes have all launched a system and got it mostly from each other.
func (r *room) checkSharing(n int) {
	r.t.Helper()
	cat, err := r.seeder.Catalog(r.t.Context())
	r.must(err)
	i := slices.IndexFunc(cat.Systems, func(s catalog.System) bool { return s.Name == "tiny" })
	size := cat.Systems[i].Size
	reports := r.reports()
	if len(reports) != n {
		r.t.Errorf("%d nodes have reported, want %d", len(reports), n)
	}
	var seeder, nodes int64
	for mac, node := range reports {
		if node.Step != report.Launch || node.State != report.Done {
			r.t.Errorf("%s reported %s %s last, want launch done", mac, node.Step, node.State)
		}
		if got := node.FromSeeder + node.FromNodes + node.FromHTTP; got < size {
			r.t.Errorf("%s got %d bytes of a system of %d", mac, got, size)
		}
		seeder += node.FromSeeder + node.FromHTTP
		nodes += node.FromNodes
		r.t.Logf("%s: from seeder %.1f MiB, from nodes %.1f MiB; seconds by step %v; up %.1f s", mac,
			float64(node.FromSeeder)/(1<<20), float64(node.FromNodes)/(1<<20), node.Durations, node.Uptime)
	}
	copies := float64(seeder) / float64(size)
	r.t.Logf("the seeder uploaded %.2f × the image of %.1f MiB", copies, float64(size)/(1<<20))
	if copies >= 1.8 {
		r.t.Errorf("the seeder uploaded %.2f × the image; nodes got %d bytes from each other", copies, nodes)
	}
}
