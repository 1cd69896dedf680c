package site

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// text is a string from a file and where it stands there. When its key is absent, value is the default and place that
// of the mapping.
type text struct {
	place
	value string
}

// mapping is a YAML mapping being read. Every key that exists is asked for once, by the method of its type, which
// reports a value of another type; done reports the keys nobody asked for. A key without a value counts as absent.
type mapping struct {
	check *checker
	// path is put before keys in messages: "dhcp.range.".
	path   string
	at     place
	values map[string]ast.Node
	keys   map[string]place
	asked  []string
	// files has the files of keys that come from another document; see inherit.
	files map[string]string
	// document is shared by all mappings of a document.
	document *documentKeys
}

func newMapping(c *checker, path string, at place, node *ast.MappingNode) *mapping {
	m := &mapping{check: c, path: path, at: at, values: map[string]ast.Node{}, keys: map[string]place{}, document: &documentKeys{}}
	if node == nil {
		return m
	}
	for _, v := range node.Values {
		key, at := keyName(v.Key), placeOf(m.at.file, v.Key.GetToken())
		if first, twice := m.keys[key]; twice {
			c.problem(at, fmt.Sprintf("%s%s is given twice, first in line %d", path, key, first.line), "remove one of the two")
			continue
		}
		m.keys[key], m.values[key] = at, v.Value
	}
	return m
}

// inherit takes the keys of another document that m doesn't have, except some. What is wrong with them is reported there.
func (m *mapping) inherit(base *mapping, except ...string) {
	if m.files == nil {
		m.files = map[string]string{}
	}
	for key, value := range base.values {
		if !m.has(key) && !slices.Contains(except, key) {
			m.keys[key], m.values[key], m.files[key] = base.keys[key], value, base.at.file
		}
	}
}

// file is the one that a key is in. The key may have the index of a list's entry behind it.
func (m *mapping) file(key string) string {
	key, _, _ = strings.Cut(key, "[")
	if file, ok := m.files[key]; ok {
		return file
	}
	return m.at.file
}

func keyName(n ast.MapKeyNode) string {
	if s, ok := n.(*ast.StringNode); ok {
		return s.Value
	}
	return n.String()
}

// value returns the node of a key, or nil if it is absent or empty.
func (m *mapping) value(key string) ast.Node {
	if !slices.Contains(m.asked, key) {
		m.asked = append(m.asked, key)
		m.document.know(m.path + key)
	}
	n := m.values[key]
	if _, null := n.(*ast.NullNode); null {
		return nil
	}
	return n
}

// has reports whether the key has a value.
func (m *mapping) has(key string) bool {
	n := m.values[key]
	_, null := n.(*ast.NullNode)
	return n != nil && !null
}

// isEmptyList reports whether the key's value is a list with nothing in it.
func (m *mapping) isEmptyList(key string) bool {
	list, ok := m.values[key].(*ast.SequenceNode)
	return ok && len(list.Values) == 0
}

// place is where the key's value begins; where the mapping begins if the key is absent.
func (m *mapping) place(key string) place {
	if m.has(key) {
		return nodePlace(m.file(key), m.values[key])
	}
	if at, ok := m.keys[key]; ok {
		return at
	}
	return m.at
}

func (m *mapping) wrongType(n ast.Node, key, want, do string) {
	if kind(n) == "a YAML tag" || kind(n) == "a YAML anchor or alias" {
		do = "write the plain value"
	}
	m.check.problem(nodePlace(m.file(key), n), fmt.Sprintf("%s%s must be %s, and this is %s", m.path, key, want, kind(n)), do)
}

// text reads a string. One of another type is reported and counts as absent.
func (m *mapping) text(key, absent string) text {
	if n := m.value(key); n != nil {
		if t, ok := m.textOf(key, n); ok {
			return t
		}
	}
	return text{m.place(key), absent}
}

// textOf is the string of a node; key is for the message if it isn't one.
func (m *mapping) textOf(key string, n ast.Node) (text, bool) {
	at := nodePlace(m.file(key), n)
	switch n := n.(type) {
	case *ast.StringNode:
		return text{at, n.Value}, true
	case *ast.LiteralNode:
		return text{at, n.Value.Value}, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		m.wrongType(n, key, "text", "put it in quotes")
	case *ast.MappingNode, *ast.MappingValueNode:
		m.wrongType(n, key, "text", "write one text here, in quotes if it has a colon in it")
	default:
		m.wrongType(n, key, "text", "write one text here")
	}
	return text{place: at}, false
}

// required reads a string that must be there and not be empty; ok tells.
func (m *mapping) required(key, do string) (t text, ok bool) {
	n := m.value(key)
	if n == nil {
		t.place = m.place(key)
		m.check.problem(t.place, m.path+key+" is missing", do)
		return t, false
	}
	if t, ok = m.textOf(key, n); !ok {
		return t, false
	}
	if strings.TrimSpace(t.value) == "" {
		m.check.problem(t.place, m.path+key+" is empty", do)
		return t, false
	}
	return t, true
}

// integer reads a whole number from low to high.
func (m *mapping) integer(key string, absent, low, high int) int {
	n := m.value(key)
	if n == nil {
		return absent
	}
	do := "write a whole number" + bounds(low, high)
	i, ok := n.(*ast.IntegerNode)
	if !ok {
		m.wrongType(n, key, "a whole number", plainly(n, do))
		return absent
	}
	switch v := i.Value.(type) {
	case int64:
		if v >= int64(low) && v <= int64(high) {
			return int(v)
		}
	case uint64:
		if v <= uint64(high) && int64(v) >= int64(low) {
			return int(v)
		}
	}
	m.check.problem(nodePlace(m.file(key), n), fmt.Sprintf("%s%s is out of its range", m.path, key), do)
	return absent
}

// bounds says what low and high allow, as far as someone could want to know.
func bounds(low, high int) string {
	switch {
	case low == math.MinInt32:
		return ""
	case high == math.MaxInt32:
		return fmt.Sprintf(", %d or more", low)
	}
	return fmt.Sprintf(" from %d to %d", low, high)
}

// boolean reads true or false.
func (m *mapping) boolean(key string, absent bool) bool {
	n := m.value(key)
	if n == nil {
		return absent
	}
	b, ok := n.(*ast.BoolNode)
	if !ok {
		m.wrongType(n, key, "true or false", trueOrFalse(n))
		return absent
	}
	return b.Value
}

// texts reads a list of strings, none of them empty.
func (m *mapping) texts(key string) []text {
	n := m.value(key)
	if n == nil {
		return nil
	}
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		m.wrongType(n, key, "a list", "write [a, b], or one line a value, each beginning with a dash")
		return nil
	}
	var out []text
	for i, item := range list.Values {
		name := fmt.Sprintf("%s[%d]", key, i)
		t, ok := m.textOf(name, item)
		if !ok {
			continue
		}
		if strings.TrimSpace(t.value) == "" {
			m.check.problem(t.place, m.path+name+" is empty", "write a value or remove the entry")
			continue
		}
		out = append(out, t)
	}
	return out
}

// oneOrMore reads a string or a list of strings.
func (m *mapping) oneOrMore(key string) []text {
	if _, list := m.values[key].(*ast.SequenceNode); list || !m.has(key) {
		return m.texts(key)
	}
	if t, ok := m.required(key, "write a value or remove the key"); ok {
		return []text{t}
	}
	return nil
}

// mapping reads a mapping; an absent one is empty.
func (m *mapping) mapping(key string) *mapping {
	path := m.path + key + "."
	n := m.value(key)
	if n == nil {
		return m.below(path, m.place(key), nil)
	}
	node, ok := n.(*ast.MappingNode)
	if !ok {
		m.wrongType(n, key, "a group of keys", "write the keys indented below it")
	}
	return m.below(path, m.place(key), node)
}

// below is a mapping within m's document.
func (m *mapping) below(path string, at place, node *ast.MappingNode) *mapping {
	sub := newMapping(m.check, path, at, node)
	sub.document = m.document
	return sub
}

// mappings reads a list of mappings.
func (m *mapping) mappings(key string) []*mapping {
	n := m.value(key)
	if n == nil {
		return nil
	}
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		m.wrongType(n, key, "a list", "write one entry a line, each beginning with a dash")
		return nil
	}
	var out []*mapping
	for i, item := range list.Values {
		name := fmt.Sprintf("%s[%d]", key, i)
		node, ok := item.(*ast.MappingNode)
		if !ok {
			m.wrongType(item, name, "a group of keys", "write it as {key: value, key: value}")
			continue
		}
		out = append(out, m.below(m.path+name+".", nodePlace(m.file(key), item), node))
	}
	return out
}
