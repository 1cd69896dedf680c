package site

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// A YAML parser notices most mistakes some lines below them: at the first line that no longer fits. explainSyntax finds the line
// that a person has to change. It knows the mistakes that people make in a configuration: indentation, tabs, quotes and brackets that
// are not closed, a colon that is missing or has no space behind it.

// fault is a mistake in a line of a YAML document.
type fault struct {
	line, col int
	what, do  string
}

// sourceLine is a line that has a key or the beginning of a list's entry.
type sourceLine struct {
	number, indent int
	// text is without indentation and comment.
	text string
	// key is whether the line is KEY: or KEY: VALUE; name is KEY, value VALUE.
	key         bool
	name, value string
}

var (
	keyLine     = regexp.MustCompile(`^("[^"]*"|'[^']*'|[^\s"'\[{#:][^:#]*?)\s*:(?:\s+(.*))?$`)
	tightColon  = regexp.MustCompile(`^([A-Za-z_]+):(\S.*)$`)
	blockScalar = regexp.MustCompile(`^[|>][-+0-9]*$`)
)

// explainSyntax explains what a parser found at a line. The mistake may be above it, or in the next line that has something in it.
func explainSyntax(body []byte, found int) (fault, bool) {
	var above []sourceLine
	all := allLines(body)
	scalar := -1 // the indentation of the key whose block scalar this is
	for i, whole := range strings.Split(string(body), "\n") {
		l := newSourceLine(i+1, whole)
		if len(above) > 0 && above[len(above)-1].number > found {
			break
		}
		if strings.TrimSpace(whole) == "" || scalar >= 0 && l.indent > scalar {
			continue
		}
		scalar = -1
		if tab := strings.IndexByte(whole, '\t'); tab >= 0 && strings.TrimSpace(whole[:tab]) == "" {
			return fault{l.number, tab + 1, "a tab is used for indentation", "indent with spaces"}, true
		}
		if l.text == "" || strings.HasPrefix(l.text, "---") {
			continue
		}
		if f, bad := l.fault(above); bad {
			return f, true
		}
		if l.key && blockScalar.MatchString(l.value) {
			scalar = l.indent
		}
		above = append(above, l)
		if f, bad := misplaced(above, all); bad {
			return f, true
		}
	}
	return fault{}, false
}

func newSourceLine(number int, whole string) sourceLine {
	text := strings.TrimRight(strings.TrimLeft(whole, " "), " \t\r")
	l := sourceLine{number: number, indent: len(whole) - len(strings.TrimLeft(whole, " "))}
	if strings.HasPrefix(text, "#") {
		text = ""
	}
	if at := strings.Index(text, " #"); at >= 0 && strings.Count(text[:at], `"`)%2 == 0 && strings.Count(text[:at], "'")%2 == 0 {
		text = strings.TrimRight(text[:at], " ")
	}
	l.text = text
	if m := keyLine.FindStringSubmatch(text); m != nil && !strings.HasPrefix(text, "- ") {
		l.key, l.name, l.value = true, m[1], m[2]
	}
	return l
}

func allLines(body []byte) []sourceLine {
	var lines []sourceLine
	for i, whole := range strings.Split(string(body), "\n") {
		if l := newSourceLine(i+1, whole); l.text != "" {
			lines = append(lines, l)
		}
	}
	return lines
}

// fault finds what is wrong with a line whatever stands around it.
func (l sourceLine) fault(above []sourceLine) (fault, bool) {
	at := func(col int, what, do string) (fault, bool) { return fault{l.number, col, what, do}, true }
	valueAt := l.indent + utf8.RuneCountInString(l.text) - utf8.RuneCountInString(l.value) + 1
	if !l.key {
		if m := tightColon.FindStringSubmatch(l.text); m != nil {
			return at(l.indent+len(m[1])+1, "there is no space behind the colon", fmt.Sprintf("write %s: %s", m[1], m[2]))
		}
		word, rest, two := strings.Cut(l.text, " ")
		if l.indent == 0 && !strings.HasPrefix(l.text, "-") && !strings.ContainsAny(l.text[:1], `]},"'`) && !continues(above, l) {
			do := fmt.Sprintf("write %s: and the keys that belong to it below, indented", word)
			if two {
				do = fmt.Sprintf("write %s: %s", word, strings.TrimSpace(rest))
			}
			return at(1, "this line has no colon, so it is no key", do)
		}
		return fault{}, false
	}
	switch v := l.value; {
	case v == "":
	case v[0] == '"' || v[0] == '\'':
		closed := strings.IndexByte(v[1:], v[0])
		switch {
		case closed < 0:
			return at(valueAt, "the quote is not closed", "write "+string(v[0])+" at the end of the text, too")
		case v[0] == '"' && strings.TrimSpace(v[closed+2:]) != "" && !strings.Contains(v, `\`):
			return at(valueAt+closed+2, "there is more behind the closing quote", "put the whole value into quotes, or none of it")
		}
	case strings.Count(v, "[") > strings.Count(v, "]") && v[0] == '[':
		return at(valueAt, "the bracket [ is not closed", "write ] at the list's end")
	case strings.Count(v, "{") > strings.Count(v, "}") && v[0] == '{':
		return at(valueAt, "the brace { is not closed", "write } at the end of the group")
	case v[0] != '[' && v[0] != '{' && strings.Contains(v, ": "):
		return at(valueAt, "the value has ': ' in it, as only keys may", "put the value in quotes")
	}
	return fault{}, false
}

// continues reports whether a line may belong to the value of the one above.
func continues(above []sourceLine, l sourceLine) bool {
	return len(above) > 0 && l.indent > above[len(above)-1].indent
}

// misplaced finds a wrong indentation when the last line of above does not fit those before it. Which of two lines is the wrong one
// the other keys of their group tell: it is the one that differs from most.
func misplaced(above, all []sourceLine) (fault, bool) {
	l := above[len(above)-1]
	if len(above) < 2 || !l.key && !strings.HasPrefix(l.text, "- ") {
		return fault{}, false
	}
	before := above[len(above)-2]
	switch {
	case l.key && l.indent > before.indent && before.key && before.value != "" && !blockScalar.MatchString(before.value):
		if p := len(above) - 3; p >= 0 && above[p].key && above[p].value == "" && above[p].indent == before.indent {
			return fault{before.number, before.indent + 1, fmt.Sprintf("%s is not indented, as the keys below %s are", before.name, above[p].name),
				fmt.Sprintf("indent it by %d spaces, like line %d", l.indent, l.number)}, true
		}
		return odd(before, l, all)
	case l.indent < before.indent:
		var deepest *sourceLine
		for i := len(above) - 2; i >= 0; i-- {
			if above[i].indent == l.indent {
				return fault{}, false
			}
			if above[i].indent < l.indent {
				break
			}
			deepest = &above[i]
		}
		if deepest != nil {
			return odd(*deepest, l, all)
		}
	}
	return fault{}, false
}

// odd says which of two lines of one group is indented otherwise than the rest of it.
func odd(first, second sourceLine, all []sourceLine) (fault, bool) {
	wrong, right := second, first
	if rest := groupOf(first, second, all); rest[second.indent] > rest[first.indent] {
		if second.indent > first.indent && slices.ContainsFunc(all, func(l sourceLine) bool { return l.number < first.number && l.indent == first.indent }) {
			return fault{first.number, first.indent + 1, fmt.Sprintf("%s has the value %s, and keys below it", first.name, first.value),
				fmt.Sprintf("remove the value, or the indentation of line %d and those that follow", second.number)}, true
		}
		wrong, right = first, second
	}
	return fault{wrong.number, wrong.indent + 1,
		fmt.Sprintf("this line is indented by %s, and line %d by %s", spaces(wrong.indent), right.number, spaces(right.indent)),
		"indent keys of one group alike, with spaces"}, true
}

// groupOf counts the lines from first to the end of the group that both lines are in, by their indentation.
func groupOf(first, second sourceLine, all []sourceLine) map[int]int {
	count := map[int]int{}
	for _, l := range all {
		if l.number > second.number && l.indent < min(first.indent, second.indent) {
			break
		}
		if l.number >= first.number {
			count[l.indent]++
		}
	}
	return count
}

func spaces(n int) string {
	switch n {
	case 0:
		return "nothing"
	case 1:
		return "1 space"
	}
	return fmt.Sprintf("%d spaces", n)
}
