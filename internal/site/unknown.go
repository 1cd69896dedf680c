package site

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// documentKeys are the keys that were looked for in a document, with the groups they are in, and those in it that nobody looked for.
type documentKeys struct {
	// known has each key once, without the indexes of lists in its whole name.
	known   []string
	isKnown map[string]bool
	unknown []unknownKey
	// implied reports whether nobody wrote a key, by its whole name. It is nil if somebody wrote all of them.
	implied func(path string) bool
}

func (d *documentKeys) know(path string) {
	path = index.ReplaceAllString(path, "")
	if d.isKnown[path] {
		return
	}
	if d.isKnown == nil {
		d.isKnown = map[string]bool{}
	}
	d.isKnown[path] = true
	d.known = append(d.known, path)
}

type unknownKey struct {
	m   *mapping
	key string
}

// misnomers are keys that people write and that are none there, by their whole name, and what to do instead.
var misnomers = map[string]string{
	"nodes": noMachines, "hosts": noMachines, "clients": noMachines, "reservations": noMachines,
	"systems": "each system is a folder in " + SystemsDir + " with a " + SystemFile, "oss": "each system is a folder in " + SystemsDir + " with a " + SystemFile,
	"title": "the title is dispname", "gateway": "it is dhcp: router", "dhcp.gateway": "it is router",
	"initrd": "remove it; only the method kexec has one: with the method root, nodes make their own",
	"append": "a kernel's command line is cmdline", "params": "a kernel's command line is cmdline",
}

const noMachines = "single machines are listed in machines, kinds of them in groups; node (without s) is for all of them"

// done notes every key that was not asked for. When the whole document is read they are reported: then it is known what could
// have been meant.
func (m *mapping) done() {
	for _, key := range slices.Sorted(maps.Keys(m.keys)) {
		if !slices.Contains(m.asked, key) {
			m.document.unknown = append(m.document.unknown, unknownKey{m, key})
		}
	}
	if m.path != "" {
		return
	}
	for _, u := range m.document.unknown {
		u.report()
	}
	m.document.unknown = nil
}

func (u unknownKey) report() {
	report := u.m.check.problem
	if u.m.check.original {
		report = u.m.check.warning
	}
	report(u.m.keys[u.key], fmt.Sprintf("unknown key %s%s", u.m.path, u.key), u.remedy())
}

// remedy says which key was meant: one of the same group with a typing error, one of another group, or one that other programs call so.
func (u unknownKey) remedy() string {
	if do := misnomers[strings.ToLower(u.m.path+u.key)]; do != "" {
		return do
	}
	if near := nearest(u.key, u.m.asked); near != "" {
		return fmt.Sprintf("did you mean %s?", near)
	}
	for _, whole := range u.m.document.known {
		group, key := cutLast(whole)
		if group == index.ReplaceAllString(u.m.path, "") || !sameKey(u.key, key) {
			continue
		}
		if group == "" {
			return fmt.Sprintf("%s stands at the beginning of a line, not below %s", key, strings.TrimSuffix(u.m.path, "."))
		}
		return fmt.Sprintf("%s belongs below %s, indented", key, strings.TrimSuffix(group, "."))
	}
	return "remove it; known here are: " + strings.Join(u.m.asked, ", ")
}

// index is that of an entry of a list, in a key's whole name.
var index = regexp.MustCompile(`\[\d+\]`)

// cutLast splits dhcp.range.first behind its last dot.
func cutLast(whole string) (group, key string) {
	at := strings.LastIndexByte(whole, '.') + 1
	return whole[:at], whole[at:]
}

// sameKey compares keys as people write them: sshKeys, ssh-keys, SSH_KEYS.
func sameKey(a, b string) bool { return bare(a) == bare(b) }

func bare(key string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "", " ", "").Replace(key))
}

// nearest returns the word that key is but for its spelling: at most two typing errors away, or one in which it is the beginning;
// empty if there is none.
func nearest(key string, words []string) string {
	best, found := 3, ""
	for _, w := range words {
		d := distance(strings.ToLower(key), w)
		if sameKey(key, w) {
			d = 0
		}
		if d < best && d < len(w) {
			best, found = d, w
		}
	}
	if found != "" || len(key) < 3 {
		return found
	}
	for _, w := range words {
		if strings.HasPrefix(bare(w), bare(key)) || strings.HasPrefix(bare(key), bare(w)) && len(w) > 3 {
			return w
		}
	}
	return ""
}

// distance is the number of characters to insert, delete or replace to get from a to b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// plainly is what to do about a text where something else is wanted: the same value without its quotes or its unit.
func plainly(n ast.Node, do string) string {
	s, ok := n.(*ast.StringNode)
	if !ok {
		return do
	}
	if quoted(s) {
		return do + ", without quotes"
	}
	if d, err := time.ParseDuration(s.Value); err == nil && d%time.Second == 0 {
		return fmt.Sprintf("%s, in seconds and without a unit: %d", do, d/time.Second)
	}
	return do
}

func quoted(s *ast.StringNode) bool {
	return s.Token.Type == token.DoubleQuoteType || s.Token.Type == token.SingleQuoteType
}

// trueOrFalse is what to do about a text where true or false is wanted, which may be in the words of older YAML or in quotes.
func trueOrFalse(n ast.Node) string {
	const do = "write true or false"
	if s, ok := n.(*ast.StringNode); ok {
		switch strings.ToLower(s.Value) {
		case "yes", "on", "y":
			return "write true"
		case "no", "off", "n":
			return "write false"
		}
		if quoted(s) {
			return do + ", without quotes"
		}
	}
	return do
}
