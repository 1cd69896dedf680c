// Package integration boots rooms of machines from real firmware up.
//
// A boot takes half a minute of a processor, and all of them are most of make test. So a new assertion goes into a room that
// boots already, as a line or a subtest where the machine is in the state it needs:
//
//	what a node's shell can show           nodeSays in help_test.go, by ssh: a command and a pattern
//	what a client of the seeder gets       TestForeignClients, a subtest: no machine boots
//	a system that is started, a guest      TestGuestsOfOneNode, TestGuestsOnSerialLines
//	the chooser, keys, both consoles       TestChooserStartsDebianInstaller
//	groups, machines, locked menus         TestMachinesOfThreeGroups
//	firmware, DHCP of the seeder           TestUEFIServerMode, TestUEFIHTTPBoot, TestUndionlyByTFTP
//	other DHCP servers, two seeders        TestKeaBesideTwoProxies: Kea in hot standby, a seeder that dies, mode off
//	two networks, a mirror, a router that  TestTwoSubnets
//	  counts, a relay of DHCP
//	what seeders and mirrors may forge     TestMachineAmongForgedMirrors; TestMirrorOfForgedMirror, in which no machine boots
//	arm64, two architectures           TestTwoArchitectures
//	Secure Boot: shim, GRUB, what is       TestSecureBoot (nothing enrolled), TestSecureBootWithOwnKeys; underSecureBoot is what
//	  refused, own keys                      such a node's shell shows
//	sticks and discs, boottorrent.conf     TestUSBStick, TestISO, TestStickWith…
//	networks that are slow or tagged       TestLateDHCPAndUnpluggedCard, TestHelpFromAfar
//	a root file system that people know    TestDebian…: debianSays in debian_test.go, a command in the running system and a pattern
//	what is imported, other inits          TestImportedRoots: an entry of imported, with its source in kit/sources.sh
//	images that are large, kernels that    TestLargeRoot, TestKernelWithoutDriverIsRefused
//	  don't fit the machine
//	phase 1 from other machines            TestPhase1FromTheRoom
//	the machine's own disk                 TestOwnDisk: by kexec, by the firmware, before phase 1 is loaded
//	the same behind shim                   TestOwnDiskBehindShim: by GRUB, and where Secure Boot refuses that
//	what is refused                        refusal_test.go
//
// The root file systems are made once and kept in the user's cache (kit/roots.go).
//
// A machine of its own is for what none of these can be in. Machines of one room that only wait are switched on together.
package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/integration/kit"
	"github.com/boottorrent/boottorrent/integration/lab"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/mkimage/image"
)

// Times that something may take on two cores with emulated machines. They only bound a failure; nothing waits for them.
const (
	toChooser = 12 * time.Minute // from power-on
	toSystem  = 20 * time.Minute // from the choice to the next system's init
	toMessage = 8 * time.Minute
	soon      = 2 * time.Minute // what takes a second on an idle machine
)

// The room's network. The range is what an existing DHCP server hands out.
const (
	seederAddr = "10.77.0.1/16"
	routerAddr = "10.77.0.254/16"
	dhcpRange  = "10.77.1.10,10.77.1.200"
)

// shared is built once and used by every test: the host commands, and a site with an image.
var shared struct {
	dir  string
	once sync.Once
	kit  *kit.Kit
	base *kit.Site
	err  error
	// making is held while a medium is made, since mkimage makes the site's image as well, and while that is read.
	making sync.Mutex
}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "boottorrent-room-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	shared.dir = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// base returns the shared site, building it the first time.
func base(t *testing.T) *kit.Site {
	t.Helper()
	shared.once.Do(func() {
		ctx := context.Background()
		if shared.kit, shared.err = kit.Build(ctx, filepath.Join(shared.dir, "bin"), os.Stderr); shared.err != nil {
			return
		}
		// An emulated machine needs 3 s of a processor less to unpack it. The images of the demonstration and of the package are made with xz.
		shared.kit.ImageOptions = []string{"--compress", "zstd"}
		if shared.base, shared.err = shared.kit.NewSite(ctx, filepath.Join(shared.dir, "base"), "base"); shared.err != nil {
			return
		}
		shared.err = shared.base.MakeImage(ctx)
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.base
}

// room is a room with a seeder's host and, beside it, a DHCP server that knows nothing of booting.
type room struct {
	*lab.Room
	t      *testing.T
	host   *lab.Host // the seeder's
	router *lab.Host
	site   *kit.Site
	seeder *kit.Seeder
}

// newRoom makes a room with a site of the shared image and this configuration (after "version: 1"). As many rooms as there are
// processors boot at a time: an emulated machine takes one of them, and waits for timers between.
func newRoom(t *testing.T, config string) *room {
	t.Helper()
	t.Parallel()
	return newRoomAlone(t, config)
}

// newRoomAlone is newRoom for a test during which no other room boots: it goes by how quick the machines are.
func newRoomAlone(t *testing.T, config string) *room {
	t.Helper()
	r := emptyRoom(t, config)
	var err error
	r.host, err = r.Host("seeder", lab.Addr(seederAddr))
	r.must(err)
	r.router, err = r.Host("router", lab.Addr(routerAddr))
	r.must(err)
	return r
}

// emptyRoom is newRoomAlone without hosts.
func emptyRoom(t *testing.T, config string) *room {
	t.Helper()
	need.Root(t)
	need.Command(t, "qemu-system-x86_64", "qemu-system-x86")
	need.Command(t, "dnsmasq", "dnsmasq-base")
	need.File(t, "/usr/lib/ipxe/undionly.kpxe", "ipxe")
	from := base(t)
	r := &room{Room: lab.ForTest(t), t: t}
	var err error
	if r.site, err = from.Kit.NewSite(t.Context(), filepath.Join(t.TempDir(), "site"), "room"); err != nil {
		t.Fatal(err)
	}
	shared.making.Lock()
	err = r.site.ShareImage(from)
	shared.making.Unlock()
	r.must(err)
	r.must(r.site.Configure("version: 1\nname: room\n" + config))
	return r
}

func (r *room) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// together does the same with several machines at once and fails the test if one of them does. Parallel subtests would hand the room's
// place to another room, and its machines would stay on until that has ended.
func together[M any](t *testing.T, machines []M, do func(M)) {
	t.Helper()
	var all sync.WaitGroup
	for _, m := range machines {
		all.Go(func() { do(m) })
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// medium makes a medium of the shared site, one at a time, and returns its path.
func (r *room) medium(format image.Format, args ...string) string {
	r.t.Helper()
	shared.making.Lock()
	defer shared.making.Unlock()
	path, err := base(r.t).MakeMedium(r.t.Context(), r.t.TempDir(), format, args...)
	r.must(err)
	return path
}

// dhcp starts the existing DHCP server.
func (r *room) dhcp() {
	r.t.Helper()
	_, err := lab.DnsmasqDHCP(r.t.Context(), r.router, dhcpRange)
	r.must(err)
}

// serve starts the seeder.
func (r *room) serve() {
	r.t.Helper()
	var err error
	r.seeder, err = r.site.Serve(r.t.Context(), r.host)
	r.must(err)
}

// node switches a machine on.
func (r *room) node(c lab.NodeConfig) *lab.Node {
	r.t.Helper()
	n, err := r.Node(c)
	r.must(err)
	return n
}

// direct is a machine that starts phase 1 without firmware's help, for tests of what comes after.
func (r *room) direct(name string, args ...string) lab.NodeConfig {
	return lab.NodeConfig{
		Name: name, Kernel: r.site.Path("image", "vmlinuz"), Initrd: r.site.Path("image", "initramfs.img"),
		Cmdline: strings.Join(append([]string{"console=tty0 console=ttyS0,115200 loglevel=5 panic=30 no5lvl"}, args...), " "),
	}
}

// seederArg tells phase 1 where the seeder is.
func (r *room) seederArg() string { return "bt.seeder=http://" + r.host.IP().String() + ":8080" }

// reports returns what the nodes have told the seeder, by MAC address.
func (r *room) reports() map[string]report.Node {
	r.t.Helper()
	nodes, err := r.seeder.Nodes(r.t.Context())
	r.must(err)
	byMAC := map[string]report.Node{}
	for _, n := range nodes {
		byMAC[n.MAC] = n
	}
	return byMAC
}

// order runs a command of the seeder's machine about nodes, which must say what the pattern has.
func (r *room) order(pattern, command string, args ...string) {
	r.t.Helper()
	said, err := r.site.Order(r.t.Context(), command, args...)
	r.must(err)
	if r.t.Logf("seeder %s %v: %s", command, args, said); !regexp.MustCompile(pattern).MatchString(said) {
		r.t.Errorf("seeder %s %v says %q, want %s", command, args, said, pattern)
	}
}

// awaitTiny waits until the node runs the tiny system, and returns what that says about itself.
func (r *room) awaitTiny(n *lab.Node, within time.Duration) (mac, cmdline string) {
	r.t.Helper()
	lab.Await(r.t, n.Console(), within, `BootTorrent hands over to`)
	lab.Await(r.t, n.Console(), within, `BOOTTORRENT-TINY-OK`)
	return lab.Await(r.t, n.Console(), soon, `mac=\S+ (\S+)\n`)[1], lab.Await(r.t, n.Console(), soon, `cmdline=(.*)\n`)[1]
}
