package integration

import (
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/integration/floppy"
	"github.com/boottorrent/boottorrent/integration/lab"
)

// In a site that shows guests on screens a BIOS machine gets a frame buffer where it has a graphics card, and where it has none
// its kernel is not told to set a mode, which it would wait 30 seconds for.
func TestGraphicsCards(t *testing.T) {
	r := newRoom(t, "default: tiny\ntimeout: 0\nseed_time: 0\n")
	r.must(r.site.AddTiny(t.Context(), "tiny", 1<<20))
	r.must(r.site.AddSystem("floppy", "dispname: A floppy disk\nmethod: qemu\nargs: -fda test.img\n", map[string][]byte{"test.img": floppy.Echo()}))
	r.dhcp()
	r.serve()
	for name, card := range map[string]bool{"with": true, "without": false} {
		n := r.node(lab.NodeConfig{Name: name, NoDisplay: !card})
		r.awaitTiny(n, toSystem)
		log := r.run(r.site.Kit.Seeder, "logs", r.site.Dir, r.reports()[n.Config.NICs[0].MAC].IP, "--no-follow")
		if !strings.Contains(log, " no5lvl ") || strings.Contains(log, "vga=0x318") != card {
			t.Errorf("%s a card: the log begins with:\n%.2000s", name, log)
		}
		n.Stop()
	}
}
