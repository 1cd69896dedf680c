package kmod

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Aliases is a parsed modules.alias: which module claims which devices. The zero value has none.
type Aliases struct {
	// byBus has the patterns by their text before the first ':' or wildcard ("pci", "usb", "virtio"), which keeps a
	// lookup from trying all of them: Debian's kernel has some 20 000.
	byBus map[string][]alias
}

type alias struct{ pattern, module string }

// ParseAliases reads modules.alias (modules.dep(5)): lines of "alias PATTERN MODULE". Other lines are skipped.
func ParseAliases(r io.Reader) (Aliases, error) {
	a := Aliases{byBus: map[string][]alias{}}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) != 3 || f[0] != "alias" {
			continue
		}
		bus := busOf(f[1])
		a.byBus[bus] = append(a.byBus[bus], alias{underscores(f[1]), f[2]})
	}
	if err := lines.Err(); err != nil {
		return Aliases{}, fmt.Errorf("read modules.alias: %w", err)
	}
	return a, nil
}

// busOf returns the text before the first ':' or wildcard.
func busOf(s string) string {
	if i := strings.IndexAny(s, ":*?["); i >= 0 {
		return s[:i]
	}
	return s
}

// Modules returns the names of all modules that claim a modalias, each once.
func (a Aliases) Modules(modalias string) []string {
	var found []string
	modalias = strings.ReplaceAll(modalias, "-", "_")
	// A pattern like "acpi*:PNP0C0C:*" stands under its shorter text: try every prefix of the bus.
	for bus := busOf(modalias); ; bus = bus[:len(bus)-1] {
		for _, c := range a.byBus[bus] {
			if match(c.pattern, modalias) && !slices.Contains(found, c.module) {
				found = append(found, c.module)
			}
		}
		if bus == "" {
			return found
		}
	}
}

// underscores makes dashes and underscores one, outside of brackets, which are ranges, as libkmod does on both sides of a lookup
// (alias_normalize in kmod's shared/util.c).
func underscores(pattern string) string {
	b := []byte(pattern)
	inBrackets := false
	for i, c := range b {
		switch {
		case c == '[':
			inBrackets = true
		case c == ']':
			inBrackets = false
		case c == '-' && !inBrackets:
			b[i] = '_'
		}
	}
	return string(b)
}

// match is fnmatch(3) without flags, of which modules.alias uses '*', '?' and '[A-F0-9]'; path.Match would not let
// '*' match a '/', which DMI strings have.
func match(pattern, s string) bool {
	// Where to go on after a mismatch: behind the last '*', one character further on.
	star, resume := -1, 0
	p, i := 0, 0
	for i < len(s) {
		if p < len(pattern) && pattern[p] == '*' {
			star, resume = p, i
			p++
			continue
		}
		if n, ok := matchOne(pattern[p:], s[i]); ok {
			p += n
			i++
			continue
		}
		if star < 0 {
			return false
		}
		resume++
		p, i = star+1, resume
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// matchOne matches one character with the pattern's first element and returns that element's length.
func matchOne(pattern string, c byte) (length int, ok bool) {
	if pattern == "" {
		return 0, false
	}
	switch pattern[0] {
	case '?':
		return 1, true
	case '[':
		end := strings.IndexByte(pattern, ']')
		if end < 0 {
			return 1, c == '['
		}
		return end + 1, inSet(pattern[1:end], c)
	}
	return 1, pattern[0] == c
}

// inSet says whether c is in a bracket expression's inside, like "0-9A-F" or "!0".
func inSet(set string, c byte) bool {
	rest, negated := strings.CutPrefix(set, "!")
	for i := 0; i < len(rest); i++ {
		low, high := rest[i], rest[i]
		if i+2 < len(rest) && rest[i+1] == '-' {
			high = rest[i+2]
			i += 2
		}
		if low <= c && c <= high {
			return !negated
		}
	}
	return negated
}
