package kmod

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// WriteIndexes writes modules.dep.bin, modules.alias.bin and modules.builtin.bin into a folder lib/modules/RELEASE from the text files
// that they are of. modprobe and udev look for modules by these alone (libkmod), while phase 1 needs only the texts.
func WriteIndexes(dir string) error {
	for name, entry := range map[string]func(line string) (key, value string, ok bool){
		"modules.dep": func(line string) (string, string, bool) {
			file, _, ok := strings.Cut(line, ":")
			return Name(file), line, ok
		},
		"modules.alias": func(line string) (string, string, bool) {
			words := strings.Fields(line)
			if len(words) != 3 || words[0] != "alias" {
				return "", "", false
			}
			return underscores(words[1]), words[2], true
		},
		"modules.builtin": func(line string) (string, string, bool) { return Name(line), "", line != "" },
	} {
		if err := writeIndex(filepath.Join(dir, name), entry); err != nil {
			return fmt.Errorf("write %s.bin: %w", name, err)
		}
	}
	return nil
}

// writeIndex writes FILE.bin of the lines of a file; of one that is not there nothing.
func writeIndex(file string, entry func(string) (key, value string, ok bool)) error {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	root := &node{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, len(text)+1)
	for n := uint32(0); lines.Scan(); n++ {
		if key, value, ok := entry(strings.TrimSpace(lines.Text())); ok {
			if err := root.insert(key, indexValue{n, value}); err != nil {
				return err
			}
		}
	}
	return os.WriteFile(file+".bin", root.encode(), 0o644)
}

// The format is that of kmod's libkmod/libkmod-index.c: a radix tree, all numbers in 32 bits and in network byte order. Behind the
// magic number and the version stands where the root is; a node's number has what there is of it in its highest bits:
//
//	prefix, ended by a zero byte           nodePrefix
//	first, last, where children are        nodeChildren; 0 for one that is not there
//	count, of values: priority and text    nodeValues
const (
	indexMagic   = 0xb007f457
	indexVersion = 0x00020001
	nodePrefix   = 0x80000000
	nodeValues   = 0x40000000
	nodeChildren = 0x20000000
	// maxChar is the highest byte that a key may have.
	maxChar = 127
)

type indexValue struct {
	priority uint32
	text     string
}

type node struct {
	prefix   string
	values   []indexValue
	children map[byte]*node
}

// insert adds a value. The first byte of a child's keys is its place among its siblings, and not a part of its prefix.
func (n *node) insert(key string, v indexValue) error {
	for i := range len(key) {
		if key[i] == 0 || key[i] > maxChar {
			return fmt.Errorf("the name %q has a character that is not in ASCII", key)
		}
	}
	if n.prefix == "" && n.values == nil && n.children == nil {
		n.prefix, n.values = key, []indexValue{v}
		return nil
	}
	common := 0
	for common < len(key) && common < len(n.prefix) && key[common] == n.prefix[common] {
		common++
	}
	if common < len(n.prefix) {
		rest := &node{n.prefix[common+1:], n.values, n.children}
		*n = node{n.prefix[:common], nil, map[byte]*node{n.prefix[common]: rest}}
	}
	if common == len(key) {
		n.values = append(n.values, v)
		return nil
	}
	if n.children == nil {
		n.children = map[byte]*node{}
	}
	child := n.children[key[common]]
	if child == nil {
		child = &node{}
		n.children[key[common]] = child
	}
	return child.insert(key[common+1:], v)
}

func (n *node) encode() []byte {
	out := binary.BigEndian.AppendUint32(nil, indexMagic)
	out = binary.BigEndian.AppendUint32(out, indexVersion)
	out = binary.BigEndian.AppendUint32(out, 0)
	out, root := n.append(out)
	binary.BigEndian.PutUint32(out[8:], root)
	return out
}

// append writes a node behind its children, and returns its number.
func (n *node) append(out []byte) ([]byte, uint32) {
	places := map[byte]uint32{}
	var chars []byte
	for c := range n.children {
		chars = append(chars, c)
	}
	sort.Slice(chars, func(i, j int) bool { return chars[i] < chars[j] })
	for _, c := range chars {
		out, places[c] = n.children[c].append(out)
	}
	at := uint32(len(out))
	if n.prefix != "" {
		at |= nodePrefix
		out = append(append(out, n.prefix...), 0)
	}
	if len(chars) > 0 {
		at |= nodeChildren
		first, last := chars[0], chars[len(chars)-1]
		out = append(out, first, last)
		for c := int(first); c <= int(last); c++ {
			out = binary.BigEndian.AppendUint32(out, places[byte(c)])
		}
	}
	if len(n.values) > 0 {
		at |= nodeValues
		out = binary.BigEndian.AppendUint32(out, uint32(len(n.values)))
		for _, v := range n.values {
			out = binary.BigEndian.AppendUint32(out, v.priority)
			out = append(append(out, v.text...), 0)
		}
	}
	return out, at
}
