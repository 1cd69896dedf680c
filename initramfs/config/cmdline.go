package config

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/mediumconf"
)

// cmdlinePath is where the kernel shows the command line it was started with (proc(5)).
const cmdlinePath = "/proc/cmdline"

// maxVLAN is the largest number of a VLAN (IEEE 802.1Q, 9.6).
const maxVLAN = 4094

// ReadCmdline reads /proc/cmdline; see [ParseCmdline].
func ReadCmdline() (Cmdline, []string, error) {
	b, err := os.ReadFile(cmdlinePath)
	if err != nil {
		return Cmdline{}, nil, fmt.Errorf("read the kernel command line (is /proc mounted?): %w", err)
	}
	c, warnings := ParseCmdline(string(b))
	return c, warnings, nil
}

// ParseCmdline reads a kernel command line. What concerns phase 1 but was not understood is left out of the result
// and returned as warnings, each a sentence that says what to write instead. Of a parameter given twice the last
// counts, as in the kernel.
func ParseCmdline(s string) (Cmdline, []string) {
	p := parser{}
	for _, param := range split(s) {
		p.parameter(param)
	}
	p.settleInterface()
	return p.out, p.warnings
}

// param is one word of a command line: NAME or NAME=VALUE.
type param struct {
	name, value string
	hasValue    bool
}

// split cuts a command line into parameters as the kernel's next_arg (lib/cmdline.c) does: at white space outside
// double quotes; quotes around the whole word or around the value are taken off, others stay.
func split(s string) []param {
	var params []param
	for _, word := range Words(s) {
		quoted := strings.HasPrefix(word, `"`)
		if quoted {
			word = strings.TrimSuffix(word[1:], `"`)
		}
		name, value, hasValue := strings.Cut(word, "=")
		if strings.HasPrefix(value, `"`) && !quoted {
			value = strings.TrimSuffix(value[1:], `"`)
		}
		params = append(params, param{name, value, hasValue})
	}
	return params
}

// Words cuts a command line into words as the kernel does: at white space outside double quotes, which stay.
func Words(s string) (words []string) {
	for {
		if s = strings.TrimLeft(s, " \t\r\n\v\f\x00"); s == "" {
			return words
		}
		var word string
		word, s = cutWord(s)
		words = append(words, word)
	}
}

// CutInit splits a command line before the word --, behind which everything is for init.
func CutInit(line string) (kernel, forInit string) {
	words := Words(line)
	if i := slices.Index(words, "--"); i >= 0 {
		return strings.Join(words[:i], " "), strings.Join(words[i:], " ")
	}
	return strings.TrimSpace(line), ""
}

// Add returns a command line with more words for the kernel.
func Add(line, words string) string {
	kernel, forInit := CutInit(line)
	parts := []string{kernel, strings.TrimSpace(words), forInit}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " ")
}

// cutWord returns the text up to the first white space that is not between double quotes, and the rest.
func cutWord(s string) (word, rest string) {
	inQuotes := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			inQuotes = !inQuotes
		case !inQuotes && strings.IndexByte(" \t\r\n\v\f\x00", s[i]) >= 0:
			return s[:i], s[i:]
		}
	}
	return s, ""
}

// parser collects what the parameters say.
type parser struct {
	out      Cmdline
	warnings []string
	// The interface can be named in three places; settleInterface decides. vlanLink is what vlan= calls the VLAN's own interface.
	ipDevice, vlanDevice, vlanLink, btInterface string
}

func (p *parser) warn(format string, args ...any) {
	p.warnings = append(p.warnings, fmt.Sprintf(format, args...))
}

func (p *parser) parameter(a param) {
	switch a.name {
	case "ip":
		p.ip(a.value)
	case "vlan", "bt.vlan":
		p.vlan(a.name, a.value)
	case "BOOTIF":
		p.bootif(a.value)
	case "console":
		p.out.Consoles = append(p.out.Consoles, a.value)
	case "bt.interface":
		p.btInterface = a.value
	case "bt.seeder":
		p.out.Seeder = a.value
	case "bt.system":
		p.out.System = a.value
	case "bt.timeout":
		p.timeout(a.value)
	case mediumconf.Argument:
		p.medium(a.value)
	case seenArgument:
		p.seen(a.value)
	case LocalWord:
		p.local(a.value)
	case "bt.shell":
		p.flag(a, &p.out.Shell)
	case "bt.debug":
		p.flag(a, &p.out.Debug)
	default:
		if strings.HasPrefix(a.name, "bt.") {
			p.warn("%s is not known; there are bt.seeder=URL, bt.system=NAME, bt.timeout=SECONDS, bt.interface=NAME, "+
				"bt.vlan=ID, bt.shell and bt.debug; bt.medium= is mkimage's, bt.seen= the node's own, bt.local= the boot script's", a.name)
		}
	}
}

// local reads what the boot script says of the machine's own disk.
func (p *parser) local(value string) {
	if value != localFailed {
		p.warn("%s=%s is ignored: it is for the boot script, which says %s there", LocalWord, value, localFailed)
		return
	}
	p.out.LocalFailed = true
}

func (p *parser) flag(a param, to *bool) {
	if !a.hasValue {
		*to = true
		return
	}
	b, err := strconv.ParseBool(a.value)
	if err != nil {
		p.warn("%s=%s is ignored; write %s to switch it on, or leave it out", a.name, a.value, a.name)
		return
	}
	*to = b
}

func (p *parser) timeout(value string) {
	n, err := strconv.Atoi(value)
	if err != nil {
		p.warn("bt.timeout=%s is ignored; write whole seconds, 0 to start at once, -1 to wait for a person", value)
		return
	}
	p.out.Timeout = &n
}

// medium reads the serial number of the medium's FAT file system, in eight hexadecimal digits, and the word again behind a
// comma.
func (p *parser) medium(value string) {
	digits, word, marked := strings.Cut(value, ",")
	n, err := strconv.ParseUint(digits, 16, 32)
	if err != nil || n == 0 || len(digits) != 8 || marked && word != again {
		p.warn("bt.medium=%s is ignored: it is for mkimage, which writes the volume's number there; make the medium again", value)
		return
	}
	p.out.Medium, p.out.Again = uint32(n), marked
}

// LocalWord is the parameter with which the boot script says that the firmware could not start the machine's own disk.
const (
	LocalWord   = "bt.local"
	localFailed = "failed"
)

// seenArgument hands on by kexec the highest counter of a catalog that was seen.
const seenArgument = "bt.seen"

// SeenWord is the word of a kernel command line that hands on a counter; empty for 0.
func SeenWord(counter uint64) string {
	if counter == 0 {
		return ""
	}
	return seenArgument + "=" + strconv.FormatUint(counter, 10)
}

// seen reads a counter. Of one given twice the highest counts: what was there before must not take the place of what is added.
func (p *parser) seen(value string) {
	n, err := strconv.ParseUint(value, 10, 64)
	if err != nil || n > catalog.MaxCounter {
		p.warn("%s=%s is ignored: it is for phase 1, which hands a catalog's counter on to itself", seenArgument, value)
		return
	}
	p.out.Seen = max(p.out.Seen, n)
}

// bootif reads pxelinux's BOOTIF=01-aa-bb-cc-dd-ee-ff: ARP's hardware type in hexadecimal, then the address. iPXE's
// ${netX/mac:hexhyp} comes without the type.
func (p *parser) bootif(value string) {
	digits := value
	if strings.Count(value, "-") == 6 {
		_, digits, _ = strings.Cut(value, "-")
	}
	mac, err := net.ParseMAC(digits)
	if err != nil || len(mac) != 6 {
		p.warn("BOOTIF=%s is ignored; write 01- and the MAC address with dashes: BOOTIF=01-aa-bb-cc-dd-ee-ff", value)
		return
	}
	p.out.Network.MAC = mac.String()
}

// vlan reads ID, NAME.ID, NAME.ID:DEVICE, and dracut's vlanID[:DEVICE].
func (p *parser) vlan(name, value string) {
	link, device, _ := strings.Cut(value, ":")
	digits := link[len(strings.TrimRight(link, "0123456789")):]
	parent, plain := strings.CutSuffix(link, digits)
	id, err := strconv.Atoi(digits)
	ok := plain && (parent == "" || parent == "vlan" || strings.HasSuffix(parent, "."))
	if err != nil || !ok || id < 1 || id > maxVLAN {
		p.warn("%s=%s is ignored; write %s=ID with an ID from 1 to 4094, or vlan=eth0.ID:eth0", name, value, name)
		return
	}
	if parent != "vlan" && device == "" {
		device = strings.TrimSuffix(parent, ".")
	}
	p.out.Network.VLAN = id
	p.vlanDevice, p.vlanLink = device, link
}

// card is the network card that a name stands for. It may be that of a VLAN's interface, as dracut and the kernel call it
// (eth0.5), which is made only when the card is known; and BOOTIF, as dracut has it, is the card that BOOTIF= names.
func (p *parser) card(device string) string {
	n := &p.out.Network
	if device == "BOOTIF" {
		if n.MAC == "" {
			p.warn("the interface BOOTIF is ignored: there is no BOOTIF= on the kernel command line to say which that is")
		}
		return n.MAC
	}
	if device != "" && device == p.vlanLink {
		return p.vlanDevice
	}
	parent, digits, found := strings.Cut(device, ".")
	id, err := strconv.Atoi(digits)
	if !found || parent == "" || err != nil || id < 1 || id > maxVLAN || n.VLAN != 0 && n.VLAN != id {
		return device
	}
	n.VLAN = id
	return parent
}

// settleInterface decides between the interfaces named in ip=, vlan= and bt.interface=.
func (p *parser) settleInterface() {
	n := &p.out.Network
	for _, device := range []string{p.btInterface, p.ipDevice, p.vlanDevice} {
		device = p.card(device)
		// A MAC address may be written in any of its forms; it is compared in one.
		if mac, err := net.ParseMAC(device); err == nil {
			device = mac.String()
		}
		switch {
		case device == "" || device == n.Interface:
		case n.Interface == "":
			n.Interface = device
		default:
			p.warn("two interfaces are given, %s and %s; %s is used: name only one, with bt.interface=",
				n.Interface, device, n.Interface)
		}
	}
}
