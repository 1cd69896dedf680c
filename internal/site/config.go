package site

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/self"
)

// defaultConsoles: the screen last, so that it is /dev/console.
var defaultConsoles = []string{"ttyS0,115200", "tty0"}

// readConfig reads boottorrent.yaml into s, and returns the name of the default system and the password of VNC, which can be
// checked only when the systems are known.
func readConfig(m *mapping, s *Site) (defaultSystem, vnc text) {
	version := m.integer("version", -1, math.MinInt32, math.MaxInt32)
	switch {
	case !m.has("version"):
		m.check.problem(startOf(m.at.file), "version is missing", "add the line version: 1")
	case version == 0:
		m.check.problem(m.place("version"), "version 0 is that of the original BootTorrent, whose file is "+OriginalFile,
			"rename the file to that, or make a new site with: "+self.Seeder()+" init DIR")
	case version != 1 && version != -1:
		m.check.problem(m.place("version"), fmt.Sprintf("this program reads version 1, not %d", version), "use a newer release")
	}

	name := m.text("name", s.Name)
	switch s.Name = name.value; {
	case !m.has("name") && !isSiteName(s.Name):
		m.check.problem(m.at, fmt.Sprintf("the folder's name %q can't be the site's, which nodes show", s.Name),
			"rename the folder, or write name: NAME in a "+ConfigFile)
	case m.has("name") && checkLine(m, "name", name, 64) && strings.TrimSpace(name.value) == "":
		m.check.problem(name.place, "name is empty", "write a name for the site, or remove the key to use the folder's")
	}
	readServe(m.mapping("serve"), &s.Serve)
	s.Arches = readArches(m)

	s.Manual = m.oneOf("publish", publishAuto, publishAuto, publishManual) == publishManual
	if defaultSystem = m.text("default", ""); defaultSystem.value == catalog.StartMenu {
		defaultSystem.value = "" // the chooser waits
	}
	s.Defaults.System = defaultSystem.value
	s.Defaults.Timeout = m.integer("timeout", 10, math.MinInt32, math.MaxInt32)
	s.Defaults.SeedTime = m.integer("seed_time", 30, 0, math.MaxInt32)
	s.Defaults.Seed, s.Defaults.LeaveAtStart = readSeeding(m.mapping("seed"))
	if s.Defaults.Timeout == 0 && s.Defaults.System == "" {
		m.check.warning(m.place("timeout"), "timeout is 0 but there is no default system, so nodes show the chooser and wait",
			"name a system with default, or remove timeout")
	}

	s.Local = m.boolean("local", true)
	s.UEFI = UEFI(m.oneOf("uefi", string(UEFIAuto), string(UEFIAuto), string(UEFIShim), string(UEFIiPXE), string(UEFIUKI)))
	s.SignImage = m.boolean("sign_image", false)
	s.Helpers = readPhase1(m.mapping("phase1"))
	reserved := readDHCP(m.mapping("dhcp"), s)
	readPorts(m.mapping("ports"), &s.Ports)
	s.Racks = readRacks(m)

	log := m.mapping("log")
	s.Log.Level = log.oneOf("level", "info", "debug", "info", "warn", "error")
	s.Log.Format = log.oneOf("format", "text", "text", "json")
	log.done()

	readNode(m.mapping("node"), &s.Node)
	readLimits(m.mapping("limits"), &s.Limits)
	s.Page = readPage(m.mapping("page"))
	groups := readGroups(m, s)
	readMachines(m, s, reserved, groups)
	checkMembers(m.check, s, groups)
	vnc = readVNCPassword(m)
	m.done()
	return defaultSystem, vnc
}

func readPhase1(m *mapping) Helpers {
	defer m.done()
	return Helpers(m.oneOf("helpers", string(HelpersAuto), string(HelpersAuto), string(HelpersOff)))
}

// The values of publish.
const (
	publishAuto   = "auto"
	publishManual = "manual"
)

func readServe(m *mapping, s *Serve) {
	interfaces := m.texts("interfaces")
	for i, name := range interfaces {
		checkInterface(m.check, name)
		if slices.Contains(s.Interfaces, name.value) {
			m.check.problem(name.place, fmt.Sprintf("%sinterfaces[%d]: %s is listed twice", m.path, i, name.value), "remove one")
		}
		s.Interfaces = append(s.Interfaces, name.value)
	}
	s.Address = m.ipv4("address")
	if len(interfaces) > 1 && s.Address.IsValid() {
		m.check.problem(m.place("address"), "serve has an address and several interfaces", "name the one interface that has the address, or leave the address out")
	}
	m.done()
}

// checkInterface reports what can't be the name of a network interface: IFNAMSIZ is 16 with the zero byte, and dev_valid_name in
// Linux's net/core/dev.c refuses these characters.
func checkInterface(c *checker, name text) {
	if name.value == "" || len(name.value) > 15 || strings.ContainsAny(name.value, "/: \t\n") {
		c.problem(name.place, fmt.Sprintf("%q is no name of a network interface", name.value), "see: ip link")
	}
}

func readPorts(m *mapping, p *Ports) {
	p.HTTP = uint16(m.integer("http", 8080, 1, math.MaxUint16))
	p.TFTP = uint16(m.integer("tftp", 69, 0, math.MaxUint16))
	p.Torrent = uint16(m.integer("torrent", 6881, 1, math.MaxUint16))
	if p.HTTP == p.Torrent {
		key := "torrent"
		if !m.has(key) {
			key = "http"
		}
		m.check.problem(m.place(key), fmt.Sprintf("ports.http and ports.torrent are both TCP port %d", p.HTTP), "change one of them")
	}
	m.done()
}

// console is a value of console= in Linux's Documentation/admin-guide/kernel-parameters.txt.
var console = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*(,[^\s"]+)?$`)

func readNode(m *mapping, n *Node) {
	n.Consoles = slices.Clone(defaultConsoles)
	if m.has("consoles") {
		n.Consoles = nil
	}
	for _, c := range m.texts("consoles") {
		if !console.MatchString(c.value) {
			m.check.problem(c.place, fmt.Sprintf("%q is no console", c.value), "write it as for the kernel: tty0, ttyS0,115200")
		}
		if slices.Contains(n.Consoles, c.value) {
			m.check.problem(c.place, fmt.Sprintf("console %s is listed twice", c.value), "remove one")
		}
		n.Consoles = append(n.Consoles, c.value)
		checkHandedOn(m, "consoles", c, image.CheckWords(c.value))
	}
	cmdline := m.text("cmdline", "")
	cmdline.value = strings.TrimSpace(cmdline.value)
	n.Cmdline = cmdline.value
	if checkLine(m, "cmdline", cmdline, phase1Cmdline) && m.has("cmdline") {
		checkHandedOn(m, "cmdline", cmdline, image.Cmdline{Consoles: n.Consoles, Extra: n.Cmdline}.Check())
	}
	n.SSHKeys = readSSHKeys(m)
	m.done()
}

// checkHandedOn reports what a boot loader would not hand on to phase 1's kernel as it is written.
func checkHandedOn(m *mapping, key string, t text, err error) {
	var misread *image.CmdlineError
	if errors.As(err, &misread) && !m.check.hasProblemAt(t.place) {
		m.check.problem(t.place, fmt.Sprintf("%s%s: %s", m.path, key, misread.What), misread.Do)
	}
}

// oneOf reads one of a few words.
func (m *mapping) oneOf(key, absent string, words ...string) string {
	t := m.text(key, absent)
	if !slices.Contains(words, t.value) {
		m.check.problem(t.place, fmt.Sprintf("%s%s is %q", m.path, key, t.value), "write one of: "+strings.Join(words, ", "))
		return absent
	}
	return t.value
}

// ipv4 reads an IPv4 address of a machine; the zero address if the key is absent, empty or wrong.
func (m *mapping) ipv4(key string) netip.Addr {
	t := m.text(key, "")
	if t.value == "" {
		return netip.Addr{}
	}
	return parseIPv4(m.check, m.path+key, t)
}

func parseIPv4(c *checker, key string, t text) netip.Addr {
	a, err := netip.ParseAddr(t.value)
	switch {
	case err != nil || !a.Is4():
		c.problem(t.place, fmt.Sprintf("%s: %q is no IPv4 address", key, t.value), "write four numbers: 192.168.1.10")
	case a.IsUnspecified() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		c.problem(t.place, fmt.Sprintf("%s: %s is no address of one machine", key, a), "write that of one machine")
	default:
		return a
	}
	return netip.Addr{}
}

// checkLine reports a text that is longer than limit (in bytes) or has line breaks or other control characters in it,
// which would end up on consoles and in scripts.
func checkLine(m *mapping, key string, t text, limit int) bool {
	switch {
	case strings.ContainsAny(t.value, "\r\n"):
		m.check.problem(t.place, m.path+key+" has a line break in it", "write it in one line; with >- it can be folded over several")
	case strings.ContainsFunc(t.value, unicode.IsControl):
		m.check.problem(t.place, m.path+key+" has a control character in it", "remove it")
	case len(t.value) > limit:
		m.check.problem(t.place, fmt.Sprintf("%s%s is %d bytes long", m.path, key, len(t.value)), fmt.Sprintf("shorten it to at most %d", limit))
	default:
		return true
	}
	return false
}

// phase1Cmdline is how long phase 1's kernel command line may be, in bytes: COMMAND_LINE_SIZE of x86 and arm64 kernels, less the
// zero byte at the end.
const phase1Cmdline = 2047
