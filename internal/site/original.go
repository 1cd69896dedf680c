package site

import (
	"fmt"
	"maps"
	"net/netip"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/boottorrent/boottorrent/internal/site/v0"
)

// readOriginal reads Boottorrent.yaml into s: the version 1 document that package v0 makes of it is read as any other, but what is wrong
// with a value of it stands where the original's file has it.
func readOriginal(m *mapping, s *Site) (doc *v0.Document, defaultSystem text) {
	doc = v0.Convert(group{m}, m.check.dir)
	converted := parseDocument(m.check, m.at.file, []byte(doc.Text(nil)))
	if converted == nil {
		return doc, text{place: m.at}
	}
	converted.document.implied = v0.Implied
	for _, value := range converted.values {
		ast.Walk(mover{doc}, value)
	}
	defaultSystem, _ = readConfig(converted, s)
	return doc, defaultSystem
}

// mover moves the values of a document to the places that they come from.
type mover struct{ *v0.Document }

// Visit moves one value.
func (v mover) Visit(n ast.Node) ast.Visitor {
	at := v.Place(strings.TrimPrefix(n.GetPath(), "$."))
	n.GetToken().Position = &token.Position{Line: at.Line, Column: at.Col}
	return v
}

// group is a mapping as package v0 reads it.
type group struct{ *mapping }

func (g group) Values() map[string]ast.Node {
	maps.DeleteFunc(g.values, func(key string, _ ast.Node) bool { return !g.has(key) })
	return g.values
}

func (g group) Group(key string) v0.Group { return group{g.mapping.mapping(key)} }

func (g group) Required(key, do string) (string, bool) {
	t, ok := g.required(key, do)
	return t.value, ok
}

func (g group) Integer(key string, low, high int) (int, bool) {
	n := g.integer(key, low, low, high)
	return n, g.has(key) && !g.check.hasProblemAt(g.place(key))
}

func (g group) Whole(key string, low, high int) (int, bool) {
	do := "write a whole number" + bounds(low, high)
	if !g.has(key) {
		g.Problem(key, g.path+key+" is missing", do)
		return low, false
	}
	s, quoted := g.values[key].(*ast.StringNode)
	if !quoted {
		return g.Integer(key, low, high)
	}
	n, err := strconv.Atoi(strings.TrimSpace(s.Value))
	if err != nil || n < low || n > high {
		g.Problem(key, fmt.Sprintf("%s%s is %q", g.path, key, s.Value), do)
		return low, false
	}
	return n, true
}

func (g group) Boolean(key string, absent bool) (value, ok bool) {
	value = g.boolean(key, absent)
	return value, !g.check.hasProblemAt(g.place(key))
}

func (g group) IPv4(key, address string) (netip.Addr, bool) {
	a := parseIPv4(g.check, g.path+key, text{g.place(key), address})
	return a, a.IsValid()
}

func (g group) Places(key string) (name, value v0.Place) {
	k, v := g.keys[key], g.place(key)
	return v0.Place{Line: k.line, Col: k.col}, v0.Place{Line: v.line, Col: v.col}
}

func (g group) Problem(key, what, do string) { g.check.problem(g.place(key), what, do) }

func (g group) Warning(key, what, do string) { g.check.warning(g.place(key), what, do) }

func (g group) Nearest(key string, words []string) string { return nearest(key, words) }
