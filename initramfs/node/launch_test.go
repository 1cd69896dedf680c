package node

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/initramfs/network"
	"github.com/boottorrent/boottorrent/internal/catalog"
)

func TestVars(t *testing.T) {
	n, _ := newNode(t, "http://10.0.0.1:8080")
	n.link.setLease(network.Lease{
		Interface: "eth0", MAC: net.HardwareAddr{0x52, 0x54, 0, 0, 0, 7}, Addr: netip.MustParsePrefix("10.0.0.7/20"),
		Gateway: netip.MustParseAddr("10.0.0.254"), DNS: []netip.Addr{netip.MustParseAddr("10.0.0.53"), netip.MustParseAddr("9.9.9.9")},
		Hostname: "node7",
	})
	n.Cmdline.Consoles = []string{"tty0", "ttyS0,115200"}
	n.Facts.Serial, n.session.decision.Group = "VMware-56 4d", "desks"
	sys := kexec("my os")
	sys.InfoHash = catalog.InfoHash{0xff}
	got := n.vars(sys)
	for name, want := range map[string]string{
		"MAC": "52:54:00:00:00:07", "IP": "10.0.0.7", "Netmask": "255.255.240.0", "Gateway": "10.0.0.254", "DNS": "10.0.0.53",
		"Hostname": "node7", "Interface": "eth0", "UUID": "4c4c4544-0042-3010-8058-b9c04f333832", "Seeder": "10.0.0.1",
		"HTTP":   "http://10.0.0.1:8080/systems/ff" + strings.Repeat("00", 19) + "/my%20os",
		"Serial": "VMware-56-4d", "Group": "desks",
		"System": "my os", "Console": "ttyS0,115200",
	} {
		if got[name] != want {
			t.Errorf("{{.%s}} is %q, want %q", name, got[name], want)
		}
	}
	for name := range catalog.Placeholders {
		if got[name] == "" {
			t.Errorf("{{.%s}} is documented, and not filled", name)
		}
	}
}

// What a poor network does not say is empty where that is documented, and nothing else is.
func TestVarsOfAPoorNetwork(t *testing.T) {
	n, _ := newNode(t, "http://10.0.0.1:8080")
	n.Facts.UUID = ""
	n.link.setLease(network.Lease{Interface: "eth0", MAC: make(net.HardwareAddr, 6), Addr: netip.MustParsePrefix("10.0.0.7/20")})
	vars := n.vars(kexec("a"))
	for name, doc := range catalog.Placeholders {
		value, filled := vars[name]
		if mayBeEmpty := strings.Contains(doc, "empty if"); !filled || (value == "") != mayBeEmpty {
			t.Errorf("{{.%s}} is %q; documented as %q", name, value, doc)
		}
	}
	// The console that somebody chose on counts more than the kernel's own.
	n.typedAt("tty0")
	if got := n.vars(kexec("a"))["Console"]; got != "tty0" {
		t.Errorf("{{.Console}} is %q", got)
	}
}
