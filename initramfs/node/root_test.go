package node

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aead.dev/minisign"

	"github.com/boottorrent/boottorrent/initramfs/client"
	"github.com/boottorrent/boottorrent/initramfs/config"
	"github.com/boottorrent/boottorrent/initramfs/decision"
	"github.com/boottorrent/boottorrent/initramfs/handoff"
	"github.com/boottorrent/boottorrent/initramfs/launch"
	"github.com/boottorrent/boottorrent/initramfs/network"
	"github.com/boottorrent/boottorrent/initramfs/stay"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/modarchive"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/report"
	"github.com/boottorrent/boottorrent/internal/roottest"
)

// rootRoom is a seeder with a system of the method root that wants another kernel than phase 1's, and a node that has read its catalog.
type rootRoom struct {
	*seeder
	node *Node
	part catalog.Runtime
	key  minisign.PublicKey
	// rules and listed are what the catalog has of them.
	rules  catalog.Rules
	listed []catalog.Files
}

const otherRelease = "6.1.0-9-other"

func newRootRoom(t *testing.T) *rootRoom {
	t.Helper()
	r := &rootRoom{seeder: bareSeeder(t)}
	part, _ := r.offer(catalog.System{Name: "debian@boot", Title: "Kernel of Debian", Arch: "amd64"},
		offered{"vmlinuz", roottest.Kernel(otherRelease)}, offered{"modules.img", roottest.Modules(t, otherRelease, "virtio_net")})
	r.part = catalog.Runtime{System: part}
	r.system, r.torrent = r.offer(catalog.System{Name: "debian", Title: "Debian", Arch: "amd64", Launch: catalog.Launch{Method: catalog.MethodRoot,
		Root: &catalog.Root{Images: []catalog.RootImage{{Path: "root.squashfs", FS: "squashfs"}}, Init: "/sbin/init", Writable: catalog.WritableRAM,
			Cmdline: "quiet mac={{.MAC}}", Boot: &catalog.RootBoot{Part: part.Name, Kernel: "vmlinuz", Modules: "modules.img",
				KernelSHA256: strings.Repeat("b", 64), Release: otherRelease}}}},
		offered{"root.squashfs", []byte(strings.Repeat("an image, for all the swarm knows\n", 3000))})
	r.node = r.newNode(t)
	r.publish(t)
	return r
}

// publish signs a catalog of what there is.
func (r *rootRoom) publish(t *testing.T) {
	t.Helper()
	public, private, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	cat := &catalog.Catalog{Version: catalog.Version, Site: "test", Counter: 1795420800, Systems: []catalog.System{r.system}, Runtimes: []catalog.Runtime{r.part}, Rules: r.rules, Files: r.listed}
	document, err := cat.Encode()
	if err != nil {
		t.Fatal(err)
	}
	r.key, r.node.session.Key = public, public
	r.node.session.catalog = cat
	r.node.raise(cat.Counter)
	r.node.session.signed = client.Signed{Catalog: cat, Document: document, Signature: catalog.Sign(private, document)}
}

// newNode is a node of this room whose kernel is another.
func (r *rootRoom) newNode(t *testing.T) *Node {
	t.Helper()
	n, _ := newNode(t, r.url)
	n.Image.KernelSHA256 = strings.Repeat("a", 64)
	n.mounts = func(fs string) bool { return fs == "squashfs" }
	n.checkNIC = func(*modarchive.Index, string) error { return nil }
	n.Cmdline.Consoles = []string{"ttyS0"}
	n.link.setLease(network.Lease{Interface: "lo", MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, Addr: netip.MustParsePrefix("127.0.0.1/8"), Duration: time.Hour})
	write(t, filepath.Join(n.RootDir, "bbin", "bb"), []byte("the program"))
	write(t, filepath.Join(n.RootDir, "bin", "sh"), nil)
	if err := os.Symlink("bbin/bb", filepath.Join(n.RootDir, "init")); err != nil {
		t.Fatal(err)
	}
	return n
}

// fakeMethod is a launch.Method that starts nothing.
type fakeMethod struct {
	launch.Method
	load          func(launch.Job) error
	startErr      error
	unloaded      bool
	initramfs     int64 // as it was announced
	started, down bool
}

func (f *fakeMethod) Load(_ context.Context, job launch.Job) error { return f.load(job) }
func (f *fakeMethod) Unload() error                                { f.unloaded = true; return nil }
func (f *fakeMethod) Start(context.Context, launch.Job) (launch.Guest, error) {
	f.started = true
	return nil, f.startErr
}

// fetch fetches what the node needs next of the system.
func (r *rootRoom) fetch(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := r.node.Fetch(ctx, r.system); err != nil {
		t.Fatal(err)
	}
}

// handOver goes from the choice to the other kernel, and returns what that is given.
func (r *rootRoom) handOver(t *testing.T) *handoff.Received {
	t.Helper()
	r.fetch(t)
	to := t.TempDir()
	var cmdline string
	f := &fakeMethod{startErr: errors.New("the end of this kernel"), load: func(job launch.Job) error {
		cmdline = job.System.Launch.Kexec.Cmdline
		if k := job.System.Launch.Kexec; len(k.Initrd) != 2 || !strings.HasSuffix(k.Initrd[1], "/debian@boot/modules.img") || !strings.HasSuffix(k.Kernel, "/debian@boot/vmlinuz") {
			t.Errorf("started is %+v", k)
		}
		unpack(t, filepath.Join(job.Dir, job.System.Launch.Kexec.Initrd[0]), to)
		return nil
	}}
	r.node.newKernel = func(size int64) launch.Method { f.initramfs = size; return f }
	if err := r.node.Seed(t.Context(), r.system, catalog.Seeding{Until: catalog.UntilTime, Limit: 3600}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.node.Launch(t.Context(), r.system); !errors.Is(err, f.startErr) {
		t.Fatalf("started: %v", err)
	}
	if want := "quiet mac=02:00:00:00:00:01 bt.system=debian bt.timeout=0 bt.seeder=" + r.url; !strings.HasPrefix(cmdline, want) || !strings.Contains(cmdline, " console=ttyS0") ||
		!strings.Contains(cmdline, " bt.seen=1795420800 ") {
		t.Errorf("the command line is %s, want %s … bt.seen=…", cmdline, want)
	}
	site, err := config.ReadImage(filepath.Join(to, "etc/boottorrent/site.json"))
	if err != nil || site.KernelSHA256 != strings.Repeat("b", 64) {
		t.Errorf("the site's part is %+v, %v", site, err)
	}
	received, err := handoff.Open(filepath.Join(to, handoff.Dir), r.key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(launch.ComposedInitramfs(r.node.Systems)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the initramfs is still there (%v)", err)
	}
	return received
}

// unpack unpacks an initramfs as the kernel does.
func unpack(t *testing.T, archive, to string) {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd := exec.Command(need.Command(t, "cpio", "cpio"), "-i", "--quiet", "--no-absolute-filenames")
	cmd.Dir, cmd.Stdin = to, f
	if out, err := cmd.CombinedOutput(); err != nil && os.Geteuid() == 0 { // who is not root can't make devices
		t.Fatalf("cpio: %v: %s", err, out)
	}
}

// A system that wants another kernel: only its boot part is fetched, and with that kernel the node hands itself on.
func TestBootPartGoesFirst(t *testing.T) {
	r := newRootRoom(t)
	received := r.handOver(t)
	if received.System.Name != "debian" || received.Lease.MAC.String() != "02:00:00:00:00:01" || received.Seeder != r.url || received.LeaseAge <= 0 {
		t.Errorf("handed on is %+v", received.State)
	}
	if part := received.Part; part == nil || part.System.InfoHash != r.part.InfoHash {
		t.Errorf("the boot part that is handed on is %+v", part)
	}
	if rep := received.Report; rep.System != "debian" || rep.Boot != r.node.Report.Snapshot().Boot || rep.Step == report.Give || rep.State == report.Done && rep.Step == report.Launch {
		t.Errorf("the report says %+v", rep)
	}
	entries, err := os.ReadDir(r.node.Systems)
	if err != nil || len(entries) != 1 || entries[0].Name() != r.part.InfoHash.String() || !strings.Contains(r.node.Folder(r.system), entries[0].Name()) {
		t.Errorf("fetched is %v, %v, in %s; want the boot part alone", entries, err, r.node.Folder(r.system))
	}
}

// A kernel without a driver for the card in use is not started.
func TestKernelWithoutDriver(t *testing.T) {
	r := newRootRoom(t)
	r.fetch(t)
	why := errors.New("the kernel has no driver e1000e for 8086:15b7")
	r.node.checkNIC = func(x *modarchive.Index, mac string) error {
		if mac != "02:00:00:00:00:01" || x.Release != otherRelease || !x.Has("virtio_net") {
			t.Errorf("asked is for %s, %s", x.Release, mac)
		}
		return why
	}
	r.node.newKernel = func(int64) launch.Method { t.Error("it was started"); return nil }
	if _, err := r.node.Launch(t.Context(), r.system); !errors.Is(err, why) {
		t.Errorf("started: %v", err)
	}
}

// Under the other kernel the seeder is gone: what was handed on is enough for the way to the fetch, and the same boot goes on.
func TestGoesOnWithoutSeeder(t *testing.T) {
	r := newRootRoom(t)
	r.node.session.Learn([]catalog.SeederAddress{{HTTP: r.url}, {HTTP: "http://127.0.0.1:2", Torrent: netip.MustParseAddrPort("127.0.0.1:6881")}})
	received := r.handOver(t)
	r.server.Close()
	cmdline, _ := config.ParseCmdline("quiet ip=10.9.9.9::::: vlan=7 console=hvc0 bt.system=debian bt.timeout=0 bt.seeder=" + r.url)
	first, p := newNode(t, "")
	cfg := first.Config
	cfg.Cmdline, cfg.Image.PublicKey, cfg.Image.KernelSHA256 = cmdline, r.key.String(), strings.Repeat("b", 64)
	received.HostKey = nil // whose file is the machine's
	cfg, err := takeUp(cfg, received)
	if err != nil {
		t.Fatal(err)
	}
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	n.mounts = r.node.mounts
	n.link.setLease(r.node.link.lease())
	if c := n.Cmdline; c.Network.VLAN != 0 || c.Network.Static.IsValid() || c.Network.MAC != "02:00:00:00:00:01" || c.Consoles[0] != "hvc0" {
		t.Errorf("what the system is told of the network is taken for phase 1's: %+v", c)
	}
	if err := n.session.seen.Check(received.Catalog.Counter-1, r.url); err == nil || n.session.seen.Check(received.Catalog.Counter, r.url) != nil {
		t.Errorf("under this kernel the node knows of the counter %d", n.seen())
	}
	if known := n.session.Known(); len(known) != 2 || known[0].HTTP != r.url || known[1].HTTP != "http://127.0.0.1:2" {
		t.Errorf("under this kernel the node knows the seeders %v", known)
	}
	n.ByHand = true // nothing is reported
	if err := n.Discover(t.Context()); err != nil || n.session.Client().Base != r.url || !n.session.Silent() {
		t.Fatalf("the seeder that is gone: %v", err)
	}
	cat, err := n.Catalog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	choice, err := n.Choose(t.Context(), cat, false)
	if err != nil || choice.Action != decision.Start || choice.System != "debian" || strings.Contains(p.all(), "Enter") {
		t.Errorf("chosen is %+v, %v; the screen:\n%s", choice, err, p.all())
	}
	sys, _ := cat.System(choice.System)
	if other, err := n.otherKernel(sys); other || err != nil {
		t.Errorf("another kernel is needed once more (%v)", err)
	}
	files, err := n.download.files(t.Context(), sys)
	torrent, err2 := n.download.torrent(t.Context(), sys)
	if err != nil || err2 != nil || len(files) != 1 || len(torrent) != len(r.torrent) {
		t.Errorf("%d files (%v), a torrent of %d bytes (%v)", len(files), err, len(torrent), err2)
	}
	if rep := n.Report.Snapshot(); rep.Boot != r.node.Report.Snapshot().Boot || rep.Durations[report.Launch] <= 0 {
		t.Errorf("the report goes on as %+v", rep)
	}
	if c := n.keptCmdline(); c.Consoles[0] != "ttyS0" {
		t.Errorf("a third kernel without consoles of its own gets those of the second: %q", c.Consoles)
	}
	if err := n.download.startEngine(); err != nil {
		t.Fatal(err)
	}
	defer n.download.stopEngine()
	if err := n.giveHanded(); err != nil {
		t.Fatal(err)
	}
	if s, ok := n.download.engine.Stats(r.part.InfoHash); !ok || !s.Complete {
		t.Errorf("the boot part is not given away: %+v", s)
	}
	if plan, err := n.plan(t.Context(), sys); err != nil || plan.Part == nil || plan.Part.System.InfoHash != r.part.InfoHash {
		t.Errorf("the process that stays gives %+v, %v", plan.Part, err)
	}
	// Asked again, as after a failure, it would like to have the seeder, and goes on none the less.
	n.tell()
	if err := n.Discover(t.Context()); err != nil {
		t.Errorf("the second time: %v", err)
	}
	if again, err := n.Catalog(t.Context()); err != nil || len(again.Systems) != 1 {
		t.Errorf("the second catalog: %+v, %v", again, err)
	}
}

// A system that is gone from the catalog is not replaced by the default at once.
func TestHandedSystemIsGone(t *testing.T) {
	n, _ := newNode(t, "")
	now := 0
	n.Cmdline.System, n.Cmdline.Timeout, n.handed = "debian", &now, &handed{}
	cat := n.override(&catalog.Catalog{Defaults: catalog.Defaults{System: "tiny", Timeout: 30}, Systems: []catalog.System{kexec("tiny")}})
	if cat.Defaults.Timeout != 30 {
		t.Errorf("the countdown is %d s", cat.Defaults.Timeout)
	}
}

// What was handed on and can't be believed is as nothing, with a warning.
func TestBadHandoff(t *testing.T) {
	r := newRootRoom(t)
	dir := t.TempDir()
	image := r.node.Image
	if got, warnings := readHandoff(filepath.Join(dir, "none"), image); got != nil || len(warnings) != 0 {
		t.Errorf("of nothing: %v, %q", got, warnings)
	}
	write(t, filepath.Join(dir, "state.json"), []byte("{}"))
	if got, warnings := readHandoff(dir, image); got != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "begins anew") {
		t.Errorf("of half of it: %v, %q", got, warnings)
	}
}

// The kernel is the right one: the images are fetched and mounted, the process that stays gets its plan, and the boot ends. Nobody waits
// before that, as the system is given away while it runs, unless the site says otherwise.
func TestSwitch(t *testing.T) {
	r := newRootRoom(t)
	n := r.node
	n.Image.KernelSHA256 = strings.Repeat("b", 64)
	r.fetch(t)
	seeded := make(chan error, 1)
	go func() {
		seeded <- n.Seed(t.Context(), r.system, catalog.Seeding{Until: catalog.UntilTime, Limit: 3600})
	}()
	if err := result(t, seeded); err != nil {
		t.Fatal(err)
	}
	given := n.download.engine != nil
	f := &fakeMethod{startErr: errors.New("no space left"), load: func(job launch.Job) error {
		given = given && n.download.engine != nil
		_, err := os.Stat(filepath.Join(job.Dir, "root.squashfs"))
		return err
	}}
	if _, err := n.switchTo(t.Context(), f, r.system); !errors.Is(err, f.startErr) || !f.unloaded || !given {
		t.Errorf("a failure: %v; unmounted: %v; given away while that was mounted: %v", err, f.unloaded, given)
	}
	f.startErr = launch.ErrSwitch
	n.link.down = func() error { f.down = true; return nil }
	d, err := n.switchTo(t.Context(), f, r.system)
	if err != nil || d.Action != decision.Switch || !f.down || n.download.engine != nil {
		t.Errorf("%+v, %v; the network is down: %v", d, err, f.down)
	}
	text, err := os.ReadFile(n.PlanFile)
	if err != nil {
		t.Fatal(err)
	}
	var plan stay.Plan
	if err := json.Unmarshal(text, &plan); err != nil {
		t.Fatal(err)
	}
	if plan.System.InfoHash != r.system.InfoHash || !plan.Give || plan.Seeder != r.url || len(plan.Files) != 1 || len(plan.Torrent) != len(r.torrent) ||
		len(plan.Seeders) != 1 || plan.Report.Step != n.Report.Snapshot().Step {
		t.Errorf("the plan is %+v", plan)
	}
	n.ByHand = true
	if _, err := n.switchTo(t.Context(), f, r.system); err == nil || !strings.Contains(err.Error(), "process 1") {
		t.Errorf("by hand: %v", err)
	}
}

// Where nodes leave at the start, they seed before it as the rule says.
func TestLeaveAtStart(t *testing.T) {
	r := newRootRoom(t)
	n := r.node
	n.Image.KernelSHA256 = strings.Repeat("b", 64)
	n.session.catalog.Defaults.LeaveAtStart = true
	r.fetch(t)
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { ended <- n.Seed(ctx, r.system, catalog.Seeding{Until: catalog.UntilTime, Limit: 3600}) }()
	select {
	case err := <-ended:
		t.Errorf("it left at once: %v", err)
	case <-time.After(time.Second / 2):
	}
	cancel()
	<-ended
	if plan, err := n.plan(t.Context(), r.system); err != nil || plan.Give {
		t.Errorf("the plan gives away: %v, %v", plan.Give, err)
	}
}

// The memory that the whole system takes is named before anything of it is downloaded, its boot part included.
func TestPreflightOfAWholeSystem(t *testing.T) {
	r := newRootRoom(t)
	huge := r.system
	huge.Size = 1 << 50
	r.node.download.lists[huge.InfoHash] = catalog.FileList{{Path: "root.squashfs", Size: huge.Size}}
	err := r.node.Fetch(t.Context(), huge)
	var memory *launch.MemoryError
	if !errors.As(err, &memory) || !strings.Contains(err.Error(), "the running system") {
		t.Errorf("%v", err)
	}
	entries, err := os.ReadDir(r.node.Systems)
	if err != nil || len(entries) != 0 {
		t.Errorf("there is %v, %v", entries, err)
	}
}
