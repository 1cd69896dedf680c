package config

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/mediumconf"
)

// The kernel command line counts before boottorrent.conf.
func TestOver(t *testing.T) {
	conf, problems := mediumconf.Parse([]byte("seeder: 10.0.0.1\nip: 10.1.2.3/24\ngateway: 10.1.2.1\ndns: 10.1.2.1\nvlan: 7\n" +
		"interface: eth1\nsystem: debian\ntimeout: 5\n"))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	static := Network{Static: prefix("10.1.2.3/24"), Gateway: addr("10.1.2.1"), DNS: []netip.Addr{addr("10.1.2.1")}, VLAN: 7, Interface: "eth1"}
	for line, want := range map[string]Cmdline{
		"": {ConfSeeder: "http://10.0.0.1:8080", System: "debian", ConfSystem: true, Timeout: seconds(5), Network: static},
		"bt.seeder=http://10.0.0.9 bt.system=tiny bt.timeout=-1 bt.interface=eth0 bt.vlan=8 ip=dhcp": {
			Seeder: "http://10.0.0.9", ConfSeeder: "http://10.0.0.1:8080", System: "tiny", Timeout: seconds(-1),
			Network: Network{DHCP: true, VLAN: 8, Interface: "eth0"}},
		"ip=10.9.9.9/8": {ConfSeeder: "http://10.0.0.1:8080", System: "debian", ConfSystem: true, Timeout: seconds(5),
			Network: Network{Static: prefix("10.9.9.9/8"), VLAN: 7, Interface: "eth1"}},
	} {
		c, _ := ParseCmdline(line)
		if got := c.Over(conf); !reflect.DeepEqual(got, want) {
			t.Errorf("%q\n got %+v\nwant %+v", line, got, want)
		}
	}
}

func TestAdded(t *testing.T) {
	const line = "console=ttyS0,115200 console=tty0 bt.medium=b0071234"
	for _, tt := range []struct {
		name, line, conf, want string
		seen                   uint64
	}{
		{"nothing", line, "seeder: 10.0.0.1", "", 7},
		{"a console that is there", line, "console: ttyS0,115200", "", 0},
		{"other options", line, "console: ttyS0,9600", "console=ttyS0,9600 " + line + " bt.medium=b0071234,again", 0},
		{"parameters", line + "\n", "cmdline: nomodeset\ncmdline: a=\"b c\"", line + ` nomodeset a="b c" bt.medium=b0071234,again`, 0},
		{"once only", line + " nomodeset bt.medium=b0071234,again", "cmdline: nomodeset", "", 0},
		{"a counter", line, "cmdline: nomodeset", line + " nomodeset bt.seen=1795420800 bt.medium=b0071234,again", 1795420800},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := ParseCmdline(tt.line)
			conf, _ := mediumconf.Parse([]byte(tt.conf))
			got, err := c.Added(tt.line, conf, tt.seen)
			if err != nil || got != tt.want {
				t.Fatalf("got %q, %v, want %q", got, err, tt.want)
			}
			// What is started with it does not start itself again.
			if next, _ := ParseCmdline(got); got != "" {
				if more, err := next.Added(got, conf, 0); more != "" || err != nil || next.Medium != c.Medium || next.Seen != tt.seen {
					t.Errorf("once more: %q, %v", more, err)
				}
			}
		})
	}
	c, _ := ParseCmdline(line)
	conf, _ := mediumconf.Parse([]byte("cmdline: " + strings.Repeat("x", 1000)))
	if _, err := c.Added(line+strings.Repeat(" y", 500), conf, 0); err == nil || !strings.Contains(err.Error(), "shorten cmdline:") {
		t.Errorf("a line that is too long: %v", err)
	}
}
