package site

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/boottorrent/boottorrent/internal/need"
)

// originalSite makes a site of testdata and loads it.
func originalSite(t testing.TB, name string) (dir string, s *Site) {
	t.Helper()
	archive, err := txtar.ParseFile("testdata/" + name + ".txtar")
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(t.TempDir(), "site")
	makeSite(t, dir, archive)
	s, problems := Load(dir)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return dir, s
}

// edit is a file of an original site with one key changed: its line is replaced, or removed if line is empty, or put at the end of
// its section if it is not there.
func edit(t *testing.T, file, section, key, line string) {
	t.Helper()
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	in, done := section == "", false
	put := func() {
		if in && !done && line != "" {
			out, done = append(out, line), true
		}
	}
	for text := range strings.Lines(string(body)) {
		text = strings.TrimRight(text, "\n")
		if section != "" && text != "" && text[0] != ' ' && text[0] != '#' {
			put()
			in = text == section+":"
		}
		if in && strings.HasPrefix(strings.TrimSpace(text), key+":") {
			put()
			done = true
			continue
		}
		out = append(out, text)
	}
	put()
	write(t, file, []byte(strings.Join(out, "\n")+"\n"))
}

// described is what a site does, for the tables below.
func described(s *Site) string {
	d, address := s.DHCP, ""
	if s.Serve.Address.IsValid() {
		address = s.Serve.Address.String()
	}
	return fmt.Sprintf("default=%s timeout=%d seed=%d serve=%v/%s dhcp=%s %s-%s lease=%s mask=%d router=%s http=%d tftp=%d torrent=%d log=%s node=%s;",
		s.Defaults.System, s.Defaults.Timeout, s.Defaults.SeedTime, s.Serve.Interfaces, address, d.Mode, d.First, d.Last, d.Lease, d.Netmask,
		d.Router, s.Ports.HTTP, s.Ports.TFTP, s.Ports.Torrent, s.Log.Level, s.Node.Cmdline)
}

// TestOriginalKeys changes one key of Boottorrent.yaml at a time. What is expected is what the site then does, or begins with the word of
// what is said: "lost" for the one warning of keys that are not honoured, "problem".
func TestOriginalKeys(t *testing.T) {
	cases := []struct{ section, key, value, want string }{
		{"boottorrent", "version", "1", "problem 2:14: version is not 0"},
		{"boottorrent", "version", "", "problem 2:5: version is not 0"},
		{"boottorrent", "version", "zero", "problem 2:14: boottorrent.version must be a whole number"},
		{"boottorrent", "timeout", "45", "timeout=45 "},
		{"boottorrent", "timeout", `"45"`, "timeout=45 "},
		{"boottorrent", "timeout", "0", "timeout=0 "},
		{"boottorrent", "timeout", "-1", "timeout=-1 "},
		{"boottorrent", "timeout", "soon", `problem 3:14: boottorrent.timeout is "soon"`},
		{"boottorrent", "timeout", "", "problem 2:5: boottorrent.timeout is missing"},
		{"boottorrent", "default_os", "floppy", "default=floppy "},
		{"boottorrent", "default_os", "", "problem 2:5: boottorrent.default_os is missing"},
		{"boottorrent", "default_os", `""`, "problem 4:17: boottorrent.default_os is empty"},
		{"boottorrent", "default_os", "nobody", `problem 4:17: the default system "nobody" does not exist; make the folder oss/nobody, or name one`},
		{"boottorrent", "default_os", "linuxox", "problem 4:17: the default system \"linuxox\" does not exist; did you mean linuxos?"},
		{"boottorrent", "seed_time", "0", "seed=0 "},
		{"boottorrent", "seed_time", "3600", "seed=3600 "},
		{"boottorrent", "seed_time", "-1", "problem 6:16: boottorrent.seed_time is out of its range"},
		{"boottorrent", "seed_time", "", "problem 2:5: boottorrent.seed_time is missing"},
		{"boottorrent", "host_ip", "10.1.2.3", "serve=[eth0]/10.1.2.3 "},
		{"boottorrent", "host_ip", "192.168.1.256", "problem 7:14: boottorrent.host_ip: \"192.168.1.256\" is no IPv4 address"},
		{"boottorrent", "host_ip", "server.example", "problem 7:14: boottorrent.host_ip: "},
		{"boottorrent", "host_ip", `"fe80::1"`, "problem 7:14: boottorrent.host_ip: "},
		{"boottorrent", "host_ip", "", "problem 2:5: boottorrent.host_ip is missing"},

		{"dnsmasq", "enable_dhcp", "True", "dhcp=server 192.168.1.50-192.168.1.150 lease=12h0m0s mask=0 router=192.168.1.1 "},
		{"dnsmasq", "enable_dhcp", "yes", "dhcp=server "},
		{"dnsmasq", "enable_dhcp", "False", "dhcp=proxy invalid IP-invalid IP lease=1h0m0s mask=0 router=invalid IP "},
		{"dnsmasq", "enable_dhcp", "off", "lost dnsmasq.enable_dhcp (the seeder gives no addresses, but tells boot clients beside the other DHCP server"},
		{"dnsmasq", "enable_dhcp", `"True"`, "problem 10:18: dnsmasq.enable_dhcp must be true or false"},
		{"dnsmasq", "enable_dhcp", "", "problem 11:5: dnsmasq.enable_dhcp is missing"},
		{"dnsmasq", "user", "nobody", "lost dnsmasq.user (the seeder stays the user that starts it"},
		{"dnsmasq", "user", "", "serve=[eth0]"},
		{"dnsmasq", "interface", "br-lab", "serve=[br-lab]/192.168.1.1 "},
		{"dnsmasq", "interface", `"eth0, eth1"`, "serve=[eth0 eth1]/ "},
		{"dnsmasq", "interface", `"eth0,eth1"`, "lost boottorrent.host_ip (each of the interfaces is served on its own first address)"},
		{"dnsmasq", "interface", `"eth*"`, "problem 12:16: dnsmasq.interface: \"eth*\" is a pattern"},
		{"dnsmasq", "interface", `"eth0:1"`, "problem 12:16: \"eth0:1\" is no name of a network interface"},
		{"dnsmasq", "interface", "", "problem 10:5: dnsmasq.interface is missing"},
		{"dnsmasq", "bind_interfaces", "True", "serve=[eth0]"},
		{"dnsmasq", "bind_interfaces", "", "serve=[eth0]"},
		{"dnsmasq", "bind_interfaces", "False", "lost dnsmasq.bind_interfaces (the seeder listens on its interface's address only)"},
		{"dnsmasq", "dhcp_range", `"10.0.0.5,10.0.0.9,255.255.255.0,45m"`, "dhcp=server 10.0.0.5-10.0.0.9 lease=45m0s mask=24 router=192.168.1.1 "},
		{"dnsmasq", "dhcp_range", `"192.168.1.1,192.168.1.150"`, "dhcp=server 192.168.1.1-192.168.1.150 lease=1h0m0s "},
		{"dnsmasq", "dhcp_range", `"192.168.1.0,proxy"`, "dhcp=proxy "},
		{"dnsmasq", "dhcp_range", `"192.168.1.50"`, "problem 16:17: dnsmasq.dhcp_range: the last address is missing"},
		{"dnsmasq", "dhcp_range", "", "problem 10:5: dnsmasq.dhcp_range is missing"},
		{"dnsmasq", "enable_tftp", "True", "tftp=69 "},
		{"dnsmasq", "enable_tftp", "False", "tftp=0 "},
		{"dnsmasq", "enable_tftp", "1", "problem 17:18: dnsmasq.enable_tftp must be true or false"},
		{"dnsmasq", "enable_tftp", "", "problem 10:5: dnsmasq.enable_tftp is missing"},

		{"opentracker", "enable", "True", "http=10001 "},
		{"opentracker", "enable", "maybe", "problem 20:13: opentracker.enable must be true or false"},
		{"opentracker", "enable", "", "problem 20:5: opentracker.enable is missing"},
		{"opentracker", "enable", "False", "problem 24:20: nodes have no way to find each other: opentracker.enable and aria2.bt_enable_lpd are both false"},
		{"opentracker", "port", "6969", "http=6969 tftp=69 torrent=6881 "},
		{"opentracker", "port", `"6969"`, "http=6969 "},
		{"opentracker", "port", "6881", "http=6881 tftp=69 torrent=6882 "},
		{"opentracker", "port", "0", "problem 21:11: opentracker.port is out of its range; write a whole number from 1 to 65535"},
		{"opentracker", "port", "", "problem 20:5: opentracker.port is missing"},

		{"aria2", "bt_enable_lpd", "False", "http=10001 "},
		{"aria2", "bt_enable_lpd", "True", "lost aria2.bt_enable_lpd (local peer discovery, BEP 14, is not used"},
		{"aria2", "bt_enable_lpd", "", "problem 24:5: aria2.bt_enable_lpd is missing"},
		{"aria2", "enable_peer_exchange", "True", "http=10001 "},
		{"aria2", "enable_peer_exchange", "", "http=10001 "},
		{"aria2", "enable_peer_exchange", "False", "http=10001 "},
		{"aria2", "console_log_level", "debug", "log=debug node=bt.debug;"},
		{"aria2", "console_log_level", "notice", "log=info node=;"},
		{"aria2", "console_log_level", "loud", `problem 26:24: aria2.console_log_level is "loud"; write one of: debug, info, notice, warn, error`},
		{"aria2", "console_log_level", "", "problem 24:5: aria2.console_log_level is missing"},

		{"aria2", "enable_dht", "False", "lost aria2.enable_dht (unknown to the original, too)"},
		{"dnsmasq", "bind_interface", "True", "lost dnsmasq.bind_interface (unknown to the original, too; bind_interfaces is not)"},
		{"boottorrent", "display_oss", "[linuxos]", "lost boottorrent.display_oss (every folder of oss is offered"},
	}
	for _, c := range cases {
		t.Run(c.section+"."+c.key+"="+c.value, func(t *testing.T) {
			dir, _ := originalSite(t, "original")
			line := ""
			if c.value != "" {
				line = "    " + c.key + ": " + c.value
			}
			edit(t, filepath.Join(dir, OriginalFile), c.section, c.key, line)
			checkOriginal(t, dir, OriginalFile, c.want)
		})
	}
}

// TestOriginalSystemKeys is TestOriginalKeys for config.yaml.
func TestOriginalSystemKeys(t *testing.T) {
	for _, c := range []struct{ system, key, value, want string }{
		{"linuxos", "dispname", "Some Linux", "Some Linux: kexec bzImage [initrd.gz] break"},
		{"linuxos", "dispname", "2018", "2018: kexec bzImage [initrd.gz] break"},
		{"linuxos", "dispname", "1.50", "1.50: kexec bzImage [initrd.gz] break"},
		{"linuxos", "dispname", "True", "True: kexec bzImage [initrd.gz] break"},
		{"linuxos", "dispname", "2018-01-31", "2018-01-31: kexec bzImage [initrd.gz] break"},
		// No value, in any of YAML's words, was an empty text on the original's nodes: as if the key were not there.
		{"linuxos", "dispname", "null", "problem 1:1: dispname is missing"},
		{"linuxos", "dispname", "~", "problem 1:1: dispname is missing"},
		{"linuxos", "dispname", `"null"`, "null: kexec bzImage [initrd.gz] break"},
		{"linuxos", "cmdline", "Null", "LinuxOS: kexec bzImage [initrd.gz] "},
		{"linuxos", "cmdline", "NULL", "LinuxOS: kexec bzImage [initrd.gz] "},
		{"linuxos", "cmdline", " ", "LinuxOS: kexec bzImage [initrd.gz] "},
		{"linuxos", "initrd", "null", "problem 4:1: initrd is missing, without which the original starts no kernel"},
		{"floppy", "args", "~", "problem 3:1: args is missing or empty"},
		{"hello", "binargs", "null", `TestBin: bin hello []`},
		{"hello", "binargs", "0x10", `TestBin: bin hello ["0x10"]`},
		{"linuxos", "dispname", "", "problem 1:1: dispname is missing"},
		{"linuxos", "dispname", "TestBin", "problem 1:11: dispname \"TestBin\" is also that of"},
		{"linuxos", "method", "", "problem 1:1: method is missing"},
		{"linuxos", "method", "kexce", "problem 2:9: unknown method \"kexce\""},
		{"linuxos", "kernel", "/bzImage", "LinuxOS: kexec bzImage [initrd.gz] break"},
		{"linuxos", "kernel", "../linuxos/bzImage", "problem 3:9: kernel ../linuxos/bzImage leaves the system's folder"},
		{"linuxos", "kernel", "gone", "problem 3:9: kernel gone does not exist"},
		{"linuxos", "kernel", "", "problem 1:1: kernel is missing"},
		{"linuxos", "initrd", "./initrd.gz", "LinuxOS: kexec bzImage [initrd.gz] break"},
		{"linuxos", "initrd", "gone.gz", "problem 4:9: initrd gone.gz does not exist"},
		{"linuxos", "initrd", "", "problem 1:1: initrd is missing, without which the original starts no kernel"},
		{"linuxos", "cmdline", "quiet root=/dev/ram0", "LinuxOS: kexec bzImage [initrd.gz] quiet root=/dev/ram0"},
		{"linuxos", "cmdline", "", "LinuxOS: kexec bzImage [initrd.gz] "},
		{"linuxos", "colour", "red", "warning 6:1: unknown key colour"},
		{"floppy", "method", "bin-qemu-x86_64", `TestOnQemu: qemu ["-fda" "test.img"]`},
		{"floppy", "args", `"-fda test.img -m 512"`, `TestOnQemu: qemu ["-fda" "test.img" "-m" "512"]`},
		{"floppy", "args", `"-fda test.img -nographic"`, `TestOnQemu: qemu ["-fda" "test.img" "-nographic"]`},
		{"floppy", "args", `"-fda test.img -display none"`, `TestOnQemu: qemu ["-fda" "test.img" "-display" "none"]`},
		{"floppy", "args", `"-fda test.img -display sdl,gl=on"`, "warning 3:7: args: -display sdl,gl=on has no effect on a node; it can stay"},
		{"floppy", "args", `"-fda test.img --full-screen"`, "warning 3:7: args: -full-screen has no effect on a node; it can stay"},
		{"floppy", "args", `"-fda test.img -serial mon:stdio"`, "warning 3:7: args: on a node with a screen, what -serial mon:stdio shows is in the node's log"},
		{"floppy", "args", `"-fda test.img -vnc :1"`, "problem 3:7: args: -vnc can't be used on a node; write display: vnc"},
		{"floppy", "args", `"-fda test.img -display vnc=:1"`, "problem 3:7: args: -display vnc=:1 can't be used on a node"},
		{"floppy", "args", `"-fda gone.img"`, "problem 3:7: args: -fda gone.img does not exist"},
		{"floppy", "args", "", "problem 1:1: args is missing or empty"},
		{"hello", "bin", "/hello", `TestBin: bin hello []`},
		{"hello", "bin", "gone", "problem 3:6: bin gone does not exist"},
		{"hello", "bin", "", "problem 1:1: bin is missing"},
		{"hello", "binargs", "one 'two words'", `TestBin: bin hello ["one" "two words"]`},
		{"hello", "binargs", "", `TestBin: bin hello []`},
	} {
		t.Run(c.system+"."+c.key+"="+c.value, func(t *testing.T) {
			dir, _ := originalSite(t, "original")
			line := ""
			if c.value != "" {
				line = c.key + ": " + c.value
			}
			file := filepath.Join(SystemsDir, c.system, SystemFile)
			edit(t, filepath.Join(dir, file), "", c.key, line)
			checkOriginal(t, dir, file, c.want)
		})
	}
}

// checkOriginal loads a site and looks for what is wanted; see TestOriginalKeys.
func checkOriginal(t *testing.T, dir, file, want string) {
	t.Helper()
	s, problems := Load(dir)
	kind, text, _ := strings.Cut(want, " ")
	at := filepath.Join(dir, file) + ":"
	if s != nil {
		problems = s.AllProblems()
	}
	if file != OriginalFile { // where the default is broken, that is one more
		problems = slices.DeleteFunc(problems, func(p Problem) bool { return strings.HasPrefix(p.What, "the default system") })
	}
	if kind == "problem" {
		if got := problems.Error(); len(problems) != 1 || !strings.HasPrefix(got, at+text) {
			t.Errorf("problems:\n%s\nwant only %s%s", got, at, text)
		}
		return
	}
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	warnings := Problems(s.Warnings).Error()
	switch kind {
	case "lost":
		if len(s.Warnings) != 1 || !strings.HasPrefix(warnings, at+"1:1: of the original's keys, these have another effect here or none: ") || !strings.Contains(warnings, text) {
			t.Errorf("warnings:\n%s\nwant one with %s", warnings, text)
		}
	case "warning":
		if !strings.HasPrefix(warnings, at+text) {
			t.Errorf("warnings:\n%s\nwant %s%s", warnings, at, text)
		}
	default:
		got := described(s)
		for _, sys := range s.Systems {
			got += "\n" + describedSystem(sys)
		}
		if !strings.Contains(got+"\n", want) {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
}

func describedSystem(s System) string {
	switch l := s.Launch; {
	case l.Kexec != nil:
		return fmt.Sprintf("%s: kexec %s %v %s", s.Title, l.Kexec.Kernel, l.Kexec.Initrd, l.Kexec.Cmdline)
	case l.Bin != nil:
		return fmt.Sprintf("%s: bin %s %q", s.Title, l.Bin.Program, l.Bin.Args)
	default:
		return fmt.Sprintf("%s: %s %q", s.Title, l.Method, l.QEMU.Args)
	}
}

// The documented keys are all in the tables, and in the file that the original's init made nothing is lost.
func TestOriginalAsMade(t *testing.T) {
	dir, s := originalSite(t, "original")
	if len(s.Warnings) > 0 {
		t.Errorf("warnings %v", s.Warnings)
	}
	for _, name := range []string{SecretKeyFile, PublicKeyFile, StateDir, ConfigFile} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			t.Errorf("Load made %s", name)
		}
	}
	const want = "default=linuxos timeout=30 seed=45 serve=[eth0]/192.168.1.1 dhcp=server 192.168.1.50-192.168.1.150 lease=12h0m0s mask=0 " +
		"router=192.168.1.1 http=10001 tftp=69 torrent=6881 log=info node=;"
	if got := described(s); got != want || !s.Original {
		t.Errorf("%s\nwant %s", got, want)
	}
	if titles := []string{s.Systems[0].Title, s.Systems[1].Title, s.Systems[2].Title}; !slices.IsSorted(titles) {
		t.Errorf("order %q", titles)
	}
}

// withRange is a Boottorrent.yaml in which only dhcp_range is left open.
const withRange = `
boottorrent: {version: 0, timeout: 0, default_os: hello, seed_time: 0, host_ip: 10.0.0.1}
dnsmasq: {enable_dhcp: True, enable_tftp: True, interface: eth0, dhcp_range: %s}
opentracker: {enable: True, port: 10001}
aria2: {bt_enable_lpd: False, console_log_level: warn}
`

func TestOriginalRange(t *testing.T) {
	const from, to = "10.0.0.50", "10.0.0.99"
	const both = from + "," + to
	for value, want := range map[string]string{
		both:                                  "1h0m0s 0",
		both + ",":                            "1h0m0s 0",
		both + ",12h":                         "12h0m0s 0",
		from + ", " + to + " ,45m":            "45m0s 0",
		both + ",3600":                        "1h0m0s 0",
		both + ",30":                          "2m0s 0",
		both + ",600S":                        "10m0s 0",
		both + ",2d":                          "48h0m0s 0",
		both + ",1W":                          "168h0m0s 0",
		both + ",infinite":                    "876000h0m0s 0",
		both + ",999999999999999999999":       "876000h0m0s 0",
		both + ",255.255.255.0,1h":            "1h0m0s 24",
		both + ",255.255.254.0":               "1h0m0s 23",
		both + ",255.255.255.0,10.0.0.255,2h": "2h0m0s 24",
		both + ",255.255.255.0,10.0.0.255":    "1h0m0s 24",
		to + "," + from + ",12h":              "12h0m0s 0",
		"set:red," + both:                     "1h0m0s 0",
		"red," + both:                         "1h0m0s 0",
		from + ",proxy":                       "proxy",
		from + ",proxy,255.255.255.0":         "proxy",
		both + ",255.255.255.0,10.0.0.254":    "1h0m0s 24 warning",
		from + ",static":                      "can't",
		"tag:eth0," + both:                    "can't",
		"fd00::1,fd00::9":                     "can't",
		"::1,::400,constructor:eth0":          "can't",
		both + ",255.0.255.0":                 "can't",
		both + ",h":                           "can't",
		both + ",deprecated":                  "can't",
		"10.0.0.1,10.255.255.254":             "can't",
		from:                                  "bad",
		"":                                    "bad",
		both + ",soon":                        "bad",
		both + ",1h30m":                       "bad",
		both + ",-1":                          "bad",
		both + ",1h,2h":                       "bad",
		both + ",255.255.255.0,10.0.0.255,1h,more": "bad",
		"10.0.0.050," + to:                         "bad",
		from + ",+9":                               "bad",
		from + ",10.0.1.99,255.255.255.0":          "bad",
		"set:red,set:blue," + both:                 "bad",
		from + ",10.0.0.300":                       "bad",
		strings.ToUpper(both + ",infinite"):        "bad",
	} {
		c := &checker{original: true}
		s := &Site{Name: "site"}
		readOriginal(parseDocument(c, OriginalFile, fmt.Appendf(nil, withRange, strconv.Quote(value))), s)
		if accepted, ok := dnsmasqTakes(t, value); ok && accepted == (want == "bad") {
			t.Errorf("%q: dnsmasq accepts it: %v", value, accepted)
		}
		d := s.DHCP
		got := fmt.Sprintf("%s %d", d.Lease, d.Netmask)
		switch {
		case len(c.problems) > 0 && (want == "bad" || want == "can't"):
			continue
		case len(c.problems) > 0:
			t.Errorf("%q: %v", value, c.problems)
			continue
		case d.Mode == DHCPProxy:
			got = "proxy"
		case d.First.String() != from || d.Last.String() != to:
			t.Errorf("%q: from %s to %s", value, d.First, d.Last)
		}
		if len(c.warnings) > 0 {
			got += " warning"
		}
		if got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
}

// dnsmasqTakes lets dnsmasq judge a range; not ok if it is empty, which the original doesn't pass on.
func dnsmasqTakes(t *testing.T, value string) (accepted, ok bool) {
	t.Helper()
	if value == "" {
		return false, false
	}
	tool := need.Command(t, "dnsmasq", "dnsmasq-base")
	conf := filepath.Join(t.TempDir(), "conf")
	write(t, conf, []byte("port=0\ndhcp-range="+value+"\n"))
	return exec.Command(tool, "--test", "-C", conf).Run() == nil, true
}

func TestWhere(t *testing.T) {
	for key, want := range map[string][2]string{
		"ports.http":    {"ports.http in boottorrent.yaml", "opentracker.port in Boottorrent.yaml"},
		"serve.address": {"serve.address in boottorrent.yaml", "boottorrent.host_ip in Boottorrent.yaml"},
		"ports.torrent": {"ports.torrent in boottorrent.yaml", "ports.torrent in boottorrent.yaml, which 'seeder migrate' writes,"},
	} {
		if got := [2]string{(&Site{}).Where(key), (&Site{Original: true}).Where(key)}; got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
}

// same compares an original site with the one it was migrated to.
func same(t *testing.T, before, after *Site) {
	t.Helper()
	a, b := *before, *after
	a.Original, a.Warnings, b.Warnings = false, nil, nil
	if !reflect.DeepEqual(a, b) {
		t.Errorf("migrated:\n%+v\nwant\n%+v", b, a)
	}
}

// A folder whose name can't be the site's is told once, whatever its configuration is called.
func TestFolderName(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/original.txtar")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "room\x07")
	makeSite(t, dir, archive)
	check := func(file string) {
		_, problems := Load(dir)
		want := filepath.Join(dir, file) + `:1:1: the folder's name "room\a" can't be the site's`
		if len(problems) != 1 || !strings.HasPrefix(problems.Error(), want) {
			t.Errorf("problems:\n%v\nwant only %s", problems, want)
		}
	}
	check(OriginalFile)
	if _, err := EnsureKeys(&Site{Dir: dir, Original: true}); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, ConfigFile), []byte("version: 1\n"))
	check(ConfigFile)
}
