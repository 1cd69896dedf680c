package integration

import (
	"context"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/integration/lab"
	"github.com/boottorrent/boottorrent/internal/need"
)

// serverMode is a site whose seeder hands out the addresses: there is no other DHCP server.
const serverMode = "default: tiny\ntimeout: 2\nseed_time: 0\n" +
	"dhcp:\n  mode: server\n  range: {first: 10.77.2.10, last: 10.77.2.20}\n  lease: 10m\n" +
	"  reservations:\n    - {mac: \"52:54:00:77:00:01\", address: 10.77.3.1, hostname: desk-1}\n"

// A UEFI machine (OVMF) with Secure Boot off, in a room where the seeder alone does everything: it gets the chain that serves those with Secure
// Boot on, too.
func TestUEFIServerMode(t *testing.T) {
	needChain(t)
	need.File(t, "/usr/share/OVMF/OVMF_CODE_4M.fd", "ovmf")
	r := newRoom(t, serverMode)
	r.must(r.site.AddTiny(t.Context(), "tiny", 1<<20))
	r.must(r.site.AddFiles("all", map[string]string{"etc/for-machines.tmpl": "{{.MAC}} {{.Hostname}}\n"}))
	r.serve()
	const mac = "52:54:00:77:00:01"
	n := r.node(lab.NodeConfig{Name: "efi", Firmware: lab.UEFI, NICs: []lab.NIC{{MAC: mac}}})
	lab.Await(t, r.seeder, toChooser, `offered=shimx64\.efi`)
	if got, _ := r.awaitTiny(n, toChooser+toSystem); got != mac {
		t.Errorf("the system sees the MAC %s, want %s", got, mac)
	}
	lab.Await(t, n.Console(), soon, `files=`+mac+` desk-1\n`)
	if node := r.reports()[mac]; node.IP != "10.77.3.1" || node.Name != "desk-1" {
		t.Errorf("the reservation was not honoured: %s %q", node.IP, node.Name)
	}
}

// UEFI HTTP boot with Secure Boot on and Microsoft's keys: the firmware fetches a disk image by HTTP from the URL in the seeder's offer and
// starts shim from it, without TFTP. Addresses come from another DHCP server, which knows nothing of the seeder.
func TestUEFIHTTPBoot(t *testing.T) {
	need.File(t, "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd", "ovmf")
	need.File(t, "/usr/lib/shim/shimx64.efi.signed", "shim-signed")
	r := newRoom(t, "default: tiny\ntimeout: -1\n")
	r.must(r.site.AddTiny(t.Context(), "tiny", 1<<20))
	r.dhcp()
	r.serve()
	began := time.Now()
	n := r.node(lab.NodeConfig{Name: "http", Firmware: lab.SecureUEFI, Args: []string{
		"-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n",
		"-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n",
	}})
	lab.Await(t, r.seeder, toChooser, `http://10\.77\.0\.1:8080/boot/httpboot\.img`)
	lab.AwaitScreen(t, n.Console(), toChooser, `Tiny system`)
	t.Logf("http, uefi: the chooser is there after %.0f s", time.Since(began).Seconds())
	r.must(n.Console().Send(lab.Enter))
	r.awaitTiny(n, toSystem)
}

// undionly.kpxe is handed out by our TFTP server to a BIOS machine's PXE stack. QEMU's own ROM is iPXE already and gets
// the script at once, so a person at its command line asks for the file.
func TestUndionlyByTFTP(t *testing.T) {
	r := newRoom(t, "default: tiny\ntimeout: -1\n")
	r.must(r.site.AddTiny(t.Context(), "tiny", 1<<20))
	r.dhcp()
	r.serve()
	n := r.node(lab.NodeConfig{Name: "bios"})
	r.interruptIPXE(n)
	r.typeLine(n, "dhcp && chain tftp://"+r.host.IP().String()+"/undionly.kpxe")
	lab.Await(t, r.seeder, toMessage, `undionly\.kpxe`)
	lab.Await(t, n.Console(), toMessage, `iPXE initialising devices`)
	lab.AwaitScreen(t, n.Console(), toChooser, `BootTorrent`)
}

// interruptIPXE gets to iPXE's command line as a person does: it presses Ctrl-B until the prompt is there.
func (r *room) interruptIPXE(n *lab.Node) {
	r.t.Helper()
	lab.Await(r.t, n.Console(), toChooser, `Press Ctrl-B`)
	for range 40 {
		r.must(n.Console().Send(lab.CtrlB))
		ctx, cancel := context.WithTimeout(r.t.Context(), time.Second/2)
		_, err := n.Console().Expect(ctx, `iPXE>`)
		cancel()
		if err == nil {
			return
		}
	}
	r.t.Fatal("iPXE does not heed Ctrl-B")
}

// typeLine types at a boot loader.
func (r *room) typeLine(n *lab.Node, line string) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), toMessage)
	defer cancel()
	r.must(n.Console().TypeLine(ctx, line))
}
