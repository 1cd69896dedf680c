package selftest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/internal/sitepart"
	"github.com/boottorrent/boottorrent/seeder/dhcp"
	"github.com/boottorrent/boottorrent/seeder/loaders"
)

// newSite makes a site with an image as mkimage makes it.
func newSite(t *testing.T) *site.Site {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "room")
	if err := site.Init(dir, "Room 12"); err != nil {
		t.Fatal(err)
	}
	s, problems := site.Load(dir)
	if s == nil {
		t.Fatal(problems)
	}
	writeImage(t, s, func(*image.Made) {})
	return s
}

// writeImage writes an image, whose manifest change may change.
func writeImage(t *testing.T, s *site.Site, change func(*image.Made)) {
	t.Helper()
	dir := filepath.Join(s.Dir, site.ImageDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	key, err := s.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	text, err := key.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	made := &image.Made{SitePart: &sitepart.Config{Site: s.Name, PublicKey: string(text)}, Cmdline: s.Cmdline().String()}
	made.Commands.Release = "v1"
	for _, name := range []string{image.Kernel, image.Initramfs} {
		sum := sha256.Sum256([]byte(name))
		made.Files = append(made.Files, image.File{Name: name, Size: int64(len(name)), SHA256: hex.EncodeToString(sum[:])})
		write(t, filepath.Join(dir, name), name)
	}
	change(made)
	body, err := json.Marshal(made)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, image.Manifest), string(body))
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// expect compares findings with the beginnings of their texts.
func expect(t *testing.T, name string, found []Finding, want ...string) {
	t.Helper()
	ok := len(found) == len(want)
	for i := 0; ok && i < len(want); i++ {
		ok = strings.HasPrefix(found[i].String(), want[i]) && found[i].Do != ""
	}
	if !ok {
		t.Errorf("%s: found %v, want %q", name, found, want)
	}
}

func TestImage(t *testing.T) {
	s := newSite(t)
	in := Input{Site: s, Release: "v1"}
	dir := filepath.Join(s.Dir, site.ImageDir)
	expect(t, "as it is made", in.image())

	write(t, filepath.Join(dir, image.Initramfs), "initramfs.bad")
	expect(t, "another file", in.image(), "problem: the image is not whole, so that nodes may not start: image/initramfs.img is not the one")
	write(t, filepath.Join(dir, image.Initramfs), "half")
	expect(t, "half a file", in.image(), "problem: the image is not whole, so that nodes may not start: image/initramfs.img has 4 bytes")
	if err := os.Remove(filepath.Join(dir, image.Initramfs)); err != nil {
		t.Fatal(err)
	}
	expect(t, "a file gone", in.image(), "problem: the image is not whole, so that nodes may not start: image/initramfs.img is missing")

	other := newSite(t)
	key, err := other.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	text, err := key.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	writeImage(t, s, func(m *image.Made) { m.SitePart.PublicKey = string(text) })
	expect(t, "another site's", in.image(), "problem: the image was made with another key")
	writeImage(t, s, func(m *image.Made) { m.SitePart = nil })
	expect(t, "of the first releases", in.image(), "warning: the image was made by an older release")
	writeImage(t, s, func(m *image.Made) { m.Commands.Release = "v0" })
	expect(t, "of another release", in.image(), "warning: the image is of release v0, and this seeder of v1")
	writeImage(t, s, func(m *image.Made) {
		m.SitePart.Site, m.SitePart.SSHKeys, m.Cmdline = "Room 1", []string{"ssh-ed25519 AAAA"}, "quiet"
		m.SitePart.Passwords = []string{"$2a$04$"}
	})
	expect(t, "before the site was changed", in.image(), `warning: nodes still show the site's old name "Room 1"`,
		"warning: node: ssh_keys was changed", "warning: the passwords of locked menus were changed", "warning: node: consoles or cmdline was changed")
	writeImage(t, s, func(m *image.Made) { m.Commands.Release, m.Commands.Revision = "devel", "aaaa" })
	expect(t, "of another commit", Input{Site: s, Release: "devel", Revision: "bbbb"}.image(), "warning: the image is of the source at aaaa")
	write(t, filepath.Join(dir, image.Manifest), "{")
	expect(t, "a damaged manifest", in.image(), "problem: image can't be judged: manifest.json is damaged")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	expect(t, "none", in.image(), "problem: image/manifest.json is missing")
	s.Arches = []arch.Arch{arch.ARM64}
	expect(t, "none of the architecture that the site has", in.image(), "problem: image/arm64/manifest.json is missing")
}

func TestLoaders(t *testing.T) {
	s, root := newSite(t), t.TempDir()
	in := Input{Site: s, Loaders: loaders.At(s.Dir, root)}
	expect(t, "none", in.loaders(), "problem: iPXE is not installed")
	install(t, root, "usr/lib/ipxe/snponly.efi", "")
	expect(t, "one", in.loaders(), "problem: of iPXE undionly.kpxe, ipxe.efi is not installed")
	install(t, root, "usr/lib/ipxe/undionly.kpxe", "")
	install(t, root, "boot/ipxe.efi", "")
	expect(t, "all", in.loaders())
}

// install puts a file where a package would, with the content of another one, or none.
func install(t *testing.T, root, path, from string) {
	t.Helper()
	var content []byte
	if from != "" {
		var err error
		if content, err = os.ReadFile(from); err != nil {
			t.Fatal(err)
		}
	}
	path = filepath.Join(root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, path, string(content))
}

// What keeps machines with Secure Boot on from booting is told before one is switched on.
func TestSecureBoot(t *testing.T) {
	s, root := newSite(t), t.TempDir()
	in := Input{Site: s, Loaders: loaders.At(s.Dir, root)}
	with := func(uefi site.UEFI) []Finding {
		s.UEFI = uefi
		return in.secureBoot()
	}
	expect(t, "nothing installed", with(site.UEFIAuto), "note: machines with Secure Boot on get nothing from the network: shim or")
	expect(t, "nothing installed", with(site.UEFIShim), "problem: machines with Secure Boot on get nothing from the network: shim or")
	expect(t, "not wanted", with(site.UEFIiPXE))
	expect(t, "no program", with(site.UEFIUKI), "problem: uefi is uki, and image/boottorrent.efi is missing")
	write(t, filepath.Join(s.Dir, site.ImageDir, image.UKI), "program")
	expect(t, "not signed", with(site.UEFIUKI), "problem: uefi is uki, and image/boottorrent.efi is not signed")
	writeImage(t, s, func(m *image.Made) { m.SignedBy = &image.Signer{Name: "Room 12"} })
	expect(t, "signed", with(site.UEFIUKI))
	install(t, s.Dir, "loaders/x86_64-sb/snponly-shim.efi", "")
	install(t, s.Dir, "loaders/x86_64-sb/snponly.efi", "")
	expect(t, "iPXE's own shim", with(site.UEFIShim))
}

// A site is judged by the images of the machines that it has.
func TestSecureBootOfARM64(t *testing.T) {
	s := newSite(t)
	s.Arches = []arch.Arch{arch.ARM64}
	in := Input{Site: s, Loaders: loaders.At(s.Dir, t.TempDir())}
	s.UEFI = site.UEFIAuto
	expect(t, "no PC", slices.Concat(in.secureBoot(), in.loaders()))
	s.UEFI = site.UEFIUKI
	expect(t, "no program", in.secureBoot(), "problem: uefi is uki, and image/arm64/boottorrent.efi is missing")
	install(t, s.Dir, "image/arm64/boottorrent.efi", "")
	install(t, s.Dir, "image/arm64/manifest.json", "")
	expect(t, "not signed", in.secureBoot(), "problem: uefi is uki, and image/arm64/boottorrent.efi is not signed")
}

// Shim starts what Debian has signed, and nothing else.
func TestSecureBootKernel(t *testing.T) {
	shim := need.File(t, "/usr/lib/shim/shimx64.efi.signed", "shim-signed")
	signed := need.File(t, "/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed", "grub-efi-amd64-signed")
	unsigned := need.File(t, "/usr/lib/ipxe/snponly.efi", "ipxe")
	s, root := newSite(t), t.TempDir()
	s.UEFI = site.UEFIShim
	in := Input{Site: s, Loaders: loaders.At(s.Dir, root)}
	install(t, root, "usr/lib/shim/shimx64.efi.signed", shim)
	install(t, root, "usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed", signed)
	install(t, s.Dir, "image/vmlinuz", signed)
	expect(t, "signed by Debian", in.secureBoot())
	s.Ports.TFTP = 0
	expect(t, "no TFTP", in.secureBoot(), "problem: uefi is shim, which loads everything by TFTP")
	s.Ports.TFTP = 69
	install(t, s.Dir, "image/vmlinuz", unsigned)
	expect(t, "not signed", in.secureBoot(), "problem: machines with Secure Boot on don't start image/vmlinuz: it is not signed by Debian")
	in.Site.UEFI = site.UEFIAuto
	expect(t, "not signed, and nobody asked for Secure Boot", in.secureBoot(), "warning: machines with Secure Boot on don't start image/vmlinuz")
	in.Site.UEFI = site.UEFIShim
	install(t, root, "usr/lib/shim/shimx64.efi.signed", unsigned)
	expect(t, "no shim", in.secureBoot(), "warning: whose kernels")
}

func on(name, addr string, index int) dhcp.Interface {
	return dhcp.Interface{Name: name, Index: index, Addr: netip.MustParsePrefix(addr)}
}

// Without its secret key a site can't be served, and serve and check say so alike.
func TestKey(t *testing.T) {
	s := newSite(t)
	in := Input{Site: s}
	expect(t, "both keys", in.key())
	if err := os.Remove(filepath.Join(s.Dir, site.SecretKeyFile)); err != nil {
		t.Fatal(err)
	}
	expect(t, "the secret key is lost", in.key(), "problem: "+filepath.Join(s.Dir, site.SecretKeyFile)+" does not exist, so no catalog can be signed")
	s.Original = true
	expect(t, "an original's secret key is lost", in.key(), "problem: ")
	if err := os.Remove(filepath.Join(s.Dir, site.PublicKeyFile)); err != nil {
		t.Fatal(err)
	}
	expect(t, "an original's first start", in.key())
}

func TestNetwork(t *testing.T) {
	eth, wlan, docker := on("eth0", "10.0.0.1/24", 2), on("wlan0", "192.168.1.7/24", 3), on("docker0", "172.17.0.1/16", 4)
	in := Input{Site: &site.Site{}, Interfaces: []dhcp.Interface{wlan}, All: []dhcp.Interface{on("lo", "127.0.0.1/8", 1), eth, wlan, docker}}
	expect(t, "not named", in.network(), "warning: only wlan0 (192.168.1.7/24) is served, which has the default route; this machine also has eth0 (10.0.0.1/24)")
	in.Site.Serve.Interfaces = []string{"wlan0"}
	expect(t, "named", in.network())
	in.NoInterface = errors.New("eth9 is not there")
	expect(t, "one that is not there", in.network(), "problem: eth9 is not there; correct serve.interfaces")

	in = Input{Site: &site.Site{DHCP: site.DHCP{Mode: site.DHCPServer}}, Interfaces: []dhcp.Interface{eth}}
	in.Site.DHCP.First, in.Site.DHCP.Last = netip.MustParseAddr("10.0.9.1"), netip.MustParseAddr("10.0.9.9")
	expect(t, "a range elsewhere", in.dhcp(), "problem: the range 10.0.9.1 to 10.0.9.9 is in the network of no interface",
		"warning: interface eth0 (10.0.0.0/24) has no range of its own")
	in.Site.DHCP.First, in.Site.DHCP.Last = netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.9")
	expect(t, "a range with the own address", in.dhcp(), "warning: the range 10.0.0.1 to 10.0.0.9 has this machine's own address 10.0.0.1")
}

func TestOtherDHCPServers(t *testing.T) {
	eth := on("eth0", "10.0.0.1/24", 2)
	router := []netip.Addr{netip.MustParseAddr("10.0.0.254")}
	for _, c := range []struct {
		mode    site.DHCPMode
		servers []netip.Addr
		err     error
		want    []string
	}{
		{site.DHCPProxy, router, nil, nil},
		{site.DHCPProxy, nil, nil, []string{"warning: no DHCP server gave this machine an address on eth0"}},
		{site.DHCPServer, nil, nil, nil},
		{site.DHCPServer, router, nil, []string{"problem: another DHCP server hands out addresses on eth0, too: 10.0.0.254"}},
		{site.DHCPServer, []netip.Addr{eth.Addr.Addr()}, nil, []string{"problem: another DHCP server hands out addresses on eth0, too: another program on this machine"}},
		{site.DHCPProxy, nil, fmt.Errorf("socket: %w", fs.ErrPermission), []string{"note: whether another DHCP server is on eth0 could not be tested"}},
	} {
		l := &list{about: "dhcp"}
		Input{Site: &site.Site{DHCP: site.DHCP{Mode: c.mode}}}.judge(l, eth, c.servers, c.err)
		expect(t, fmt.Sprint(c.mode, c.servers, c.err), l.found, c.want...)
	}
	l := &list{about: "dhcp"}
	Input{Site: &site.Site{DHCP: site.DHCP{Mode: site.DHCPServer}}, Running: true}.judge(l, eth, []netip.Addr{eth.Addr.Addr(), router[0]}, nil)
	expect(t, "the site's own seeder is no other server", l.found, "problem: another DHCP server hands out addresses on eth0, too: 10.0.0.254; ")
}

// Debian's signed GRUB finds this machine only if the network's DHCP server names it.
func TestGRUBsServer(t *testing.T) {
	s, root := newSite(t), t.TempDir()
	eth := on("eth0", "10.0.0.1/24", 2)
	in := Input{Site: s, Loaders: loaders.At(s.Dir, root)}
	router := dhcp.Neighbour{Addr: netip.MustParseAddr("10.0.0.254"), Next: netip.MustParseAddr("10.0.0.254")}
	found := func(uefi site.UEFI, n dhcp.Neighbour) []Finding {
		l := &list{about: "dhcp"}
		s.UEFI = uefi
		in.grubsServer(l, eth, []dhcp.Neighbour{n})
		return l.found
	}
	expect(t, "shim is not installed", found(site.UEFIAuto, router))
	install(t, root, "usr/lib/shim/shimx64.efi.signed", "")
	install(t, root, "usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed", "")
	const what = "machines with Secure Boot on can't boot by PXE on eth0: the DHCP server 10.0.0.254 names "
	expect(t, "the router names itself", found(site.UEFIAuto, router), "note: "+what+"the next server 10.0.0.254")
	expect(t, "the router names none", found(site.UEFIShim, dhcp.Neighbour{Addr: router.Addr}), "warning: "+what+"no next server")
	expect(t, "it names the seeder", found(site.UEFIShim, dhcp.Neighbour{Addr: router.Addr, Next: eth.Addr.Addr()}))
	expect(t, "iPXE is wanted", found(site.UEFIiPXE, router))
	s.Arches = []arch.Arch{arch.ARM64}
	expect(t, "no PC", found(site.UEFIShim, router))
	install(t, s.Dir, "image/arm64/loaders/shimaa64.efi", "")
	install(t, s.Dir, "image/arm64/loaders/grubaa64.efi", "")
	l := &list{}
	in.grubsServer(l, eth, []dhcp.Neighbour{router})
	if len(l.found) != 1 || !strings.Contains(l.found[0].Do, "the boot file shimaa64.efi") {
		t.Errorf("a machine of arm64: %v", l.found)
	}
	s.Arches = nil
	s.DHCP.Mode = site.DHCPServer
	expect(t, "the seeder hands out the addresses", found(site.UEFIShim, router))
}

// A port that somebody has is told with who has it, and with what can be done: another port where machines don't mind.
func TestPorts(t *testing.T) {
	lo := on("lo", "127.0.0.1/8", 1)
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	tcpPort, udpPort := netip.MustParseAddrPort(tcp.Addr().String()).Port(), netip.MustParseAddrPort(udp.LocalAddr().String()).Port()
	s := &site.Site{Ports: site.Ports{HTTP: tcpPort, TFTP: udpPort, Torrent: tcpPort}, DHCP: site.DHCP{Mode: site.DHCPOff}}
	in := Input{Site: s, Interfaces: []dhcp.Interface{lo}}
	name := fmt.Sprintf("problem: selftest.test (pid %d)", os.Getpid())
	expect(t, "taken", in.ports(), name+fmt.Sprintf(" has TCP port %d, which the seeder needs for HTTP", tcpPort), name, name+fmt.Sprintf(" has UDP port %d", udpPort))
	if found := in.ports(); !strings.Contains(found[0].Do, "or set another one with ports.http") || strings.Contains(found[2].Do, "another one") {
		t.Errorf("what to do: %q, %q", found[0].Do, found[2].Do)
	}
	in.Running = true
	const running = "note: this site's seeder is running"
	expect(t, "taken, and the seeder runs without", in.ports(), running, name, name, name)
	restore := disown(t, tcp.(*net.TCPListener))
	expect(t, "taken by somebody this user may not know", in.ports(), running, name)
	in.Running = false
	expect(t, "taken by somebody this user may not know, with no seeder", in.ports(), "problem: another program has TCP port", "problem: another", name)
	in.Running = true
	restore()
	callMyself(t, "seeder")
	expect(t, "those of the site's own seeder", in.ports(), running)
	in.Running = false
	expect(t, "those of another site's seeder", in.ports(), "problem: seeder (pid ", "problem: seeder", "problem: seeder")
	in.Serving = true
	expect(t, "our own", in.ports())
	in.Lost = []error{errors.New("TFTP: dnsmasq has port 69; stop it")}
	expect(t, "one that could not be had", in.ports(), "problem: served without TFTP: dnsmasq has port 69; stop it; then start")
}

// disown takes a listening socket from all processes, as if it were that of another user's, until restore is called: it is on its way
// through a unix socket meanwhile (SCM_RIGHTS of unix(7)).
func disown(t *testing.T, l *net.TCPListener) (restore func()) {
	t.Helper()
	file, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(pair[0]); unix.Close(pair[1]) })
	if err := unix.Sendmsg(pair[0], []byte("l"), unix.UnixRights(int(file.Fd())), nil, 0); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(file.Close(), l.Close()); err != nil {
		t.Fatal(err)
	}
	return func() {
		rights := make([]byte, unix.CmsgSpace(4))
		_, n, _, _, err := unix.Recvmsg(pair[1], make([]byte, 1), rights, unix.MSG_CMSG_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		messages, err := unix.ParseSocketControlMessage(rights[:n])
		if err != nil {
			t.Fatal(err)
		}
		fds, err := unix.ParseUnixRights(&messages[0])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fds[0]) })
	}
}

// callMyself gives this process another name until the test ends.
func callMyself(t *testing.T, name string) {
	t.Helper()
	const comm = "/proc/self/comm"
	before, err := os.ReadFile(comm)
	if err != nil {
		t.Fatal(err)
	}
	write(t, comm, name)
	t.Cleanup(func() { write(t, comm, string(before)) })
}

func TestDisk(t *testing.T) {
	s := newSite(t)
	in := Input{Site: s}
	expect(t, "room for nothing", in.disk())
	file := filepath.Join(s.Dir, "big")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(1 << 44); err != nil {
		t.Skipf("no sparse files here: %v", err)
	}
	s.Systems = []site.System{{Name: "big", Dir: s.Dir, Files: []string{"big"}, Launch: catalog.Launch{}}}
	expect(t, "a sparse file takes nothing", in.disk())
	write(t, filepath.Join(s.Dir, "root"), "root")
	write(t, filepath.Join(s.Dir, "vmlinuz"), "kernel")
	s.Systems[0].Files = []string{"root"}
	without := in.systems()
	s.Systems[0].Launch.Root = &catalog.Root{Boot: &catalog.RootBoot{Kernel: "vmlinuz", Modules: "gone"}}
	if with := in.systems(); with <= without {
		t.Errorf("a system takes %d bytes, with its boot part %d", without, with)
	}
}

// A clock that is behind the last catalog's counter is told of while the state is still there.
func TestClock(t *testing.T) {
	s := newSite(t)
	state := filepath.Join(s.Dir, site.StateDir)
	if err := os.MkdirAll(state, 0o755); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	in := Input{Site: s, Now: func() time.Time { return at }}
	expect(t, "a new site", in.clock())
	for text, want := range map[string][]string{
		fmt.Sprint(at.Unix() - 5):                 nil,
		fmt.Sprint(at.Unix() + 100):               nil,
		fmt.Sprint(at.Add(26 * time.Hour).Unix()): {"warning: the catalog's counter 1796047200 stands for 2026-11-30 14:00, and this machine's clock says 2026-11-29 12:00 UTC"},
		"not a number":                            {"warning: the catalog's last counter is not known"},
	} {
		write(t, filepath.Join(state, "counter"), text)
		expect(t, text, in.clock(), want...)
	}
}
