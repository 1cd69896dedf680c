package integration

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/integration/floppy"
	"github.com/boottorrent/boottorrent/integration/lab"
)

// A site of the original BootTorrent, as its documentation has it, with the three examples of systems, is served and booted as
// it is: DHCP included, and keys made on the way.
func TestOriginalSite(t *testing.T) {
	r := newRoom(t, "")
	r.must(os.RemoveAll(r.site.Dir))
	r.must(r.site.MakeOriginal(t.Context(), r.host.IP().String(), base(t).Path("image", "vmlinuz"), floppy.Echo()))
	r.must(r.site.MakeImage(t.Context()))
	r.serve()
	n := r.node(lab.NodeConfig{Name: "desk", MemoryMiB: 1536})
	c := n.Console()
	choose := func(filter string) {
		t.Helper()
		lab.AwaitScreen(t, c, toChooser, `(?s)TestBin.*TestOS.*TestOnQemu`)
		r.must(c.Send("/" + filter))
		lab.AwaitScreen(t, c, soon, `1 of 1`)
		r.must(c.Send(lab.Enter))
		r.must(c.Send(lab.Enter))
	}
	choose("testbin")
	lab.Await(t, c, toGuest, `PROBER amd64 args=\["<binary" "args>"\]`)
	lab.AwaitScreen(t, c, soon, `TestBin has ended well`)
	r.must(c.Send(lab.Enter))
	choose("onqemu")
	lab.Await(t, c, toGuest, `TestOnQemu runs on`)
	r.awaitLit(n) // the guest is on the screen
	r.must(c.Send(lab.Enter))
	lab.AwaitScreen(t, c, soon, `TestOnQemu is running`)
	r.must(c.Send("qq"))
	choose("testos")
	r.awaitTiny(n, toSystem)
}

// awaitLit waits until a node's screen shows the floppy disk's text and nothing else: a guest, not the chooser.
func (r *room) awaitLit(n *lab.Node) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), toGuest)
	defer cancel()
	for tick := time.NewTicker(300 * time.Millisecond); ; {
		if pixels := lit(r.screen(n)); pixels > 300 && pixels < 3000 {
			return
		}
		select {
		case <-ctx.Done():
			r.t.Fatal("the guest is not on the node's screen")
		case <-tick.C:
		}
	}
}
