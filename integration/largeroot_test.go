package integration

import (
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/integration/kit"
	"github.com/boottorrent/boottorrent/integration/lab"
)

// An image of half of a machine's memory, and of more than what is left when it runs: the machine has it in memory once, or not at all.
const (
	largeRoot   = 768  // MiB
	largeMemory = 1536 // MiB
)

// largest is the environment's variable for another image, in MiB, on a machine that it fills to three quarters: 3072 is about the least
// beside which the rest finds room then, and takes an emulated machine 15 minutes.
const largest = "BOOTTORRENT_ROOT_MIB"

// A machine that has room for an image once runs it. One with less memory refuses it with the sum, before it downloads.
func TestLargeRoot(t *testing.T) {
	size, memory := largeRoot, largeMemory
	if s := os.Getenv(largest); s != "" {
		var err error
		if size, err = strconv.Atoi(s); err != nil {
			t.Fatalf("%s: %v", largest, err)
		}
		memory = size * 4 / 3
	}
	randomPart := int64(size-8) << 20 // cannot be made smaller
	r := newRoom(t, "timeout: -1\nseed_time: 0\n")
	made, _, _ := roots(t)
	r.must(r.site.AddRoot(t.Context(), "large", r.largeImage(made, randomPart), nil, ""))
	r.dhcp()
	r.serve()
	machine := func(name string, memory int) *lab.Node {
		c := r.direct(name, r.seederArg(), "bt.system=large", "bt.timeout=0")
		c.MemoryMiB, c.NoDisplay = memory, true
		return r.node(c)
	}
	small := machine("small", memory*3/4)
	lab.AwaitScreen(t, small.Console(), toChooser, wrapped(`does not fit into memory: download [0-9]{3,4} MiB .* = [0-9]+ MiB, this machine has [0-9]+ MiB free`))
	if node := r.reports()[small.Config.NICs[0].MAC]; node.FromSeeder+node.FromNodes+node.FromHTTP > 0 {
		t.Errorf("it downloaded before it refused: %+v", node)
	}
	small.Stop()

	large := machine("large", memory)
	lab.Await(t, large.Console(), 2*toSystem, `ROOT-OK name=large .*stays=1 written`)
	lab.Await(t, large.Console(), toMessage, `# `)
	s := shell{t: t, n: large}
	s.plain()
	// The end of the image is read as well.
	s.says(map[string]string{"wc -c < /random": fmt.Sprint(randomPart)})
	// This system leaves the network alone until somebody gives it an address.
	s.awaitStatus(`"state": "waiting"`)
	s.run("ifconfig eth0 10.77.9.9 netmask 255.255.0.0 up")
	s.awaitStatus(`"state": "giving"`)
	t.Logf("%s", strings.ReplaceAll(s.run("head -n 3 /proc/meminfo; grep Shmem: /proc/meminfo"), "\n", ", "))
}

// largeImage makes an image of the root Busybox and this many random bytes, and returns its path.
func (r *room) largeImage(made *kit.Roots, random int64) string {
	r.t.Helper()
	dir := r.t.TempDir()
	root := filepath.Join(dir, "root")
	r.must(os.Mkdir(root, 0o755))
	r.exec("tar", "-xf", made.Busybox, "-C", root)
	r.must(os.WriteFile(filepath.Join(root, "etc", "root-name"), []byte("large\n"), 0o644))
	f, err := os.Create(filepath.Join(root, "random"))
	r.must(err)
	_, err = io.CopyN(f, rand.Reader, random)
	r.must(err)
	r.must(f.Close())
	image := filepath.Join(dir, "root.squashfs")
	// Uncompressed: the random bytes can't be compressed, and nobody should wait for the attempt.
	r.exec("mksquashfs", root, image, "-quiet", "-no-progress", "-noD", "-noF", "-noI", "-noX")
	r.must(os.RemoveAll(root))
	return image
}

// exec runs a program on this machine.
func (r *room) exec(name string, args ...string) {
	r.t.Helper()
	if out, err := exec.CommandContext(r.t.Context(), name, args...).CombinedOutput(); err != nil {
		r.t.Fatalf("%s: %v: %s", name, err, out)
	}
}

// A kernel whose modules have no driver for the machine's network card is refused before it is started: the one for clouds knows no e1000e.
func TestKernelWithoutDriverIsRefused(t *testing.T) {
	r := newRoom(t, "timeout: -1\nseed_time: 0\n")
	made, _, cloud := roots(t)
	r.must(r.site.AddRoot(t.Context(), "debian", made.Debian, &cloud, ""))
	r.dhcp()
	r.serve()
	c := r.direct("desk", r.seederArg(), "bt.system=debian", "bt.timeout=0")
	c.NICs = []lab.NIC{{Model: "e1000e"}}
	n := r.node(c)
	lab.AwaitScreen(t, n.Console(), toChooser, wrapped(`e1000e.*8086:10d3`))
	if node := r.reports()[n.Config.NICs[0].MAC]; node.FromSeeder+node.FromNodes+node.FromHTTP > 64<<20 {
		t.Errorf("it downloaded the image before it refused: %+v", node)
	}
}
