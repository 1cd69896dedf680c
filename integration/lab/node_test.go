package lab

import (
	"compress/gzip"
	"context"
	"fmt"
	"image"
	"os"
	"path"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/u-root/u-root/pkg/cpio"

	"github.com/boottorrent/boottorrent/integration/tiny"
	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/need"
)

// installer is a folder with a Debian kernel and an initramfs that has the modules of network cards, in a package.
const installer = "/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64"

const (
	// bootTime is how long a node may take, under TCG on a busy machine, for what takes 5 to 10 s on an idle one.
	bootTime = 2 * time.Minute
	keyTime  = 20 * time.Second
)

// tinySystem returns a kernel and the tiny system's initramfs.
func tinySystem(t *testing.T) (kernel, initrd string) {
	t.Helper()
	const pkg = "debian-installer-12-netboot-amd64"
	kernel = need.File(t, installer+"/linux", pkg)
	need.File(t, installer+"/initrd.gz", pkg)
	initrd = filepath.Join(t.TempDir(), "initrd.gz")
	if err := tiny.Initrd(t.Context(), initrd, arch.AMD64, unpackModules(t)); err != nil {
		t.Fatal(err)
	}
	return kernel, initrd
}

// unpackModules unpacks the modules of virtio and e1000 cards from the installer, in the order in which they load.
func unpackModules(t *testing.T) []string {
	t.Helper()
	names := []string{"virtio", "virtio_ring", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci",
		"failover", "net_failover", "virtio_net", "e1000"}
	f, err := os.Open(installer + "/initrd.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(t.TempDir(), "initrd")
	out, err := os.Create(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if _, err := out.ReadFrom(z); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	err = cpio.ForEachRecord(cpio.Newc.Reader(out), func(r cpio.Record) error {
		name := path.Base(r.Name)
		if path.Ext(name) != ".ko" || !slices.Contains(names, name[:len(name)-3]) {
			return nil
		}
		r.Name = name
		return cpio.CreateFileInRoot(r, dir, false)
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		names[i] = filepath.Join(dir, name+".ko")
	}
	return names
}

func needQEMU(t *testing.T) {
	t.Helper()
	need.Root(t)
	need.Command(t, "qemu-system-x86_64", "qemu-system-x86")
}

// One boot shows it all: under TCG they are dear.
func TestNodeWithKernel(t *testing.T) {
	needQEMU(t)
	kernel, initrd := tinySystem(t)
	room := ForTest(t)
	t.Logf("accelerator: %+v", room.Accelerator())
	node, err := room.Node(NodeConfig{
		Name: "n1", MemoryMiB: 256, NoReboot: true,
		NICs:   []NIC{{}, {Model: "e1000", MAC: "52:54:00:AA:BB:CC", Unplugged: true}},
		Kernel: kernel, Initrd: initrd, Cmdline: "console=tty0 console=ttyS0 quiet",
	})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	console := node.Console()
	Await(t, console, bootTime, tiny.Marker+`\n`)
	t.Logf("the tiny system's init after %.1f s", time.Since(start).Seconds())
	Await(t, console, keyTime, `mac=eth0 52:54:00:00:01:01\nmac=eth1 52:54:00:aa:bb:cc\ncmdline=.*quiet\nfirmware=\S*\n`+tiny.End)
	AwaitScreen(t, console, keyTime, `(?m)^cmdline=console=tty0`)

	assertPicture(t, node)
	if now, peak, err := node.MemoryUse(); err != nil || now < 16<<20 || peak < now {
		t.Errorf("memory use %d, at most %d, %v", now, peak, err)
	}
	if err := console.Send("r"); err != nil {
		t.Fatal(err)
	}
	Await(t, console, keyTime, `key r: reboot`)
	ctx, cancel := context.WithTimeout(t.Context(), keyTime)
	defer cancel()
	if reason, err := node.AwaitOff(ctx); err != nil || reason != "guest-reset" {
		t.Errorf("the machine went off by %q, %v; want a reset", reason, err)
	}
	if _, err := node.Screenshot(ctx); err == nil {
		t.Error("a machine that is off has a screen")
	}
}

// assertPicture checks that the screen shows text: several per cent of light pixels on a dark ground.
func assertPicture(t *testing.T, node *Node) {
	t.Helper()
	picture, err := node.Screenshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	light := lightness(picture)
	t.Logf("the screen has %v pixels, %.1f %% of them light", picture.Bounds().Max, 100*light)
	if light < 0.001 || light > 0.5 {
		t.Errorf("%.2f %% of the screen is light; want text", 100*light)
	}
	file := filepath.Join(t.TempDir(), "screen.png")
	if err := node.SavePNG(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	need.File(t, file, "")
}

func lightness(picture image.Image) float64 {
	var light int
	b := picture.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			if r, _, _, _ := picture.At(x, y).RGBA(); r > 0x6000 {
				light++
			}
		}
	}
	return float64(light) / float64(b.Dx()*b.Dy())
}

// bootServer makes a host whose dnsmasq gives addresses, by TFTP an iPXE script to iPXE, and a loader, if there is one, to
// firmware that is not iPXE.
func bootServer(t *testing.T, room *Room, script, loader string) *Process {
	t.Helper()
	need.Command(t, "dnsmasq", "dnsmasq-base")
	server, err := room.Host("server", Addr("10.77.0.1/16"))
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "boot.ipxe"), []byte("#!ipxe\n"+script), 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"--dhcp-range=10.77.1.10,10.77.1.99,1h", "--enable-tftp", "--tftp-root=" + root,
		"--dhcp-userclass=set:ipxe,iPXE", "--dhcp-boot=tag:ipxe,boot.ipxe"}
	if loader != "" {
		if err := os.Symlink(loader, filepath.Join(root, "loader")); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--dhcp-boot=tag:!ipxe,loader")
	}
	p, err := Dnsmasq(t.Context(), server, args...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPXE(t *testing.T) {
	needQEMU(t)
	room := ForTest(t)
	dhcp := bootServer(t, room, "echo MARKER ${net0/mac} ${platform} ${uuid}\nread answer\necho ANSWER ${answer}\nsleep 60\n", "")
	start := time.Now()
	// iPXE's driver of e1000 sees whether a cable is plugged in; that of virtio does not look.
	node, err := room.Node(NodeConfig{Name: "n1", MemoryMiB: 128, NICs: []NIC{{Model: "e1000", Unplugged: true}}})
	if err != nil {
		t.Fatal(err)
	}
	Await(t, node.Console(), bootTime, `Link:down`)
	if err := node.SetLink(t.Context(), 0, true); err != nil {
		t.Fatal(err)
	}
	Await(t, dhcp, bootTime, `sent \S+/boot\.ipxe`)
	Await(t, node.Console(), bootTime, `MARKER 52:54:00:00:01:01 pcbios b007b007-0000-4000-8000-000000000001`)
	t.Logf("BIOS: an iPXE script after %.1f s", time.Since(start).Seconds())
	// The answer is typed half on the serial line, half on the keyboard.
	if err := node.Console().Send("ye"); err != nil {
		t.Fatal(err)
	}
	AwaitScreen(t, node.Console(), keyTime, `ye`)
	if err := node.SendKeys(t.Context(), "s", "ret"); err != nil {
		t.Fatal(err)
	}
	Await(t, node.Console(), keyTime, `ANSWER yes`)
}

func TestUEFIPXE(t *testing.T) {
	needQEMU(t)
	need.File(t, pc.flash[UEFI][0][0], "ovmf")
	loader := need.File(t, "/usr/lib/ipxe/snponly.efi", "ipxe")
	room := ForTest(t)
	dhcp := bootServer(t, room, "echo MARKER ${net0/mac} ${platform}\nsleep 60\n", loader)
	start := time.Now()
	node, err := room.Node(NodeConfig{Name: "n1", MemoryMiB: 256, Firmware: UEFI})
	if err != nil {
		t.Fatal(err)
	}
	Await(t, dhcp, bootTime, `DHCPACK`)
	t.Logf("UEFI: a lease after %.1f s", time.Since(start).Seconds())
	Await(t, node.Console(), bootTime, `MARKER 52:54:00:00:01:01 efi`)
	t.Logf("UEFI: an iPXE script after %.1f s", time.Since(start).Seconds())
}

// With Secure Boot on the same loader, which nobody signed, is refused. What is signed comes to GRUB, which knows that nothing unsigned
// may be started.
func TestSecureUEFI(t *testing.T) {
	needQEMU(t)
	need.File(t, pc.flash[SecureUEFI][0][0], "ovmf")
	unsigned := need.File(t, "/usr/lib/ipxe/snponly.efi", "ipxe")
	shim := need.File(t, "/usr/lib/shim/shimx64.efi.signed", "shim-signed")
	grub := need.File(t, "/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed", "grub-efi-amd64-signed")
	room := ForTest(t)
	need.Command(t, "dnsmasq", "dnsmasq-base")
	server, err := room.Host("server", Addr("10.77.0.1/16"))
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for name, to := range map[string]string{"unsigned.efi": unsigned, "shimx64.efi": shim, "grubx64.efi": grub} {
		if err := os.Symlink(to, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(root, "grub"), 0o755); err != nil {
		t.Fatal(err)
	}
	config := "echo MARKER lockdown=$lockdown mac=$net_default_mac\nchainloader (tftp)/unsigned.efi\nsleep 60\n"
	if err := os.WriteFile(filepath.Join(root, "grub", "grub.cfg"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = Dnsmasq(t.Context(), server, "--dhcp-range=10.77.1.10,10.77.1.99,1h", "--enable-tftp", "--tftp-root="+root,
		"--dhcp-mac=set:first,52:54:00:00:01:*", "--dhcp-boot=tag:first,unsigned.efi", "--dhcp-boot=tag:!first,shimx64.efi")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"first", "second"} {
		if _, err := room.Node(NodeConfig{Name: name, MemoryMiB: 512, Firmware: SecureUEFI}); err != nil {
			t.Fatal(err)
		}
	}
	Await(t, room.Nodes()[0].Console(), bootTime, `failed to load .*: Access Denied`)
	Await(t, room.Nodes()[1].Console(), bootTime, `MARKER lockdown=y mac=52:54:00:00:02:01\nerror: bad shim signature`)
}

// An arm64 machine asks by PXE for a program of its own architecture, and shows its firmware on both consoles.
func TestARM64(t *testing.T) {
	need.Root(t)
	need.Command(t, "qemu-system-aarch64", "qemu-system-arm")
	need.Command(t, "dnsmasq", "dnsmasq-base")
	need.File(t, server.flash[UEFI][0][0], "qemu-efi-aarch64")
	room := ForTest(t)
	host, err := room.Host("server", Addr("10.77.0.1/16"))
	if err != nil {
		t.Fatal(err)
	}
	dhcp, err := DnsmasqDHCP(t.Context(), host, "10.77.1.10,10.77.1.99")
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	node, err := room.Node(NodeConfig{Name: "n1", Arch: arch.ARM64, MemoryMiB: 256})
	if err != nil {
		t.Fatal(err)
	}
	Await(t, dhcp, bootTime, `vendor class: PXEClient:Arch:00011:`)
	t.Logf("arm64: asks by PXE after %.1f s", time.Since(start).Seconds())
	Await(t, node.Console(), bootTime, `Start PXE over IPv4`)
	assertPicture(t, node)
}

func TestNodeConfigErrors(t *testing.T) {
	needQEMU(t)
	room := ForTest(t)
	for name, c := range map[string]struct {
		config NodeConfig
		want   string
	}{
		"a bad name":     {NodeConfig{Name: "A node"}, `"A node"`},
		"a bad MAC":      {NodeConfig{Name: "n1", NICs: []NIC{{MAC: "x"}}}, "node n1"},
		"no kernel":      {NodeConfig{Name: "n2", Initrd: "x"}, "without a kernel"},
		"no such keys":   {NodeConfig{Name: "n5", Firmware: SecureUEFI, Variables: "gone.fd"}, "gone.fd"},
		"no such arch":   {NodeConfig{Name: "n7", Arch: "riscv64"}, "riscv64"},
		"keys in a BIOS": {NodeConfig{Name: "n6", Variables: "vars.fd"}, "has none"},
		"what QEMU says": {NodeConfig{Name: "n3", NICs: []NIC{{Model: "ne99"}}}, "ne99"},
		"a missing disk": {NodeConfig{Name: "n4", Disks: []Disk{{Path: "gone.img"}}}, "gone.img"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := room.Node(c.config)
			assertError(t, err, c.want)
		})
	}
	if nodes := room.Nodes(); len(nodes) > 0 {
		t.Errorf("%d nodes", len(nodes))
	}
}

func TestProbe(t *testing.T) {
	needQEMU(t)
	ctx, cancel := context.WithTimeout(t.Context(), bootTime)
	defer cancel()
	if err := probe(ctx, "tcg"); err != nil {
		t.Errorf("the boot sector does not run to its end under TCG: %v", err)
	}
	if err := probe(ctx, "nothing"); err == nil {
		t.Error("an accelerator that does not exist is usable")
	}
	fmt.Fprintln(t.Output(), "KVM:", kvmUnusable())
}

func TestVirtualizes(t *testing.T) {
	for cpuinfo, want := range map[string]bool{
		"processor\t: 0\nflags\t\t: fpu vme vmx ssse3\nvmx flags\t: vnmi\n": true,
		"flags\t\t: fpu svm lahf_lm\n":                                      true,
		"flags\t\t: fpu svm_lock hypervisor\nmodel name\t: vmx\n":           false,
		"": false,
	} {
		if got := virtualizes(cpuinfo); got != want {
			t.Errorf("virtualizes(%q) = %v", cpuinfo, got)
		}
	}
}
