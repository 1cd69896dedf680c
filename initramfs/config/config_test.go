package config

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/sitepart"
)

func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }
func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }
func seconds(n int) *int           { return &n }

func TestParseCmdline(t *testing.T) {
	full := Network{
		Static: prefix("10.1.2.3/24"), Gateway: addr("10.1.2.1"), Hostname: "node7", Interface: "eth1",
		DNS: []netip.Addr{addr("10.1.2.1"), addr("9.9.9.9")},
	}
	for _, tt := range []struct {
		name, line string
		want       Cmdline
	}{
		{"nothing of ours", "BOOT_IMAGE=vmlinuz console=ttyS0,115200 quiet root=/dev/sda1", Cmdline{Consoles: []string{"ttyS0,115200"}}},
		{"all of bt.", "bt.seeder=http://10.0.0.1:8080 bt.system=debian bt.timeout=-1 bt.shell bt.debug",
			Cmdline{Seeder: "http://10.0.0.1:8080", System: "debian", Timeout: seconds(-1), Shell: true, Debug: true}},
		{"a counter", "bt.seen=1795420800 bt.seen=7", Cmdline{Seen: 1795420800}},
		{"a medium", "bt.medium=b0071234", Cmdline{Medium: 0xb0071234}},
		{"a medium's second start", "bt.medium=b0071234 quiet bt.medium=b0071234,again", Cmdline{Medium: 0xb0071234, Again: true}},
		{"flags with values", "bt.shell=0 bt.debug=1", Cmdline{Debug: true}},
		{"the last counts", "bt.system=a bt.system=b", Cmdline{System: "b"}},
		{"quotes around the value", `bt.system="Debian 12" bt.shell`, Cmdline{System: "Debian 12", Shell: true}},
		{"quotes around the word", `"bt.system=Debian 12"`, Cmdline{System: "Debian 12"}},
		{"a quote that never ends", `bt.system="Debian 12 bt.shell`, Cmdline{System: "Debian 12 bt.shell"}},
		{"a lone quote", `bt.system="`, Cmdline{}},
		{"consoles", "console=tty0 console=ttyS0,115200n8", Cmdline{Consoles: []string{"tty0", "ttyS0,115200n8"}}},
		{"line end", "bt.shell\n", Cmdline{Shell: true}},
		{"BOOTIF", "BOOTIF=01-AA-bb-cc-dd-ee-0f", Cmdline{Network: Network{MAC: "aa:bb:cc:dd:ee:0f"}}},
		{"BOOTIF without type", "BOOTIF=aa-bb-cc-dd-ee-0f", Cmdline{Network: Network{MAC: "aa:bb:cc:dd:ee:0f"}}},
		{"interface by name", "bt.interface=eth1", Cmdline{Network: Network{Interface: "eth1"}}},
		{"interface by MAC", "bt.interface=AA-BB-CC-DD-EE-FF", Cmdline{Network: Network{Interface: "aa:bb:cc:dd:ee:ff"}}},

		{"ip=dhcp", "ip=dhcp", Cmdline{Network: Network{DHCP: true}}},
		{"ip=on", "ip=on", Cmdline{Network: Network{DHCP: true}}},
		{"ip=any", "ip=any", Cmdline{Network: Network{DHCP: true}}},
		{"dhcp on one interface, kernel's way", "ip=:::::eth1:dhcp", Cmdline{Network: Network{DHCP: true, Interface: "eth1"}}},
		{"dhcp on one interface, dracut's way", "ip=eth1:dhcp", Cmdline{Network: Network{DHCP: true, Interface: "eth1"}}},
		{"dhcp with a name to ask for", "ip=::::node7::on", Cmdline{Network: Network{DHCP: true, Hostname: "node7"}}},
		{"dhcp on the boot card", "ip=::::node7:BOOTIF:dhcp BOOTIF=01-aa-bb-cc-dd-ee-ff",
			Cmdline{Network: Network{DHCP: true, Hostname: "node7", Interface: "aa:bb:cc:dd:ee:ff", MAC: "aa:bb:cc:dd:ee:ff"}}},
		{"dhcp on the boot card, dracut's way", "BOOTIF=01-aa-bb-cc-dd-ee-ff ip=BOOTIF:dhcp",
			Cmdline{Network: Network{DHCP: true, Interface: "aa:bb:cc:dd:ee:ff", MAC: "aa:bb:cc:dd:ee:ff"}}},
		{"with an MTU", "ip=eth0:dhcp:9000", Cmdline{Network: Network{DHCP: true, Interface: "eth0", MTU: 9000}}},
		{"with an empty tail", "ip=eth0:on::", Cmdline{Network: Network{DHCP: true, Interface: "eth0"}}},
		{"the long form with an MTU", "ip=10.1.2.3::10.1.2.1:24:node7:eth1:none:9000",
			Cmdline{Network: Network{Static: prefix("10.1.2.3/24"), Gateway: addr("10.1.2.1"), Hostname: "node7", Interface: "eth1", MTU: 9000}}},
		{"a VLAN's interface, dracut's way", "vlan=vlan5:eth0 ip=vlan5:dhcp", Cmdline{Network: Network{DHCP: true, VLAN: 5, Interface: "eth0"}}},
		{"a VLAN's interface, the kernel's way", "ip=eth0.5:dhcp vlan=eth0.5:eth0", Cmdline{Network: Network{DHCP: true, VLAN: 5, Interface: "eth0"}}},
		{"a VLAN's interface alone", "ip=:::::eth0.5:dhcp", Cmdline{Network: Network{DHCP: true, VLAN: 5, Interface: "eth0"}}},
		{"single-dhcp", "ip=single-dhcp", Cmdline{Network: Network{DHCP: true}}},
		{"all empty but for dhcp", "ip=::::::dhcp", Cmdline{Network: Network{DHCP: true}}},
		{"the address of nobody", "ip=0.0.0.0:::::eth0:dhcp", Cmdline{Network: Network{DHCP: true, Interface: "eth0"}}},
		{"short", "ip=10.1.2.3/24", Cmdline{Network: Network{Static: prefix("10.1.2.3/24")}}},
		{"nfsroot.rst's form", "ip=10.1.2.3::10.1.2.1:255.255.255.0:node7:eth1:none:10.1.2.1:9.9.9.9", Cmdline{Network: full}},
		{"with an NTP server", "ip=10.1.2.3::10.1.2.1:255.255.255.0:node7:eth1:off:10.1.2.1:9.9.9.9:10.1.2.1", Cmdline{Network: full}},
		{"prefix in the long form", "ip=10.1.2.3/24::10.1.2.1::node7:eth1:none:10.1.2.1:9.9.9.9", Cmdline{Network: full}},
		{"pxelinux's ipappend", "ip=10.1.2.3:10.1.2.9:10.1.2.1:255.255.255.0",
			Cmdline{Network: Network{Static: prefix("10.1.2.3/24"), Gateway: addr("10.1.2.1"), Server: addr("10.1.2.9")}}},
		{"mask of the class", "ip=192.168.9.3", Cmdline{Network: Network{Static: prefix("192.168.9.3/24")}}},
		{"no gateway as zeroes", "ip=10.1.2.3::0.0.0.0:255.255.0.0", Cmdline{Network: Network{Static: prefix("10.1.2.3/16")}}},
		{"ip= after the others", "vlan=5 BOOTIF=01-aa-bb-cc-dd-ee-ff ip=10.1.2.3/24",
			Cmdline{Network: Network{Static: prefix("10.1.2.3/24"), VLAN: 5, MAC: "aa:bb:cc:dd:ee:ff"}}},
		{"the last ip= counts", "ip=10.1.2.3::::n:eth1 ip=dhcp", Cmdline{Network: Network{DHCP: true}}},

		{"vlan=ID", "vlan=12", Cmdline{Network: Network{VLAN: 12}}},
		{"bt.vlan=ID", "bt.vlan=4094", Cmdline{Network: Network{VLAN: 4094}}},
		{"vlan=NAME.ID", "vlan=eth0.12", Cmdline{Network: Network{VLAN: 12, Interface: "eth0"}}},
		{"vlan=NAME.ID:NAME", "vlan=eth0.0012:eth0", Cmdline{Network: Network{VLAN: 12, Interface: "eth0"}}},
		{"dracut's vlan=vlanID:NAME", "vlan=vlan12:eth0", Cmdline{Network: Network{VLAN: 12, Interface: "eth0"}}},
		{"all name one interface", "vlan=eth1.5:eth1 bt.interface=eth1 ip=:::::eth1:dhcp",
			Cmdline{Network: Network{DHCP: true, VLAN: 5, Interface: "eth1"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, warnings := ParseCmdline(tt.line)
			if len(warnings) > 0 {
				t.Errorf("warnings: %q", warnings)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("ParseCmdline(%q)\n got %+v\nwant %+v", tt.line, got, tt.want)
			}
		})
	}
}

func TestParseCmdlineWarns(t *testing.T) {
	for _, tt := range []struct {
		line string
		want string // what the only warning must say
		then Cmdline
	}{
		{"bt.sytem=debian", "bt.system=NAME", Cmdline{}},
		{"bt.timeout=10s", "write whole seconds", Cmdline{}},
		{"bt.seen=-1", "hands a catalog's counter on to itself", Cmdline{}},
		{"bt.seen=9007199254740992", "is ignored", Cmdline{}},
		{"bt.medium=b007", "make the medium again", Cmdline{}},
		{"bt.medium=00000000", "make the medium again", Cmdline{}},
		{"bt.medium=b0071234,twice", "make the medium again", Cmdline{}},
		{"bt.shell=please", "write bt.shell", Cmdline{}},
		{"BOOTIF=eth0", "BOOTIF=01-aa-bb-cc-dd-ee-ff", Cmdline{}},
		{"vlan=0", "from 1 to 4094", Cmdline{}},
		{"vlan=4095", "from 1 to 4094", Cmdline{}},
		{"vlan=eth05", "vlan=eth0.ID:eth0", Cmdline{}},
		{"vlan=", "from 1 to 4094", Cmdline{}},
		{"ip=off", "DHCP is used", Cmdline{}},
		{"ip=:::::eth0:bootp", "only dhcp is known", Cmdline{Network: Network{DHCP: true, Interface: "eth0"}}},
		{"ip=ibft", "only dhcp is known", Cmdline{}},
		{"ip=eth0:dhcp6", "only dhcp is known", Cmdline{Network: Network{DHCP: true, Interface: "eth0"}}},
		{"ip=eth0:link-local:9000", "only dhcp is known", Cmdline{Network: Network{DHCP: true, Interface: "eth0", MTU: 9000}}},
		{"ip=eth0:dhcp::52:54:00:12:34:56", "the card keeps its own", Cmdline{Network: Network{DHCP: true, Interface: "eth0"}}},
		{"ip=eth0:dhcp:9000:52:54:00:12:34:56", "the card keeps its own", Cmdline{Network: Network{DHCP: true, Interface: "eth0", MTU: 9000}}},
		{"ip=eth0:dhcp:68", "from 576 to 65535", Cmdline{Network: Network{DHCP: true, Interface: "eth0"}}},
		{"ip=eth0:dhcp:jumbo", `the name server "jumbo"`, Cmdline{Network: Network{DHCP: true, Interface: "eth0"}}},
		{"ip=::::node7:BOOTIF:dhcp", "there is no BOOTIF=", Cmdline{Network: Network{DHCP: true, Hostname: "node7"}}},
		{"ip=a:b:c:d:e:f:g:h:i:j:k:l:m:n", "14 fields", Cmdline{}},
		{"ip=10.1.2.3::10.1.2.1:24::eth0:none:10.1.2.1:9.9.9.9:10.1.2.1:x", "what follows the NTP server", Cmdline{Network: Network{
			Static: prefix("10.1.2.3/24"), Gateway: addr("10.1.2.1"), Interface: "eth0", DNS: []netip.Addr{addr("10.1.2.1"), addr("9.9.9.9")}}}},
		{"ip=10.1.2.300/24", "ip=ADDRESS/PREFIX", Cmdline{}},
		{"ip=10.1.2.3/33", "prefix length", Cmdline{}},
		{"ip=10.1.2.3::gw:255.255.255.0", `the gateway "gw"`, Cmdline{Network: Network{Static: prefix("10.1.2.3/24")}}},
		{"ip=10.1.2.3::10.1.2.1:255.0.255.0", `netmask "255.0.255.0"`, Cmdline{}},
		{"ip=10.1.2.3::10.1.2.1:33", `netmask "33"`, Cmdline{}},
		{"ip=10.1.2.3::10.1.2.1:255.0.255.0:node7:eth0", `netmask "255.0.255.0"`, Cmdline{Network: Network{Hostname: "node7", Interface: "eth0"}}},
		{"ip=[fd00::1]:::64::eth0:none", "only IPv4", Cmdline{Network: Network{Interface: "eth0"}}},
		{"ip=[fd00::1]", "only IPv4", Cmdline{}},
		{"bt.interface=eth1 ip=:::::eth0:dhcp", "eth1 is used", Cmdline{Network: Network{DHCP: true, Interface: "eth1"}}},
	} {
		t.Run(tt.line, func(t *testing.T) {
			got, warnings := ParseCmdline(tt.line)
			if len(warnings) != 1 || !strings.Contains(warnings[0], tt.want) {
				t.Errorf("warnings %q, want one with %q", warnings, tt.want)
			}
			if !reflect.DeepEqual(got, tt.then) {
				t.Errorf("got %+v, want %+v", got, tt.then)
			}
		})
	}
}

func FuzzParseCmdline(f *testing.F) {
	f.Add(`bt.system="a b" ip=10.1.2.3::10.1.2.1:255.255.255.0:n:eth0:none vlan=eth0.5:eth0 BOOTIF=01-aa-bb-cc-dd-ee-ff`)
	f.Add(`"ip=:::::"=" vlan=:`)
	f.Fuzz(func(t *testing.T, line string) {
		c, _ := ParseCmdline(line)
		if n := c.Network; n.VLAN < 0 || n.VLAN > 4094 {
			t.Errorf("VLAN %d", n.VLAN)
		} else if n.Static.IsValid() && (!n.Static.Addr().Is4() || n.Static.Bits() == 0) {
			t.Errorf("static %v", n.Static)
		}
	})
}

func TestReadImage(t *testing.T) {
	for _, tt := range []struct {
		name, content string
		want          sitepart.Config
		wantErr       string
	}{
		{"whole", `{"site":"Lab","public_key":"untrusted comment: k\nRWQ","seeder":"http://10.0.0.1:8080"}`,
			sitepart.Config{Site: "Lab", PublicKey: "untrusted comment: k\nRWQ", Seeder: "http://10.0.0.1:8080"}, ""},
		{"damaged", `{"site":`, sitepart.Config{}, "is damaged"},
		{"no key", `{"site":"Lab"}`, sitepart.Config{}, "no public key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "site.json")
			if err := os.WriteFile(path, []byte(tt.content), 0o644); err != nil {
				t.Fatal(err)
			}
			got, err := ReadImage(path)
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if (err == nil) != (tt.wantErr == "") || err != nil && !strings.Contains(err.Error(), tt.wantErr) {
				t.Errorf("error %v, want one with %q", err, tt.wantErr)
			}
		})
	}
	_, err := ReadImage(filepath.Join(t.TempDir(), "none.json"))
	if err == nil || !strings.Contains(err.Error(), "no site part") || !strings.Contains(err.Error(), "mkimage DIR") {
		t.Errorf("missing file: %v", err)
	}
}

// Under a system's own kernel the node keeps to what it was started with: ip= there is the system's.
func TestContinue(t *testing.T) {
	before, _ := ParseCmdline("ip=10.1.2.3::10.1.2.1:24::eth1:none vlan=5 bt.medium=b0071234 bt.seeder=http://old bt.shell")
	now, _ := ParseCmdline("ip=dhcp vlan=9 console=hvc0 bt.system=debian bt.timeout=0 bt.seeder=http://10.0.0.1")
	got := now.Continue(before, "aa:bb:cc:dd:ee:ff")
	want := Cmdline{Seeder: "http://10.0.0.1", System: "debian", Timeout: seconds(0), Consoles: []string{"hvc0"}, Medium: 0xb0071234,
		Network: Network{Static: prefix("10.1.2.3/24"), Gateway: addr("10.1.2.1"), VLAN: 5, Interface: "aa:bb:cc:dd:ee:ff", MAC: "aa:bb:cc:dd:ee:ff"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}
