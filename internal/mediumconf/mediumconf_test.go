package mediumconf

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"unicode"
)

func seconds(n int) *int { return &n }

func TestParse(t *testing.T) {
	static := netip.MustParsePrefix("10.1.2.3/24")
	a, b := netip.MustParseAddr("10.1.2.1"), netip.MustParseAddr("9.9.9.9")
	for name, tt := range map[string]struct {
		text string
		want Config
	}{
		"nothing":           {"", Config{}},
		"remarks":           {"# seeder: http://10.0.0.1\n\n   # more\n", Config{}},
		"address":           {"seeder: 10.0.0.1", Config{Seeder: "http://10.0.0.1:8080"}},
		"URL":               {"seeder: http://10.0.0.1:81/boot/", Config{Seeder: "http://10.0.0.1:81"}},
		"equals sign":       {"seeder=http://10.0.0.1:81\ntimeout = 5\n", Config{Seeder: "http://10.0.0.1:81", Timeout: seconds(5)}},
		"case and white":    {"  Seeder :\thttp://10.0.0.1:81  \n", Config{Seeder: "http://10.0.0.1:81"}},
		"Notepad's":         {"\ufeffseeder: 10.0.0.1\r\nsystem: debian\r\n", Config{Seeder: "http://10.0.0.1:8080", System: "debian"}},
		"quotes, remark":    {"system: \"debian\" # the usual one", Config{System: "debian"}},
		"a name with #":     {"system: debian#2", Config{System: "debian#2"}},
		"DHCP":              {"ip: DHCP", Config{DHCP: true}},
		"static":            {"gateway: 10.1.2.1\nip: 10.1.2.3/24\ndns: 10.1.2.1, 9.9.9.9", Config{Static: static, Gateway: a, DNS: []netip.Addr{a, b}}},
		"name servers":      {"ip: 10.1.2.3/24\ndns: 10.1.2.1\ndns: 9.9.9.9", Config{Static: static, DNS: []netip.Addr{a, b}}},
		"VLAN":              {"vlan: 12", Config{VLAN: 12}},
		"interface":         {"interface: enp0s31f6", Config{Interface: "enp0s31f6"}},
		"MAC":               {"interface: AA-BB-CC-DD-EE-FF", Config{Interface: "aa:bb:cc:dd:ee:ff"}},
		"wait":              {"timeout: -1", Config{Timeout: seconds(-1)}},
		"consoles":          {"console: ttyS0,115200n8\nconsole: tty0", Config{Consoles: []string{"ttyS0,115200n8", "tty0"}}},
		"kernel parameters": {"cmdline: nomodeset a=\"b c\"\ncmdline: quiet", Config{Cmdline: `nomodeset a="b c" quiet`}},
	} {
		t.Run(name, func(t *testing.T) {
			got, problems := Parse([]byte(tt.text))
			if !reflect.DeepEqual(got, tt.want) || len(problems) > 0 {
				t.Errorf("got  %+v\nwant %+v\nproblems %v", got, tt.want, problems)
			}
		})
	}
}

// Each mistake is told with its line and what to write; the other lines count.
func TestProblems(t *testing.T) {
	for text, want := range map[string]string{
		"seeder http://10.0.0.1":  `there is no ":" behind seeder; write seeder: http://10.0.0.1`,
		"seder: 10.0.0.1":         `"seder" is no key; there are seeder, ip, gateway, dns, vlan, interface, system, timeout, console, cmdline`,
		"10.0.0.1":                `it has no ":"; write KEY: VALUE`,
		"seeder:":                 "seeder has no value; write seeder: http://ADDRESS:PORT, or # before it",
		"seeder: # later":         "seeder has no value",
		"seeder: ftp://10.0.0.1":  `"ftp://10.0.0.1" is no address of a seeder; write seeder: http://ADDRESS:PORT`,
		"ip: 10.0.0.7":            "the network's size is missing; write ip: ADDRESS/PREFIX, as in ip: 10.0.0.17/24, or ip: dhcp",
		"ip: fd00::1/64":          "is no IPv4 address",
		"ip: 10.0.0.300/24":       "is no IPv4 address",
		"gateway: 10.0.0.1":       "gateway has no effect with DHCP, whose server says it; write ip: ADDRESS/PREFIX as well, or remove it",
		"gateway: router":         `"router" is no IPv4 address; write gateway: ADDRESS`,
		"ip: dhcp\ndns: 10.0.0.1": "line 4: \"dns: 10.0.0.1\": dns has no effect with DHCP",
		"dns: 10.0.0.1 x":         `"x" is no IPv4 address; write dns:`,
		"dns: ,":                  "no address in it",
		"vlan: 4095":              `"4095" is no VLAN; write vlan: ID, a number from 1 to 4094`,
		"interface: eth0.5:eth0":  "is no network card's name",
		"system: oss/debian":      `"oss/debian" is no system's name; write system: NAME, the name of the system's folder`,
		"timeout: 10s":            `"10s" is no number of seconds; write timeout: SECONDS`,
		"timeout: 5\ntimeout: 6":  "line 4: \"timeout: 6\": timeout is in line 3 already, which counts; remove one of the two",
		"console: /dev/ttyS0":     `"/dev/ttyS0" is no console; write console: DEVICE, as in console: ttyS0,115200`,
		"cmdline: a=\"b":          "a double quote is not closed",
		"cmdline: bt.medium=x":    "bt.medium is not for people",
		"cmdline: -- init":        "not for the kernel",
		"cmdline: " + strings.Repeat("x", maxCmdline+1): "it is longer than 1024 characters",
		"seeder: \x1b[2J": "characters in it that are not text; write the line anew",
		"seeder: \xff":    "not text",
	} {
		t.Run(text[:min(len(text), 30)], func(t *testing.T) {
			got, problems := Parse([]byte("# a test\nconsole: tty0\n" + text + "\nconsole: ttyS0\n"))
			if len(problems) != 1 || problems[0].Line < 3 || !strings.Contains(problems[0].Error(), want) {
				t.Errorf("problems %q, want %q", problems, want)
			}
			if !reflect.DeepEqual(got.Consoles, []string{"tty0", "ttyS0"}) {
				t.Errorf("the right lines are not used: %+v", got)
			}
		})
	}
}

func TestManyProblems(t *testing.T) {
	_, problems := Parse([]byte("gateway: 10.0.0.1\nip 10.0.0.2/24\nx\n"))
	var lines []int
	for _, p := range problems {
		lines = append(lines, p.Line)
	}
	if !reflect.DeepEqual(lines, []int{1, 2, 3}) {
		t.Errorf("lines %v of %v", lines, problems)
	}
	// A static address that is wrong is told once, and not once more for what belongs to it.
	if got, problems := Parse([]byte("ip: 10.0.0.300/24\ngateway: 10.0.0.1")); len(problems) != 1 || got.Gateway.IsValid() {
		t.Errorf("%+v, %v", got, problems)
	}
	if _, problems := Parse([]byte("\xff\xfes\x00")); len(problems) != 1 || !strings.Contains(problems[0].Error(), "UTF-16") {
		t.Errorf("%v", problems)
	}
	if _, problems := Parse(make([]byte, MaxSize+1)); len(problems) != 1 {
		t.Errorf("%v", problems)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("\ufeffseeder: http://10.0.0.1:8080\r\nip: 10.0.0.2/24\ngateway=10.0.0.1\ndns: 1.1.1.1,9.9.9.9\n"))
	f.Add([]byte("vlan: 5\ninterface: eth0\nsystem: \"a\" # b\ntimeout: -1\nconsole: ttyS0,115200\ncmdline: a=\"b c\"\n"))
	f.Add([]byte("seeder x\n\x00\n===\ncmdline: \"\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, problems := Parse(text)
		for i, p := range problems {
			if p.Line < 1 || i > 0 && p.Line < problems[i-1].Line || p.What == "" || p.Do == "" {
				t.Errorf("problem %+v after %+v", p, problems[:i])
			}
			if strings.ContainsFunc(p.Error(), unicode.IsControl) {
				t.Errorf("a terminal would obey %q", p.Error())
			}
		}
		if strings.Count(c.Cmdline, `"`)%2 != 0 || len(c.Cmdline) > maxCmdline || strings.ContainsAny(c.Cmdline, "\n\x00") {
			t.Errorf("kernel parameters %q", c.Cmdline)
		}
		if c.VLAN < 0 || c.VLAN > 4094 || strings.ContainsAny(c.Interface, " /") || c.Gateway.IsValid() && !c.Static.IsValid() {
			t.Errorf("%+v", c)
		}
	})
}
