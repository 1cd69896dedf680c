package integration

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/integration/lab"
	"github.com/boottorrent/boottorrent/integration/uefivars"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/mkimage/image"
	"github.com/boottorrent/boottorrent/mkimage/keys"
)

// underSecureBoot is what a node says that was started with Secure Boot on: its firmware has told the kernel so (boot_params.secure_boot,
// at 0x1ec, is 3: Linux, Documentation/arch/x86/zero-page.rst), the kernel has locked itself down, and takes what Debian has signed, as shim
// has told it.
var underSecureBoot = map[string]string{
	"hexdump /sys/kernel/boot_params/data": `(?m)^0*1e0 +(?:[0-9a-f]{2} +){12}03 `,
	"dmesg":                                `(?s)Kernel is locked down from EFI Secure Boot.*secureboot: Secure boot enabled.*boottorrent: Secure Boot: on, and the kernel is locked down`,
	"cat /proc/keys":                       `Debian Secure Boot CA`,
	"lsmod":                                `virtio_net`, // its signature was verified
}

// needChain skips where Debian's signed boot loaders, or the firmware that verifies them, are not installed.
func needChain(t *testing.T) {
	t.Helper()
	need.File(t, "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd", "ovmf")
	need.File(t, "/usr/share/OVMF/OVMF_VARS_4M.ms.fd", "ovmf")
	need.File(t, "/usr/lib/shim/shimx64.efi.signed", "shim-signed")
	need.File(t, grubSigned, "grub-efi-amd64-signed")
	need.Command(t, "sbattach", "sbsigntool")
}

const grubSigned = "/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed"

// allServed is a site whose seeder hands out addresses.
const allServed = "dhcp:\n  mode: server\n  range: {first: 10.77.2.10, last: 10.77.2.40}\n"

// A machine as it is sold, with Secure Boot on and nothing enrolled, beside a DHCP server that names the seeder as the next one: firmware,
// shim, GRUB, Debian's kernel, chooser, and from there the kernel that Debian has signed. What nobody has signed is refused: as a system by
// the chooser, as phase 1's kernel by GRUB, as GRUB by shim.
func TestSecureBoot(t *testing.T) {
	needChain(t)
	r := newRoom(t, "")
	ssh := r.withSSH("timeout: -1\nseed_time: 0\n")
	r.must(r.site.AddTiny(t.Context(), "signed", 1<<20))
	r.must(r.site.AddTiny(t.Context(), "unsigned", 1<<20))
	r.unsign(r.site.Path("oss", "unsigned", "vmlinuz"))
	r.must(r.site.MakeImage(t.Context())) // only the site's part is new
	_, err := lab.Dnsmasq(t.Context(), r.router, "--dhcp-range="+dhcpRange+",1h", "--dhcp-boot=,,"+r.host.IP().String())
	r.must(err)
	r.serve()
	began := time.Now()
	n := r.node(lab.NodeConfig{Name: "secure", Firmware: lab.SecureUEFI})
	lab.Await(t, r.seeder, toChooser, `shimx64\.efi`)
	lab.AwaitScreen(t, n.Console(), toChooser, `Choose a system`)
	t.Logf("shim, GRUB, kernel: the chooser is there after %.0f s", time.Since(began).Seconds())
	ssh.says(r.reports()[n.Config.NICs[0].MAC].IP, underSecureBoot)
	lab.AwaitScreen(t, n.Console(), soon, `(?s)> Tiny system \(signed\).*Tiny system \(unsigned\).*not available: Secure Boot is on, and its kernel is not signed`)
	r.must(n.Console().Send(lab.Down))
	lab.AwaitScreen(t, n.Console(), soon, `> Tiny system \(unsigned\)`)
	r.must(n.Console().Send(lab.Enter))
	lab.AwaitScreen(t, n.Console(), soon, wrapped(`can't be started here: Secure Boot is on, and its kernel is not signed; use the kernel that a distribution`))
	r.must(n.Console().Send(lab.Up))
	lab.AwaitScreen(t, n.Console(), soon, `> Tiny system \(signed\)`)
	r.must(n.Console().Send(lab.Enter))
	r.awaitTiny(n, toSystem)
	n.Stop()

	r.unsign(r.site.Path("image", "vmlinuz"))
	swapped := r.node(lab.NodeConfig{Name: "swapped-kernel", Firmware: lab.SecureUEFI})
	lab.Await(t, swapped.Console(), toMessage, `bad shim signature`)
	lab.Await(t, swapped.Console(), toMessage, `FAILED: cannot load the kernel`)
	r.changed(grubSigned, r.site.Path("loaders", "grubx64.efi"))
	swapped = r.node(lab.NodeConfig{Name: "swapped-grub", Firmware: lab.SecureUEFI})
	lab.Await(t, swapped.Console(), toMessage, `Verification failed: \(0x1A\) Security Violation`)
}

// sign signs a program with the site's own key.
func (r *room) sign(path string) {
	r.t.Helper()
	key, err := keys.Load(r.site.Dir)
	r.must(err)
	program, err := os.ReadFile(path)
	r.must(err)
	program, err = key.Sign(program)
	r.must(err)
	r.replace(path, program)
}

// unsign takes the signatures off a program, in a file of its own: others may have it under another name.
func (r *room) unsign(path string) {
	r.t.Helper()
	content, err := os.ReadFile(path)
	r.must(err)
	temp := filepath.Join(r.t.TempDir(), "unsigned")
	r.must(os.WriteFile(temp, content, 0o644))
	r.run("sbattach", "--remove", temp)
	content, err = os.ReadFile(temp)
	r.must(err)
	r.replace(path, content)
}

// changed copies a program with one bit turned in the middle of it.
func (r *room) changed(from, to string) {
	r.t.Helper()
	content, err := os.ReadFile(from)
	r.must(err)
	content[len(content)/2] ^= 1
	r.must(os.MkdirAll(filepath.Dir(to), 0o755))
	r.replace(to, content)
}

// replace gives a file other content at once.
func (r *room) replace(path string, content []byte) {
	r.t.Helper()
	next := path + ".next"
	r.must(os.WriteFile(next, content, 0o644))
	r.must(os.Rename(next, path))
}

// httpOnly are arguments that leave OVMF only HTTP boot over IPv4.
var httpOnly = []string{
	"-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n", "-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n",
}

// enrolled makes variables of a firmware whose owner has put a certificate of his own into db, beside those of Debian's package for
// tests; Microsoft's are not there.
func (r *room) enrolled(der []byte) string {
	r.t.Helper()
	vars, err := os.ReadFile("/usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd")
	r.must(err)
	vars, err = uefivars.AddToDB(vars, der)
	r.must(err)
	path := filepath.Join(r.t.TempDir(), "vars.fd")
	r.must(os.WriteFile(path, vars, 0o600))
	return path
}

// Machines whose owner has put the site's own key into the firmware's db, and took Microsoft's out, start the site's signed program, which has
// kernel, initramfs and the catalog's key in it: by PXE, by HTTP boot and from a stick. A machine that doesn't know the key does not
// start it, nor does one that knows it start what isn't signed. Phase 1's kernel doesn't know Debian's key then, which shim would have told
// it, but the site's: it starts the system whose kernel the site has signed.
func TestSecureBootWithOwnKeys(t *testing.T) {
	needChain(t)
	r := newRoom(t, "")
	ssh := r.withSSH("timeout: -1\nseed_time: 0\nuefi: uki\nsign_image: true\n" + allServed)
	r.must(r.site.AddTiny(t.Context(), "debians", 1<<20))
	r.must(r.site.AddTiny(t.Context(), "ours", 1<<20))
	der, err := r.site.MakeKeys(t.Context())
	r.must(err)
	r.sign(r.site.Path("oss", "ours", "vmlinuz"))
	r.must(r.site.MakeImage(t.Context()))
	stick, err := r.site.MakeMedium(t.Context(), t.TempDir(), image.USB)
	r.must(err)
	r.serve()
	own := r.enrolled(der)
	began := time.Now()
	pxe := r.node(lab.NodeConfig{Name: "pxe", Firmware: lab.SecureUEFI, Variables: own})
	http := r.node(lab.NodeConfig{Name: "http", Firmware: lab.SecureUEFI, Variables: own, Args: httpOnly})
	lab.AwaitScreen(t, pxe.Console(), toChooser, `Choose a system`)
	t.Logf("UKI by TFTP: the chooser is there after %.0f s", time.Since(began).Seconds())
	lab.AwaitScreen(t, http.Console(), toChooser, `Choose a system`)
	t.Logf("UKI by HTTP: the chooser is there after %.0f s", time.Since(began).Seconds())
	pxe.Stop()
	ssh.says(r.reports()[http.Config.NICs[0].MAC].IP, map[string]string{"dmesg": `Kernel is locked down from EFI Secure Boot`, "cat /proc/keys": `BootTorrent db`})
	lab.AwaitScreen(t, http.Console(), soon, `(?s)Tiny system \(debians\).*not available: Secure Boot is on, and its kernel is not signed by a key.*Tiny system \(ours\)`)
	r.must(http.Console().Send(lab.Down))
	lab.AwaitScreen(t, http.Console(), soon, `> Tiny system \(ours\)`)
	r.must(http.Console().Send(lab.Enter))
	r.awaitTiny(http, toSystem)
	http.Stop()

	began = time.Now()
	usb := r.node(lab.NodeConfig{Name: "stick", Firmware: lab.SecureUEFI, Variables: own, Disks: []lab.Disk{{Path: stick, USB: true}}})
	foreign := r.node(lab.NodeConfig{Name: "foreign", Firmware: lab.SecureUEFI, Args: httpOnly})
	lab.Await(t, foreign.Console(), toMessage, `failed to load Boot\d+ "UEFI HTTPv4.*Access Denied`)
	foreign.Stop()
	lab.AwaitScreen(t, usb.Console(), toChooser, `Choose a system`)
	t.Logf("stick with the UKI: the chooser is there after %.0f s", time.Since(began).Seconds())
	if node := r.reports()[usb.Config.NICs[0].MAC]; !node.SecureBoot {
		t.Errorf("the node from the stick reports %+v", node)
	}
	r.unsign(r.site.Path("image", "boottorrent.efi"))
	unsigned := r.node(lab.NodeConfig{Name: "unsigned", Firmware: lab.SecureUEFI, Variables: own, Args: httpOnly})
	lab.Await(t, unsigned.Console(), toMessage, `failed to load Boot\d+ "UEFI HTTPv4.*Access Denied`)
}
