// Package mediumconf reads boottorrent.conf, the text file on a stick or disc by which a person sets up the machines that
// start from it, without building anything anew.
//
// Its lines are "key: value", or "key = value"; letters' case of keys counts for nothing. What follows a # at the beginning
// of a line or after a space is a comment. Any editor's line ends will do, and a byte order mark. The keys:
//
//	seeder:     http://ADDRESS:PORT, or only ADDRESS
//	ip:         dhcp, or ADDRESS/PREFIX
//	gateway:    ADDRESS, with a static ip
//	dns:        ADDRESS, several with spaces or commas between or a line each, with a static ip
//	vlan:       ID, 1 to 4094
//	interface:  NAME or MAC address of the network card to use
//	system:     NAME of the system that is started when nobody chooses
//	timeout:    seconds until it is; 0 at once, -1 never
//	console:    DEVICE[,OPTIONS] as in the kernel's console=; one a line
//	cmdline:    more parameters for the kernel's command line; lines add up
//
// In goes the text; out come the values of the lines that are right and a [Problem] for each that is not.
package mediumconf

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Name is the file's name on the medium, MaxSize how long it may be in bytes: what is longer is something else.
const (
	Name    = "boottorrent.conf"
	MaxSize = 64 << 10
)

// Argument is the kernel argument, behind it "=" and eight hexadecimal digits, by which mkimage tells phase 1 the serial
// number of the FAT file system that it is started from, and so where the file is.
const Argument = "bt.medium"

// Config is what the file says. What it doesn't say is zero.
type Config struct {
	// Seeder is the base URL of the seeder, http://ADDRESS:PORT.
	Seeder string
	// Static is the address for the network card; zero for DHCP, which DHCP says was asked for by name.
	Static  netip.Prefix
	DHCP    bool
	Gateway netip.Addr
	DNS     []netip.Addr
	// VLAN is from 1 to 4094.
	VLAN int
	// Interface is a name, or a MAC address as aa:bb:cc:dd:ee:ff.
	Interface string
	System    string
	// Timeout is in seconds; nil if not given.
	Timeout *int
	// Consoles are values of console= on a kernel's command line.
	Consoles []string
	// Cmdline are parameters for the kernel's command line, with a space between; double quotes in it come in pairs.
	Cmdline string
}

// Problem is a line that is not used because it is wrong.
type Problem struct {
	// Line counts from 1; Text is the line, without white space around it.
	Line int
	Text string
	// What is wrong with it, and what to Do.
	What, Do string
}

// Error says all of it in one line.
func (p Problem) Error() string {
	return fmt.Sprintf("%s, line %d: %q: %s; %s", Name, p.Line, p.Text, p.What, p.Do)
}

// Parse reads the file's content. The problems are in the order of their lines.
func Parse(content []byte) (Config, []Problem) {
	p := parser{right: map[string]int{}, wrong: map[string]bool{}}
	text := strings.TrimPrefix(string(content), "\ufeff")
	if strings.HasPrefix(text, "\xff\xfe") || strings.HasPrefix(text, "\xfe\xff") {
		p.text = "UTF-16"
		p.line = 1
		p.problem("the file is not plain text but UTF-16", "save it as UTF-8 or ANSI text")
		return p.out, p.problems
	}
	for line := range strings.Lines(text) {
		p.line++
		p.text = strings.TrimSpace(line)
		if p.line == 1 && len(text) > MaxSize {
			p.problem(fmt.Sprintf("the file has %d bytes", len(text)), fmt.Sprintf("shorten it to at most %d", MaxSize))
			break
		}
		p.read()
	}
	p.settleNetwork()
	slices.SortStableFunc(p.problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	return p.out, p.problems
}

// parser collects what the lines say.
type parser struct {
	out      Config
	problems []Problem
	line     int
	text     string
	// right are the lines in which keys were with a value, and wrong the keys whose value was none.
	right map[string]int
	wrong map[string]bool
	// staticOnly are lines that have a meaning only with a static address.
	staticOnly []Problem
}

func (p *parser) problem(what, do string) {
	p.problems = append(p.problems, Problem{p.line, shown(p.text), what, do})
}

// shown is a line as it can be shown: on one row, and nothing in it that a terminal obeys.
func shown(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if r := []rune(text); len(r) > 60 {
		text = string(r[:57]) + "..."
	}
	return text
}

// read reads one line.
func (p *parser) read() {
	if p.text == "" || p.text[0] == '#' {
		return
	}
	if !utf8.ValidString(p.text) || strings.ContainsFunc(p.text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		p.problem("it has characters in it that are not text", "write the line anew, in a text editor")
		return
	}
	at := strings.IndexAny(p.text, ":=")
	if at < 0 {
		p.problem("it has no \":\"", "write KEY: VALUE, or # before it if it is a remark")
		return
	}
	name, value := strings.TrimSpace(p.text[:at]), uncomment(p.text[at+1:])
	k, known := keys[strings.ToLower(name)]
	if !known {
		p.unknown(name)
		return
	}
	name = strings.ToLower(name)
	first, again := p.right[name]
	switch {
	case value == "":
		p.problem(name+" has no value", "write "+k.example+", or # before it")
		return
	case again && !k.repeats:
		p.problem(fmt.Sprintf("%s is in line %d already, which counts", name, first), "remove one of the two")
		return
	}
	if wrong := k.read(p, value); wrong != "" {
		p.wrong[name] = true
		p.problem(wrong, "write "+k.example)
		return
	}
	p.right[name] = p.line
}

// uncomment takes the comment behind a value away, and quotes around it.
func uncomment(value string) string {
	value = " " + value
	for i := 1; i < len(value); i++ {
		if value[i] == '#' && (value[i-1] == ' ' || value[i-1] == '\t') {
			value = value[:i]
		}
	}
	value = strings.TrimSpace(value)
	if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && strings.IndexByte(value[1:], value[0]) == n-2 {
		value = strings.TrimSpace(value[1 : n-1])
	}
	return value
}

// unknown says what a key may have been meant to be.
func (p *parser) unknown(name string) {
	if word, rest, cut := strings.Cut(p.text, " "); cut {
		if _, known := keys[strings.ToLower(word)]; known {
			p.problem("there is no \":\" behind "+word, fmt.Sprintf("write %s: %s", strings.ToLower(word), shown(strings.TrimSpace(rest))))
			return
		}
	}
	p.problem(fmt.Sprintf("%q is no key", shown(name)), "there are "+strings.Join(keyNames, ", "))
}

// settleNetwork finds lines that have no effect because of others.
func (p *parser) settleNetwork() {
	if p.out.Static.IsValid() {
		return
	}
	if !p.wrong["ip"] { // which is enough to be told
		p.problems = append(p.problems, p.staticOnly...)
	}
	p.out.Gateway, p.out.DNS = netip.Addr{}, nil
}
