package drivers

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/u-root/mkuimage/cpio"

	"github.com/boottorrent/boottorrent/internal/kmod"
	"github.com/boottorrent/boottorrent/internal/modarchive"
	"github.com/boottorrent/boottorrent/mkimage/archive"
)

// Records are the files of the set in the initramfs: lib/modules/VERSION with its index files, and lib/firmware.
func (s *Set) Records() []cpio.Record { return append(s.fileRecords(), s.indexRecords(s.index())...) }

// fileRecords are the modules and their firmware.
func (s *Set) fileRecords() []cpio.Record {
	var records []cpio.Record
	for _, m := range s.Modules {
		records = append(records, archive.File(path.Join(modarchive.Folder, s.Version, m.Path), m.Content, 0o644))
	}
	for _, f := range s.Firmware {
		records = append(records, archive.File(path.Join("lib/firmware", f.Path), f.Content, 0o644))
	}
	return records
}

func (s *Set) indexRecords(index map[string][]byte) []cpio.Record {
	var records []cpio.Record
	for name, content := range index {
		records = append(records, archive.File(path.Join(modarchive.Folder, s.Version, name), content, 0o644))
	}
	return records
}

// index returns the index files by name, in the formats of modules.dep(5) and depmod(8), with paths relative to
// lib/modules/VERSION.
func (s *Set) index() map[string][]byte {
	var dep, alias, soft, builtin bytes.Buffer
	graph := s.graph()
	for _, m := range s.Modules {
		fmt.Fprintf(&dep, "%s:", m.Path)
		for _, d := range graph.closure(m.Name) {
			fmt.Fprintf(&dep, " %s", graph.path[d])
		}
		dep.WriteByte('\n')
		for _, a := range m.Aliases {
			fmt.Fprintf(&alias, "alias %s %s\n", a, m.Name)
		}
		writeSoft(&soft, m)
	}
	for _, p := range slices.Sorted(maps.Values(s.Builtin)) {
		fmt.Fprintln(&builtin, p)
	}
	return map[string][]byte{
		modarchive.Dep:     dep.Bytes(),
		modarchive.Alias:   alias.Bytes(),
		modarchive.Softdep: soft.Bytes(),
		modarchive.Builtin: builtin.Bytes(),
	}
}

func writeSoft(b *bytes.Buffer, m *Module) {
	if len(m.Pre)+len(m.Post) == 0 {
		return
	}
	fmt.Fprintf(b, "softdep %s", m.Name)
	if len(m.Pre) > 0 {
		fmt.Fprintf(b, " pre: %s", strings.Join(m.Pre, " "))
	}
	if len(m.Post) > 0 {
		fmt.Fprintf(b, " post: %s", strings.Join(m.Post, " "))
	}
	b.WriteByte('\n')
}

// dependencies is what has to be loaded before what.
type dependencies struct {
	path   map[string]string
	direct map[string][]string
}

// graph has the dependencies of the set. Soft ones to be loaded before count as well: u-root's kmodule reads modules.dep
// and no other file. (Those that a selection brings along are libraries, which load on any machine.)
func (s *Set) graph() dependencies {
	g := dependencies{path: map[string]string{}, direct: map[string][]string{}}
	for _, m := range s.Modules {
		g.path[m.Name] = m.Path
	}
	for _, m := range s.Modules {
		for _, d := range m.Depends {
			if g.path[d] != "" {
				g.direct[m.Name] = append(g.direct[m.Name], d)
			}
		}
	}
	for _, m := range s.Modules {
		for _, d := range m.Pre {
			for _, d := range append([]string{kmod.Normalize(d)}, softAliases[d]...) {
				if g.path[d] == "" || slices.Contains(g.closure(d), m.Name) || slices.Contains(g.direct[m.Name], d) {
					continue
				}
				g.direct[m.Name] = append(g.direct[m.Name], d)
			}
		}
	}
	return g
}

// closure returns all that a module needs, directly or not; whoever loads it loads from the last to the first.
func (g dependencies) closure(name string) []string {
	var order []string
	seen := map[string]bool{name: true}
	var visit func(string)
	visit = func(n string) {
		for _, d := range g.direct[n] {
			if !seen[d] {
				seen[d] = true
				visit(d)
				order = append(order, d)
			}
		}
	}
	visit(name)
	slices.Reverse(order)
	return order
}
