package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/integration/kit"
	"github.com/boottorrent/boottorrent/integration/lab"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/status"
)

// The two networks of the room, and what is in them beside machines.
const (
	westGateway, eastGateway = "10.77.0.254", "10.78.0.254"
	dhcpAddr                 = "10.77.0.253/16"
	mirrorAddr               = "10.78.0.1/16"
	// uplinkRate is the speed of the router's cable to the east, and upload what a seeder can send while machines fetch, in bits per second.
	uplinkRate, upload = 40e6, 5e6
	// copiesAllowed is how often the system may pass the uplink in each direction.
	copiesAllowed = 1.1
	// changeLimit is how long after the first seeder's end its machines may take until they say that something came from the mirror.
	changeLimit = 40 * time.Second
)

// subnets are two networks with a router between them. In the west are the first seeder and a DHCP server for both; in the east there is a
// mirror. The router relays requests of DHCP from the east to the DHCP server.
type subnets struct {
	*room
	uplink, mirrorHost *lab.Host
	mirror             *kit.Seeder
}

func newSubnets(t *testing.T, config string) *subnets {
	t.Helper()
	s := &subnets{room: emptyRoom(t, config)}
	s.must(s.Switch("east"))
	var err error
	s.uplink, err = s.Router("router", lab.Side{Addr: westGateway + "/16"},
		lab.Side{Addr: eastGateway + "/16", Cable: lab.Cable{Switch: "east", Down: uplinkRate, Up: uplinkRate}})
	s.must(err)
	s.host, err = s.Host("seeder", lab.Addr(seederAddr), lab.Gateway(westGateway))
	s.must(err)
	s.mirrorHost, err = s.Host("mirror", lab.Addr(mirrorAddr), lab.Gateway(eastGateway), lab.Wire(lab.Cable{Switch: "east"}))
	s.must(err)
	dhcp, err := s.Host("dhcp", lab.Addr(dhcpAddr), lab.Gateway(westGateway))
	s.must(err)
	_, err = lab.Dnsmasq(t.Context(), dhcp,
		"--dhcp-range=set:west,10.77.1.10,10.77.1.200,255.255.0.0,1h", "--dhcp-option=tag:west,option:router,"+westGateway,
		"--dhcp-range=set:east,10.78.1.10,10.78.1.200,255.255.0.0,1h", "--dhcp-option=tag:east,option:router,"+eastGateway)
	s.must(err)
	_, err = lab.DnsmasqRelay(t.Context(), s.uplink, eastGateway, dhcp.IP().String())
	s.must(err)
	return s
}

// carried is what the uplink has carried until now, in bytes: to the east and to the west.
func (s *subnets) carried() (east, west int64) {
	s.t.Helper()
	west, east, err := s.uplink.Carried("eth1")
	s.must(err)
	return east, west
}

// inStep waits until the mirror serves the catalog of the first seeder, with all files of all systems, and returns how long that took.
func (s *subnets) inStep(within time.Duration) time.Duration {
	s.t.Helper()
	began, why := time.Now(), ""
	for time.Since(began) < within {
		if why = s.behind(); why == "" {
			return time.Since(began)
		}
		time.Sleep(100 * time.Millisecond)
	}
	s.t.Fatalf("after %s the mirror is not in step: %s", within, why)
	return 0
}

// behind says what the mirror lacks of what the first seeder has; empty: nothing.
func (s *subnets) behind() string {
	first, err := s.seeder.Status(s.t.Context())
	s.must(err)
	second, err := s.mirror.Status(s.t.Context())
	s.must(err)
	if first.Counter != second.Counter {
		return fmt.Sprintf("its catalog has the counter %d, the first seeder's %d", second.Counter, first.Counter)
	}
	whole := map[catalog.InfoHash]bool{}
	for _, v := range second.Systems { // runtimes too
		if v.State != status.Published {
			return fmt.Sprintf("%s is %s at the mirror", v.Name, v.State)
		}
		whole[*v.InfoHash] = true
	}
	for _, v := range first.Systems {
		if v.State != status.Published || !whole[*v.InfoHash] {
			return fmt.Sprintf("%s is %s at the first seeder, and at the mirror it is there: %v", v.Name, v.State, whole[*v.InfoHash])
		}
	}
	return ""
}

// nodesAt returns what nodes have told a seeder, by MAC address; nothing if it doesn't answer.
func (s *subnets) nodesAt(seeder *kit.Seeder) map[string]report.Node {
	byMAC := map[string]report.Node{}
	nodes, err := seeder.Nodes(s.t.Context())
	if err != nil {
		return byMAC
	}
	for _, n := range nodes {
		byMAC[n.MAC] = n
	}
	return byMAC
}

// latest is what a node said last to any of the seeders.
func (s *subnets) latest(n *lab.Node) (last report.Node) {
	for _, seeder := range []*kit.Seeder{s.seeder, s.mirror} {
		if said := s.nodesAt(seeder)[n.Config.NICs[0].MAC]; said.Seen.After(last.Seen) {
			last = said
		}
	}
	return last
}

// midway waits until each of the nodes has from 20 to 70 percent of the system.
func (s *subnets) midway(nodes []*lab.Node) {
	s.t.Helper()
	for began := time.Now(); ; time.Sleep(200 * time.Millisecond) {
		all, percent := true, map[string]float64{}
		for _, n := range nodes {
			said := s.latest(n)
			p := said.Percent()
			percent[n.Config.Name] = p
			all = all && said.Step == report.Fetch && p >= 20
			if p > 70 {
				s.t.Fatalf("%s is through with it before the others have begun: %v", n.Config.Name, percent)
			}
		}
		if all {
			s.t.Logf("percent of the system: %v", percent)
			return
		}
		if time.Since(began) > toMessage {
			s.t.Fatalf("not all nodes are fetching: %v", percent)
		}
	}
}

// Two networks with a router between them: the first seeder is in one, a mirror in the other, and two machines are in each. Those beside the
// mirror boot from it. The first seeder is killed while all four fetch, and everyone starts. When it is back, it and the mirror are in
// step again, and it knows what the machines did meanwhile. The system has passed the uplink once in each direction.
func TestTwoSubnets(t *testing.T) {
	const padding = 12 << 20
	s := newSubnets(t, "default: tiny\ntimeout: -1\nseed_time: 10\n")
	ctx := t.Context()
	s.serve()
	dir := filepath.Join(t.TempDir(), "mirror")
	var err error
	began := time.Now()
	s.mirror, err = s.site.Kit.Mirror(ctx, s.mirrorHost, s.host.IP().String(), dir, s.site.Path(site.PublicKeyFile))
	s.must(err)
	t.Logf("a new mirror serves after %s", time.Since(began))

	// The systems' bytes are counted from here on: a mirror has fetched phase 1 and the boot loaders.
	s.inStep(soon)
	eastBefore, westBefore := s.carried()
	s.must(s.site.AddTiny(ctx, "tiny", padding))
	s.awaitTitle(s.seeder, "Tiny system (tiny)", soon)
	s.inStep(soon)

	var nodes, west, east []*lab.Node
	for i := range 2 {
		west = append(west, s.node(lab.NodeConfig{Name: fmt.Sprintf("west%d", i+1), MemoryMiB: 512}))
		east = append(east, s.node(lab.NodeConfig{Name: fmt.Sprintf("east%d", i+1), MemoryMiB: 512, NICs: []lab.NIC{{Cable: lab.Cable{Switch: "east"}}}}))
	}
	nodes = append(append(nodes, west...), east...)
	for _, n := range nodes {
		lab.AwaitScreen(t, n.Console(), toChooser, `Tiny system`)
	}
	s.must(s.host.SetRates(ctx, 0, upload))
	s.must(s.mirrorHost.SetRates(ctx, 0, upload))
	for _, n := range nodes {
		s.must(n.Console().Send(lab.Enter))
	}
	s.midway(nodes)
	s.must(s.seeder.Kill())
	killed := time.Now()
	s.changeOver(killed, west)
	s.start(nodes)
	eastAfter, westAfter := s.carried()
	s.copies("east", eastAfter-eastBefore)
	s.copies("west", westAfter-westBefore)

	s.must(s.host.SetRates(ctx, 0, uplinkRate))
	s.retitle("tiny", "Changed while the seeder was away")
	s.serve()
	s.comesBack(nodes)
}

// changeOver waits until machines whose seeder was killed get bytes from the mirror.
func (s *subnets) changeOver(killed time.Time, nodes []*lab.Node) {
	s.t.Helper()
	for _, n := range nodes {
		for {
			said := s.nodesAt(s.mirror)[n.Config.NICs[0].MAC]
			if fromAddr(said, s.mirror) > 0 {
				s.t.Logf("%s said %s after the kill that it gets the system from the mirror; it has %.0f %%", n.Config.Name, time.Since(killed), said.Percent())
				break
			}
			if time.Since(killed) > changeLimit {
				s.t.Errorf("%s does not get the system from the mirror: %+v", n.Config.Name, said)
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
}

// fromAddr is how many bytes of the system a node has from a seeder.
func fromAddr(n report.Node, seeder *kit.Seeder) int64 {
	for _, from := range n.Seeders {
		if from.Addr == seeder.Addr() {
			return from.Bytes
		}
	}
	return 0
}

// start waits until all nodes run the system. The command line of each names the seeder that its boot script came from.
func (s *subnets) start(nodes []*lab.Node) {
	s.t.Helper()
	together(s.t, nodes, func(n *lab.Node) {
		_, cmdline := s.awaitTiny(n, toSystem)
		want := s.host.IP()
		if strings.HasPrefix(n.Config.Name, "east") {
			want = s.mirrorHost.IP()
		}
		if !strings.Contains(n.Console().Output(), "http://"+want.String()) {
			s.t.Errorf("%s has not booted from %s: %s", n.Config.Name, want, cmdline)
		}
	})
}

// copies asserts how much the uplink carried in one direction: all frames since before the system was there.
func (s *subnets) copies(direction string, bytes int64) {
	s.t.Helper()
	cat, err := s.mirror.Catalog(s.t.Context())
	s.must(err)
	size := cat.Systems[0].Size
	copies := float64(bytes) / float64(size)
	s.t.Logf("to the %s the uplink carried %d bytes: %.2f copies of a system of %d", direction, bytes, copies, size)
	if copies > copiesAllowed {
		s.t.Errorf("to the %s the uplink carried %.2f copies of the system, want at most %.1f", direction, copies, copiesAllowed)
	}
}

// retitle gives a system another title.
func (r *room) retitle(system, title string) {
	r.t.Helper()
	path := r.site.Path(site.SystemsDir, system, site.SystemFile)
	config, err := os.ReadFile(path)
	r.must(err)
	changed := regexp.MustCompile(`(?m)^dispname:.*$`).ReplaceAll(config, []byte("dispname: "+title))
	r.must(os.WriteFile(path, changed, 0o644))
}

// awaitTitle waits until a seeder's catalog has a system of that title, and returns how long that took.
func (r *room) awaitTitle(seeder *kit.Seeder, title string, within time.Duration) time.Duration {
	r.t.Helper()
	began := time.Now()
	for ; time.Since(began) < within; time.Sleep(50 * time.Millisecond) {
		cat, err := seeder.Catalog(r.t.Context())
		if err == nil && slices.ContainsFunc(cat.Systems, func(s catalog.System) bool { return s.Title == title }) {
			return time.Since(began)
		}
	}
	r.t.Fatalf("after %s %s does not offer %q", within, seeder.Base, title)
	return 0
}

// comesBack asserts that within ten seconds the mirror has what changed meanwhile, and the first seeder what machines reported to the mirror.
func (s *subnets) comesBack(nodes []*lab.Node) {
	s.t.Helper()
	const limit = 10 * time.Second
	began := time.Now()
	s.t.Logf("in step %s after the first seeder was ready again", s.inStep(limit))
	for {
		missing := s.unheard(nodes)
		if missing == "" {
			s.t.Logf("the first seeder knows of all nodes %s after it was ready again", time.Since(began))
			break
		}
		if time.Since(began) > limit {
			s.t.Fatalf("after %s the first seeder does not know of all nodes: %s", limit, missing)
		}
		time.Sleep(100 * time.Millisecond)
	}
	s.retitle("tiny", "Changed beside the mirror")
	s.t.Logf("a changed file is in the mirror's catalog after %s", s.awaitTitle(s.mirror, "Changed beside the mirror", limit))
}

// unheard says which nodes the first seeder doesn't know to have launched the system; empty: none.
func (s *subnets) unheard(nodes []*lab.Node) string {
	known, missing := s.nodesAt(s.seeder), ""
	for _, n := range nodes {
		if said := known[n.Config.NICs[0].MAC]; said.Step != report.Launch || said.State != report.Done {
			missing += fmt.Sprintf("%s: %s %s; ", n.Config.Name, said.Step, said.State)
		}
	}
	return missing
}
