// Package machinefiles is a tree of files for machines: a folder of a site (files/all, files/GROUP or files/MACHINE) as one archive.
//
// The seeder reads a folder ([Read]) and encodes it ([Tree.Encode]) as a cpio archive in the form that Linux unpacks as an initramfs
// (newc, Documentation/driver-api/early-userspace/buffer-format.rst): sorted, so that the same files make the same bytes. A node decodes
// those that are for it ([Decode]), lays them one over the other ([Lay]), and fills templates in ([Tree.Expand]). Names may have any bytes that Linux
// takes; permissions, owners (as numbers), the time of the last change and the targets of links are kept.
package machinefiles

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// templateEnd is how the names of templates end. It is dropped.
const templateEnd = ".tmpl"

// The types of entries, as in their modes (inode(7)).
const (
	TypeMask = 0o170000
	Regular  = 0o100000
	Folder   = 0o040000
	Link     = 0o120000
)

// Entry is a file, a folder or a symbolic link.
type Entry struct {
	// Name is relative to the root folder, clean, with slashes. It may be not UTF-8.
	Name string
	// Mode is the type (see TypeMask) and the permissions (07777).
	Mode uint32
	// UID and GID are the owner and the group, Time is the last change, in seconds since 1970.
	UID, GID, Time uint32
	// Content is that of a file, or the target of a link.
	Content []byte
	// Template says that the content has placeholders, see catalog.Expand.
	Template bool
}

// Is reports whether the entry is of a type.
func (e *Entry) Is(kind uint32) bool { return e.Mode&TypeMask == kind }

// Tree are entries by their names. With an entry it has that of the folder it is in. The zero value has none.
type Tree struct{ entries map[string]*Entry }

// Len is how many entries there are.
func (t *Tree) Len() int {
	if t == nil {
		return 0
	}
	return len(t.entries)
}

// Entries are sorted by name, so each folder comes before what is in it.
func (t *Tree) Entries() []*Entry {
	if t == nil {
		return nil
	}
	all := make([]*Entry, 0, len(t.entries))
	for _, name := range slices.Sorted(maps.Keys(t.entries)) {
		all = append(all, t.entries[name])
	}
	return all
}

// Has reports whether there is an entry of that name.
func (t *Tree) Has(name string) bool { return t != nil && t.entries[name] != nil }

// Secrets are the names of files that only their owner may read.
func (t *Tree) Secrets() (names []string) {
	for _, e := range t.Entries() {
		if e.Is(Regular) && e.Mode&0o077 == 0 {
			names = append(names, e.Source())
		}
	}
	return names
}

// Source is the name that the entry has in the site.
func (e *Entry) Source() string {
	if e.Template {
		return e.Name + templateEnd
	}
	return e.Name
}

// add adds what an entry of the site's is, and says why it can't be.
func (t *Tree) add(e *Entry) error {
	if e.Is(Regular) && strings.HasSuffix(e.Name, templateEnd) {
		e.Name, e.Template = strings.TrimSuffix(e.Name, templateEnd), true
	}
	if err := checkName(e.Name); err != nil {
		return err
	}
	if other := t.entries[e.Name]; other != nil {
		return fmt.Errorf("%q and %q have the same name on machines; remove one", other.Source(), e.Source())
	}
	if above := path.Dir(e.Name); above != "." && (t.entries[above] == nil || !t.entries[above].Is(Folder)) {
		return fmt.Errorf("%q is in no folder", e.Name)
	}
	if t.entries == nil {
		t.entries = map[string]*Entry{}
	}
	t.entries[e.Name] = e
	return nil
}

// checkName reports a name that no file can have, or that the kernel would not take from an archive.
func checkName(name string) error {
	switch {
	case name == "" || strings.HasSuffix(name, "/"):
		return fmt.Errorf("a file is called %s alone, and without that ending it has no name; rename it", templateEnd)
	case name == ".", name == "..", name != path.Clean(name), path.IsAbs(name), strings.HasPrefix(name, "../"), strings.ContainsRune(name, 0):
		return fmt.Errorf("the name %q leaves the folder or is not clean", name)
	case name == trailer:
		return fmt.Errorf("the name %q ends archives (cpio); rename the file", name)
	case len(name) > catalog.MaxPath:
		return fmt.Errorf("the name %q has %d bytes, and machines take %d; shorten it", name, len(name), catalog.MaxPath)
	}
	return nil
}

// Lay lays trees one over the other: where several have an entry of a name, the last one counts. A file that comes over a folder takes the
// place of all that is in it.
func Lay(trees ...*Tree) *Tree {
	all := &Tree{entries: map[string]*Entry{}}
	for _, t := range trees {
		for _, e := range t.Entries() {
			if below := all.entries[e.Name]; below != nil && below.Is(Folder) && !e.Is(Folder) {
				maps.DeleteFunc(all.entries, func(name string, _ *Entry) bool { return strings.HasPrefix(name, e.Name+"/") })
			}
			all.entries[e.Name] = e
		}
	}
	return all
}

// Expand returns the tree with its templates filled in; vars are as for catalog.Expand.
func (t *Tree) Expand(vars map[string]string) (*Tree, error) {
	filled := &Tree{entries: map[string]*Entry{}}
	for name, e := range t.entries {
		if e.Template {
			text, err := catalog.Expand(string(e.Content), vars)
			if err != nil {
				return nil, fmt.Errorf("the template %q: %w", e.Source(), err)
			}
			copied := *e
			copied.Content, copied.Template = []byte(text), false
			e = &copied
		}
		filled.entries[name] = e
	}
	return filled, nil
}

// longest is how many bytes the entry's content may have on a machine.
func (e *Entry) longest() int {
	if e.Template {
		return max(len(e.Content), catalog.Longest(string(e.Content)))
	}
	return len(e.Content)
}
