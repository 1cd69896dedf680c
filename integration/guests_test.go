package integration

import (
	"context"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/integration/floppy"
	"github.com/boottorrent/boottorrent/integration/kit"
	"github.com/boottorrent/boottorrent/integration/lab"
	"github.com/boottorrent/boottorrent/integration/prober/sum"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/report"
)

// toGuest is from the choice to a guest's program, an emulated machine in an emulated one.
const toGuest = 10 * time.Minute

// A program with arguments and an exit code, seen in the report; then, as it says, a floppy disk under QEMU, whose picture is the
// node's picture and whom the node's keys reach, with a shell on the console beside it; left and quit by a person. At last a program
// with many files, that a system by kexec follows.
func TestGuestsOfOneNode(t *testing.T) {
	r := newRoom(t, "default: tool\ntimeout: 60\nseed_time: 0\n")
	r.must(r.site.AddTiny(t.Context(), "tiny", 1<<20))
	r.must(r.site.AddProber(t.Context(), "tool", "386", "binargs: -exit 3 -write data one \"two words\" {{.MAC}}\nafter: floppy\n"))
	r.must(os.WriteFile(r.site.Path("oss", "tool", "data"), []byte("what others get"), 0o644))
	r.must(r.site.AddProber(t.Context(), "before", "amd64", "binargs: -exit 0 -files many\nafter: tiny\n"))
	total := r.addMany("before")
	r.must(r.site.AddSystem("floppy", "dispname: A floppy disk\nmethod: bin-qemu-x86_64\nargs: -fda test.img\n",
		map[string][]byte{"test.img": floppy.Echo()}))
	r.dhcp()
	r.serve()
	n := r.node(lab.NodeConfig{Name: "desk", MemoryMiB: 1536})
	c := n.Console()
	lab.AwaitScreen(t, c, toChooser, `(?s)A floppy disk.*Prober`)
	r.must(c.Send(lab.Enter))

	lab.Await(t, c, toGuest, `PROBER 386 args=\["one" "two words" "`+n.Config.NICs[0].MAC+`"\] dir=\S+ terminal=true`)
	lab.Await(t, c, soon, `BT_MAC=`+n.Config.NICs[0].MAC)
	lab.Await(t, c, soon, `BT_SYSTEM=tool`)
	lab.Await(t, c, soon, `wrote: <nil>`) // into its own copy: the file of that name is given to others
	lab.AwaitScreen(t, c, soon, `(?s)has ended with exit code 3.*PROBER-END.*A floppy disk`)
	exit := r.awaitExit(n, "tool")
	if exit.Code != 3 || !slices.Contains(exit.Lines, "PROBER-END") {
		t.Errorf("the seeder was told %+v", exit)
	}
	began := time.Now()
	r.must(c.Send(lab.Enter)) // goes on at once
	lab.Await(t, c, toGuest, `A floppy disk runs on tty0`)
	plain := r.sameFloppy(n, began)
	r.secondConsole(n, plain)

	// Whoever sits at the keyboard gets out again, and back in.
	r.must(n.SendKeys(t.Context(), "ctrl-alt-backspace"))
	lab.AwaitScreen(t, c, soon, `A floppy disk is running`)
	r.must(c.Send("b"))
	lab.Await(t, c, soon, `A floppy disk runs on tty0`)
	r.awaitSame(n, plain)
	r.must(c.Send(lab.Enter)) // on another console than the guest's
	lab.AwaitScreen(t, c, soon, `A floppy disk is running`)
	r.must(c.Send("qq"))
	lab.AwaitScreen(t, c, toMessage, `(?s)A floppy disk.*Prober.*Tiny`)
	r.must(c.Send("/before"))
	lab.AwaitScreen(t, c, soon, `1 of 1`)
	r.must(c.Send(lab.Enter))
	r.must(c.Send(lab.Enter))
	lab.Await(t, c, toGuest, `PROBER amd64 args=\[\]`)
	lab.Await(t, c, toGuest, fmt.Sprintf(`FILES %d %s <nil>`, manyFiles, total))
	lab.Await(t, c, soon, `PARENT boot DESCRIPTORS [0-9]{1,2}\s`) // below 100: files are not kept open
	lab.AwaitScreen(t, c, soon, `(?s)Prober \(before\) has ended well.*Tiny system`)
	r.must(c.Send(lab.Enter)) // goes on at once
	r.awaitTiny(n, toSystem)
}

// manyFiles is how many small files a system has in this room: far more than a process may have open (RLIMIT_NOFILE: 1024, and up to 4096).
const manyFiles = 20_000

// addMany adds manyFiles different files to a system, in folders of a hundred, and returns their sum.
func (r *room) addMany(system string) string {
	r.t.Helper()
	many := r.site.Path("oss", system, "many")
	for i := range manyFiles {
		folder := filepath.Join(many, fmt.Sprint(i/100))
		if i%100 == 0 {
			r.must(os.MkdirAll(folder, 0o755))
		}
		r.must(os.WriteFile(filepath.Join(folder, fmt.Sprintf("file-%d", i)), fmt.Appendf(nil, "this is file %d\n", i), 0o644))
	}
	_, total, err := sum.Of(os.DirFS(many))
	r.must(err)
	return total
}

// awaitExit waits until the seeder knows how a system has ended on a node.
func (r *room) awaitExit(n *lab.Node, system string) *report.Exit {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), soon)
	defer cancel()
	for tick := time.NewTicker(200 * time.Millisecond); ; {
		if exit := r.reports()[n.Config.NICs[0].MAC].Exit; exit != nil && exit.System == system {
			return exit
		}
		select {
		case <-ctx.Done():
			r.t.Fatalf("the seeder does not know how %s ended: %+v", system, r.reports())
		case <-tick.C:
		}
	}
}

// sameFloppy compares the node's picture with that of the same floppy disk in a machine of its own, which it returns, before and
// after a key.
func (r *room) sameFloppy(n *lab.Node, began time.Time) *lab.Node {
	r.t.Helper()
	disk := filepath.Join(r.t.TempDir(), "plain.img")
	r.must(os.WriteFile(disk, floppy.Echo(), 0o644))
	plain := r.node(lab.NodeConfig{Name: "plain", MemoryMiB: 64, NICs: []lab.NIC{}, NoSerial: true,
		Args: []string{"-drive", "if=floppy,format=raw,readonly=on,file=" + disk}})
	r.awaitSame(n, plain)
	r.t.Logf("from Enter to the guest's picture: %.1f s", time.Since(began).Seconds())
	for _, machine := range []*lab.Node{plain, n} {
		r.must(machine.SendKeys(r.t.Context(), "b", "7"))
	}
	r.awaitSame(n, plain)
	r.must(n.SavePNG(r.t.Context(), r.t.ArtifactDir()+"/floppy.png"))
	return plain
}

// awaitSame waits until the middle of the node's picture is the other's, pixel for pixel, and that is not empty.
func (r *room) awaitSame(n, plain *lab.Node) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), toGuest)
	defer cancel()
	for tick := time.NewTicker(300 * time.Millisecond); ; {
		want, got := r.screen(plain), r.screen(n)
		if middle := centre(got, want.Bounds()); lit(want) > 300 && middle != nil && differing(want, middle) == 0 {
			return
		}
		select {
		case <-ctx.Done():
			_ = n.SavePNG(r.t.Context(), r.t.ArtifactDir()+"/node.png")
			_ = plain.SavePNG(r.t.Context(), r.t.ArtifactDir()+"/plain.png")
			r.t.Fatal("the node's picture is not the guest's")
		case <-tick.C:
		}
	}
}

// centre is the part of a picture in its middle, of a size, moved to the origin; nil if the picture is smaller.
func centre(from image.Image, size image.Rectangle) image.Image {
	b := from.Bounds()
	if b.Dx() < size.Dx() || b.Dy() < size.Dy() {
		return nil
	}
	x, y := (b.Dx()-size.Dx())/2, (b.Dy()-size.Dy())/2
	part := image.NewRGBA(size)
	for dy := range size.Dy() {
		for dx := range size.Dx() {
			part.Set(dx, dy, from.At(b.Min.X+x+dx, b.Min.Y+y+dy))
		}
	}
	return part
}

// lit counts the pixels that are not black.
func lit(img image.Image) (n int) {
	b := img.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			if red, green, blue, _ := img.At(x, y).RGBA(); red|green|blue != 0 {
				n++
			}
		}
	}
	return n
}

// A node with a serial line only runs a disc that no one here made, imported, in text, up to GRUB's prompt, and what is typed arrives.
// Before that it runs a guest that writes all over its disk, while another node fetches that very disk from it.
func TestGuestsOnSerialLines(t *testing.T) {
	need.File(t, kit.RescueDisc, kit.RescuePackage)
	r := newRoom(t, "default: scribble\ntimeout: 0\nseed_time: 0\n")
	const size = 16 << 20
	disk := []byte(strings.Repeat("precious", size/8))
	r.must(r.site.AddSystem("scribble", "dispname: Scribbler\nmethod: qemu\nargs: -fda boot.img -hda disk.img -boot a\n",
		map[string][]byte{"boot.img": floppy.Scribbler(size / 512), "disk.img": disk}))
	r.must(r.site.Import(t.Context(), kit.RescueDisc, "rescue", "--title", "GRUB rescue disc"))
	r.must(r.site.Append("rescue", "display: serial\n"))
	r.dhcp()
	r.serve()
	config := func(name string, args ...string) lab.NodeConfig {
		c := r.direct(name, append(args, r.seederArg())...)
		c.Cmdline, c.NoDisplay, c.MemoryMiB = strings.Replace(c.Cmdline, "console=tty0 ", "", 1), true, 1280
		return c
	}
	first := r.node(config("first"))
	lab.Await(t, first.Console(), toChooser+toGuest, `Scribbler runs on ttyS0`)
	lab.Await(t, first.Console(), toGuest, floppy.Scribbled)

	// The seeder can give the second one next to nothing: what it gets, it gets from the node that scribbles.
	r.must(r.host.SetRates(t.Context(), 0, slowLink))
	second := r.node(config("second"))
	lab.Await(t, second.Console(), toChooser+toGuest, `fetched Scribbler: .* from the seeder, .* from other nodes`)
	if node := r.reports()[second.Config.NICs[0].MAC]; node.FromNodes < size/4 {
		t.Errorf("of %d bytes the second node has %d from the first", size, node.FromNodes)
	}
	second.Stop()

	r.must(first.Console().Send("\x1d"))
	lab.AwaitScreen(t, first.Console(), soon, `Scribbler is running`)
	r.must(first.Console().Send("qq"))
	lab.AwaitScreen(t, first.Console(), toMessage, `GRUB rescue disc`)
	r.must(first.Console().Send("/rescue"))
	r.must(first.Console().Send(lab.Enter))
	r.must(first.Console().Send(lab.Enter))
	lab.Await(t, first.Console(), toGuest, `GRUB rescue disc runs on ttyS0`)
	lab.AwaitScreen(t, first.Console(), toGuest, `executed automatically in`)
	r.must(first.Console().Send("c"))
	lab.AwaitScreen(t, first.Console(), toMessage, `grub>`)
	r.typeLine(first, "echo typed $root")
	lab.AwaitScreen(t, first.Console(), toMessage, `(?m)^typed (cd|hd)`)
}
