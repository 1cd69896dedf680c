package v0

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
)

// commentedOut is a key of the original that somebody left out, as in the file its init made: "# user: nobody".
var commentedOut = func() *regexp.Regexp {
	var keys []string
	for _, s := range sections {
		keys = append(keys, s.keys...)
	}
	return regexp.MustCompile(`^(` + strings.Join(keys, "|") + `)\s*:`)
}()

// belowAll stands for a key below all others.
const belowAll = "."

// Comments returns the comments in source, the file the document was made of, by the key they belong to: those behind it and those above
// it. Those of a section are found by its name, those below everything by [belowAll].
func (d *Document) Comments(source []byte) map[string][]string {
	keys := slices.Clone(d.Fates)
	for name, at := range d.sections {
		keys = append(keys, Fate{Key: name, At: at})
	}
	slices.SortFunc(keys, func(a, b Fate) int { return a.At.compare(b.At) })
	owner := func(line int, behind bool) string {
		// The first key below the line; for a comment behind something the key before that.
		i := slices.IndexFunc(keys, func(k Fate) bool { return k.At.Line > line })
		if i < 0 {
			i = len(keys)
		}
		if behind {
			i--
		}
		if i < 0 || i == len(keys) {
			return belowAll
		}
		return keys[i].Key
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
