package integration

import (
	"context"
	"image"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/integration/kit"
	"github.com/boottorrent/boottorrent/integration/lab"
	"github.com/boottorrent/boottorrent/internal/need"
)

// A person at the serial line moves through the chooser, the picture on the VGA screen follows, and the system that
// starts is one that no one here made: Debian's installer, imported from an ISO, up to its first screen.
func TestChooserStartsDebianInstaller(t *testing.T) {
	need.File(t, "/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64/linux", kit.DebianInstallerPackage)
	need.Command(t, "xorriso", "xorriso")
	r := newRoom(t, "default: tiny\ntimeout: 60\nseed_time: 0\n")
	r.must(r.site.AddTiny(t.Context(), "tiny", 1<<20))
	iso, err := r.site.Kit.MakeInstallerISO(t.Context(), t.TempDir())
	r.must(err)
	r.must(r.site.Import(t.Context(), iso, "debian", "--title", "Debian 12 installer"))
	r.dhcp()
	r.serve()
	n := r.node(lab.NodeConfig{Name: "desk", MemoryMiB: 1536})
	c := n.Console()
	lab.AwaitScreen(t, c, toChooser, `Debian 12 installer`)

	before := r.screen(n)
	r.must(c.Send("k"))
	r.awaitChange(n, before)
	// The same on the other console: a key of the machine's own keyboard moves what the serial line shows.
	lab.AwaitScreen(t, c, soon, `(?m)[>►]\s*Debian`)
	r.must(n.SendKeys(t.Context(), "down"))
	lab.AwaitScreen(t, c, soon, `(?m)[>►]\s*Tiny`)
	r.must(c.Send("/"))
	r.must(c.Send("debi"))
	lab.AwaitScreen(t, c, soon, `(?s)/ debi.*1 of 1.*> Debian`)
	r.must(n.SavePNG(t.Context(), t.ArtifactDir()+"/chooser.png"))
	r.must(c.Send(lab.Enter))
	lab.Await(t, c, toSystem, `hands over to Debian 12 installer`)
	lab.AwaitScreen(t, c, toSystem, `Select a language`)
}

func (r *room) screen(n *lab.Node) image.Image {
	r.t.Helper()
	img, err := n.Screenshot(r.t.Context())
	r.must(err)
	return img
}

// awaitChange waits until the VGA screen differs from before in more than a blinking cursor.
func (r *room) awaitChange(n *lab.Node, before image.Image) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), soon)
	defer cancel()
	for tick := time.NewTicker(200 * time.Millisecond); ; {
		if differing(before, r.screen(n)) > 500 {
			return
		}
		select {
		case <-ctx.Done():
			r.t.Fatal("the VGA screen does not follow the keys typed at the serial line")
		case <-tick.C:
		}
	}
}

// differing counts the pixels in which two pictures differ.
func differing(a, b image.Image) int {
	if a.Bounds() != b.Bounds() {
		return a.Bounds().Dx() * a.Bounds().Dy()
	}
	n := 0
	for y := a.Bounds().Min.Y; y < a.Bounds().Max.Y; y++ {
		for x := a.Bounds().Min.X; x < a.Bounds().Max.X; x++ {
			if a.At(x, y) != b.At(x, y) {
				n++
			}
		}
	}
	return n
}
