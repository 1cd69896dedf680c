package site

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxDocument is the size in bytes above which a file is not taken for a configuration. 10,000 machines with an address and a few words each
// have 1.3 MB.
const maxDocument = 4 << 20

// readDocument reads a YAML file whose top level is a mapping. It returns nil if that fails, and says why to c. shown
// is the file's name in messages.
func readDocument(c *checker, fsys fs.FS, name, shown string) *mapping {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		c.problem(startOf(shown), fmt.Sprintf("can't be read (%v)", cause(err)), "make it readable for this user")
		return nil
	}
	if !info.Mode().IsRegular() {
		c.problem(startOf(shown), "is not a regular file", "put the configuration's text here")
		return nil
	}
	if info.Size() > maxDocument {
		c.problem(startOf(shown), fmt.Sprintf("is %d bytes long, more than any configuration", info.Size()),
			"put the configuration's text here")
		return nil
	}
	body, err := fs.ReadFile(fsys, name)
	if err != nil {
		c.problem(startOf(shown), fmt.Sprintf("can't be read (%v)", cause(err)), "make it readable for this user")
		return nil
	}
	return parseDocument(c, shown, body)
}

// parseDocument is readDocument on the bytes of a file. An empty document is an empty mapping.
func parseDocument(c *checker, shown string, body []byte) *mapping {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	if at, ok := invalidUTF8(shown, body); ok {
		c.problem(at, "this byte is not UTF-8", "save the file as UTF-8")
		return nil
	}
	file, err := parser.ParseBytes(body, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		reportSyntax(c, shown, body, err)
		return nil
	}
	if len(file.Docs) > 1 {
		at := startOf(shown)
		if second := file.Docs[1]; second.Start != nil {
			at = placeOf(shown, second.Start)
		}
		c.problem(at, "a second document starts here", "keep one document in this file")
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return newMapping(c, "", startOf(shown), nil)
	}
	top := file.Docs[0].Body
	m, ok := top.(*ast.MappingNode)
	if !ok {
		c.problem(nodePlace(shown, top), "this is "+kind(top)+", not keys with values", "write lines like key: value")
		return nil
	}
	return newMapping(c, "", startOf(shown), m)
}

// invalidUTF8 finds the first byte that isn't.
func invalidUTF8(shown string, body []byte) (place, bool) {
	at := startOf(shown)
	for len(body) > 0 {
		r, n := utf8.DecodeRune(body)
		if r == utf8.RuneError && n == 1 {
			return at, true
		}
		at.col++
		if r == '\n' {
			at.line, at.col = at.line+1, 1
		}
		body = body[n:]
	}
	return at, false
}

// reportSyntax reports an error of the parser where a person has to mend it.
func reportSyntax(c *checker, shown string, body []byte, err error) {
	at, what := syntaxError(shown, err)
	if f, ok := explainSyntax(body, at.line); ok {
		c.problem(place{shown, f.line, f.col}, f.what, f.do)
		return
	}
	c.problem(at, "not valid YAML: "+what, "correct it; indent with spaces, and quote text that has ': ' or ' #' in it")
}

func syntaxError(shown string, err error) (place, string) {
	var e yaml.Error
	if !errors.As(err, &e) || e.GetToken() == nil {
		return startOf(shown), err.Error()
	}
	return placeOf(shown, e.GetToken()), e.GetMessage()
}

func placeOf(shown string, t *token.Token) place {
	if t == nil || t.Position == nil {
		return startOf(shown)
	}
	return place{shown, max(1, t.Position.Line), max(1, t.Position.Column)}
}

// nodePlace is where a value begins. A block mapping's own token is its first colon, so its first key is taken.
func nodePlace(shown string, n ast.Node) place {
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		return placeOf(shown, m.Values[0].Key.GetToken())
	}
	return placeOf(shown, n.GetToken())
}

// kind says what a value is, in words for messages.
func kind(n ast.Node) string {
	switch n.(type) {
	case *ast.StringNode, *ast.LiteralNode:
		return "text"
	case *ast.IntegerNode:
		return "a whole number"
	case *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	case *ast.BoolNode:
		return "true or false"
	case *ast.SequenceNode:
		return "a list"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a group of keys"
	case *ast.NullNode:
		return "nothing"
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		return "a YAML anchor or alias"
	case *ast.TagNode:
		return "a YAML tag"
	}
	return "something else"
}

// cause is the system's own words of an error with a path in it.
func cause(err error) error {
	var e *fs.PathError
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
