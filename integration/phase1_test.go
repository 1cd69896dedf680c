package integration

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/integration/lab"
	"github.com/boottorrent/boottorrent/seeder/helpers"
)

const (
	// phase1Link is the seeder's upload in bits per second: a load of phase 1 takes some 17 s, and six at once would take 100.
	phase1Link = 8e6
	// helperLink is the nodes'.
	helperLink = 20e6
)

// Six machines are switched on two seconds apart, at a seeder with a slow link. The first load phase 1 from the seeder, the later ones from those
// that are up by then. No other room boots meanwhile: the seeder sends machines to nodes that are quick enough, and six of these are all that this
// machine can emulate so.
func TestPhase1FromTheRoom(t *testing.T) {
	const machines = 6
	r := newRoomAlone(t, "timeout: -1\n")
	r.must(r.site.AddTiny(t.Context(), "tiny", 1<<20))
	r.dhcp()
	r.serve()
	r.must(r.host.SetRates(t.Context(), 0, phase1Link))
	image := r.imageSize()

	began := time.Now()
	var up sync.WaitGroup
	pause := time.NewTicker(2 * time.Second)
	defer pause.Stop()
	for i := range machines {
		n := r.node(r.fromNetwork(fmt.Sprintf("n%d", i+1)))
		up.Go(func() {
			lab.AwaitScreen(t, n.Console(), toChooser, `Tiny system`)
			t.Logf("%s is at its chooser %.0f s after the first was switched on", n.Config.Name, time.Since(began).Seconds())
		})
		if i < machines-1 {
			<-pause.C
		}
	}
	up.Wait()
	if t.Failed() {
		t.FailNow()
	}
	counts, served := r.phase1(), int64(0)
	for mac, node := range r.reports() {
		if p := node.Phase1; p != nil {
			served += p.Served
			t.Logf("%s gives phase 1 away: %d bytes at port %d", mac, p.Served, p.Port)
		}
	}
	t.Logf("image %d bytes; %+v; the seeder's card sent %d", image, counts, r.sent())
	if counts.LoadsSeeder+counts.LoadsHelpers != machines || counts.LoadsHelpers < 2 {
		t.Errorf("%d machines loaded phase 1 from the seeder, %d from nodes; want %d, 2 or more of them from nodes", counts.LoadsSeeder, counts.LoadsHelpers, machines)
	}
	// A machine whose helper was too slow, as an emulated one may be, has come back to the seeder with a part of it.
	if least := counts.LoadsHelpers * image; served < least || served > least+(counts.Fallbacks+1)*image {
		t.Errorf("nodes say that they have sent %d bytes of phase 1, want %d for %d machines and a little for trials", served, least, counts.LoadsHelpers)
	}
	if most := counts.LoadsSeeder*image + image/10; counts.FromSeeder > most || counts.FromSeeder < (counts.LoadsSeeder-counts.Fallbacks)*image {
		t.Errorf("the seeder sent %d bytes of phase 1 by HTTP, want %d at most", counts.FromSeeder, most)
	}
	if sent := r.sent(); sent > (machines-1)*image*11/10 {
		t.Errorf("the seeder's card has sent %d bytes, want less than %d images of %d", sent, machines, image)
	}
}

// fromNetwork is a small machine with nothing on it.
func (r *room) fromNetwork(name string) lab.NodeConfig {
	return lab.NodeConfig{Name: name, MemoryMiB: 640, NICs: []lab.NIC{{Cable: lab.Cable{Up: helperLink}}}}
}

// imageSize is how many bytes a machine loads.
func (r *room) imageSize() (sum int64) {
	r.t.Helper()
	for _, name := range []string{"vmlinuz", "initramfs.img"} {
		info, err := os.Stat(r.site.Path("image", name))
		r.must(err)
		sum += info.Size()
	}
	return sum
}

// phase1 is what the seeder has counted.
func (r *room) phase1() helpers.Counts {
	r.t.Helper()
	s, err := r.seeder.Status(r.t.Context())
	r.must(err)
	if s.Phase1 == nil {
		r.t.Fatal("the seeder says nothing of phase 1")
	}
	return *s.Phase1
}

// sent is how many bytes the seeder's card has sent.
func (r *room) sent() int64 {
	r.t.Helper()
	out := r.run("ip", "-s", "link", "show", "eth0")
	match := regexp.MustCompile(`(?s)TX:.*?\n\s*(\d+)`).FindStringSubmatch(out)
	if match == nil {
		r.t.Fatalf("ip says %s", out)
	}
	n, err := strconv.ParseInt(match[1], 10, 64)
	r.must(err)
	return n
}
