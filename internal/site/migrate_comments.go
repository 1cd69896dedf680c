package site

import (
	"bytes"
	"cmp"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
)

// commentedOut is a key of the original that somebody left out, as in the file its init made: "# user: nobody".
var commentedOut = regexp.MustCompile(`^(version|timeout|default_os|seed_time|host_ip|enable_dhcp|user|interface|bind_interfaces|` +
	`dhcp_range|enable_tftp|enable|port|bt_enable_lpd|enable_peer_exchange|console_log_level)\s*:`)

// comments returns the comments in source by the key they belong to: those behind it and those above it. Those of a group of keys
// are found by its name, those below everything by the empty one.
func (o *original) comments(source []byte) map[string][]string {
	type key struct {
		name string
		at   place
	}
	var keys []key
	for name, at := range o.sections {
		keys = append(keys, key{name, at})
	}
	for _, f := range o.fates {
		keys = append(keys, key{f.key, f.at})
	}
	slices.SortFunc(keys, func(a, b key) int { return cmp.Or(cmp.Compare(a.at.line, b.at.line), cmp.Compare(a.at.col, b.at.col)) })
	owner := func(line int, behind bool) string {
		// The first key below the line; for a comment behind something the key before that.
		i := slices.IndexFunc(keys, func(k key) bool { return k.at.line > line })
		switch {
		case i < 0 && !behind:
			return ""
		case i < 0:
			i = len(keys)
		}
		if behind {
			i--
		}
		if i < 0 {
			return ""
		}
		return keys[i].name
	}

	tokens := lexer.Tokenize(string(bytes.TrimPrefix(source, []byte("\xef\xbb\xbf"))))
	used := map[int]bool{}
	for _, t := range tokens {
		if t.Type != token.CommentType && t.Position != nil {
			used[t.Position.Line] = true
		}
	}
	found := map[string][]string{}
	for _, t := range tokens {
		if t.Type != token.CommentType || t.Position == nil {
			continue
		}
		if text := printable(t.Value); text != "" && !commentedOut.MatchString(text) {
			name := owner(t.Position.Line, used[t.Position.Line])
			found[name] = append(found[name], text)
		}
	}
	return found
}

// printable is a comment's text in one line, without characters that could end it.
func printable(text string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsPrint(r):
			return r
		}
		return -1
	}, text))
}
