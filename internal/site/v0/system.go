package v0

import (
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/boottorrent/boottorrent/internal/self"
)

// System makes the config.yaml of an original's system one of version 1, key by key and in their places. A number, true or false is
// text, as it was to the original. It put the names of files behind the folder's, a slash in front or not.
func System(g Group) {
	values := g.Values()
	for key, value := range values {
		if key != "hidden" { // the original had none: who wrote that means version 1's
			values[key] = plainText(value, slices.Contains([]string{"kernel", "initrd", "bin"}, key))
		}
	}
	if method, ok := values["method"].(*ast.StringNode); ok && method.Value == "kexec" && values["initrd"] == nil {
		g.Problem("initrd", "initrd is missing, without which the original starts no kernel",
			"name the initramfs, or let '"+self.Seeder()+" migrate' write a "+NewFile+", with which initrd may be left out")
	}
}

// plainText is a value as text, or a list of such; the name of a file without slashes in front of it.
func plainText(n ast.Node, isFile bool) ast.Node {
	switch v := n.(type) {
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return ast.String(n.GetToken())
	case *ast.SequenceNode:
		for i := range v.Values {
			v.Values[i] = plainText(v.Values[i], isFile)
		}
	case *ast.LiteralNode:
		plainText(v.Value, isFile)
	case *ast.StringNode:
		if isFile {
			v.Value = strings.TrimLeft(v.Value, "/")
		}
	}
	return n
}
