// Package tree makes squashfs images of root file systems, and looks into such images.
//
// A [Tree] is a root file system whose names and attributes are in memory and whose bytes are where they came from: layers of tar
// streams ([ReadLayers]) or a folder ([ReadFolder]). What a foreign archive says is carried out on the tree only: its names and links
// lead nowhere on this machine, and no file is ever written for an entry. [Tree.Pack] sends the tree as one well-formed tar stream to
// mksquashfs (package squashfs-tools), which needs no root.
//
// [Open] lists images (squashfs, erofs, ext4) and [Root] finds in them what a system's configuration wants to know: the program that
// becomes process 1, the architecture, the name of the distribution, and kernels with their modules.
package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// Tree is a root file system.
type Tree struct {
	root *entry
	// Notes are sentences on what was left out and why.
	Notes []string
	// bytes opens the bytes of files in an order that suits the source; see [Tree.Pack].
	bytes source

	limits      Limits
	files, meta int64
	entries     int
}

// Node is a file of any type. Hard links are entries that share a Node.
type Node struct {
	// Mode has type, permissions, setuid, setgid and sticky bits as package fs has them.
	Mode fs.FileMode
	UID  int
	GID  int
	// Modified is in whole seconds: squashfs has no more.
	Modified time.Time
	// Size is of a regular file, in bytes. Link is where a symbolic link leads.
	Size int64
	Link string
	// Major and Minor are of a device.
	Major, Minor int64
	// Xattrs are extended attributes with their whole names: security.capability.
	Xattrs map[string]string

	// layer and at say where the bytes of a file are.
	layer, at int
}

// entry is a name in a folder.
type entry struct {
	node *Node
	// layer is the one that wrote the entry last.
	layer    int
	children map[string]*entry
}

// Limits bound what a source may make this machine do. Zero values are the defaults.
type Limits struct {
	// Bytes is the sum of the sizes of all files.
	Bytes int64
	// Entries is the number of names.
	Entries int
}

// The defaults of Limits, and how much their names and attributes take.
const (
	DefaultBytes   = 64 << 30
	DefaultEntries = 4_000_000
	maxMetadata    = 1 << 30
)

// Bounds of names: Linux, NAME_MAX and PATH_MAX; how many symbolic links lead to one name at most (MAXSYMLINKS); and device numbers, of
// which squashfs has 12 and 20 bits. What is nested deeper than maxDepth, which takes links in an archive, has no path on Linux.
const (
	maxDepth      = maxPathLength / 2
	maxNameLength = 255
	maxPathLength = 4095
	maxLinks      = 40
	maxMajor      = 1<<12 - 1
	maxMinor      = 1<<20 - 1
)

func newTree(l Limits) *Tree {
	if l.Bytes == 0 {
		l.Bytes = DefaultBytes
	}
	if l.Entries == 0 {
		l.Entries = DefaultEntries
	}
	return &Tree{root: &entry{node: folderNode(), children: map[string]*entry{}, layer: -1}, limits: l, bytes: noSource{}}
}

// folderNode is a folder that nobody described, such as the parent of a file in an archive without folders.
func folderNode() *Node { return &Node{Mode: fs.ModeDir | 0o755, Modified: time.Unix(0, 0)} }

func (t *Tree) note(format string, args ...any) {
	const most = 20
	switch {
	case len(t.Notes) < most:
		t.Notes = append(t.Notes, fmt.Sprintf(format, args...))
	case len(t.Notes) == most:
		t.Notes = append(t.Notes, "more was left out for such reasons")
	}
}

// clean returns the components of a name of an archive: none for the root itself. Leading slashes don't count, as in tar.
func clean(name string) ([]string, error) {
	if len(name) > maxPathLength {
		return nil, fmt.Errorf("the name %.40q… has more than %d bytes", name, maxPathLength)
	}
	if strings.IndexByte(name, 0) >= 0 {
		return nil, fmt.Errorf("the name %q has a zero byte in it", name)
	}
	var parts []string
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "" || part == ".":
		case part == "..":
			return nil, fmt.Errorf("the name %q leads out of its folder; an archive with such names is broken or an attack", name)
		case len(part) > maxNameLength:
			return nil, fmt.Errorf("the name %.40q… has a part of more than %d bytes", name, maxNameLength)
		default:
			parts = append(parts, part)
		}
	}
	return parts, nil
}

// folder returns the folder of those names, following symbolic links within the tree as unpacking in a chroot would, and makes what
// isn't there.
func (t *Tree) folder(parts []string, layer int) (*entry, error) {
	at, err := t.walk(parts, func(in *entry, name string) (*entry, error) {
		e := &entry{node: folderNode(), layer: layer, children: map[string]*entry{}}
		return e, t.put(in, name, e)
	})
	if err == nil && at.children == nil {
		err = fmt.Errorf("%s is no folder, and something is to be in it", path.Join(parts...))
	}
	return at, err
}

// errNotThere is returned by walk for a name that isn't there.
var errNotThere = errors.New("it is not there")

// walk returns the entry of those names, following symbolic links, of the last name too, within the tree. absent is asked for what isn't
// there; nil: that is errNotThere.
func (t *Tree) walk(parts []string, absent func(in *entry, name string) (*entry, error)) (*entry, error) {
	at := []*entry{t.root}
	rest := slices.Clone(parts)
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		here := at[len(at)-1]
		switch name {
		case "", ".":
			continue
		case "..":
			at = at[:max(len(at)-1, 1)]
			continue
		}
		if here.children == nil {
			return nil, fmt.Errorf("%s: %w", path.Join(parts...), errNotThere)
		}
		next := here.children[name]
		if next == nil {
			if absent == nil {
				return nil, fmt.Errorf("%s: %w", path.Join(parts...), errNotThere)
			}
			var err error
			if next, err = absent(here, name); err != nil {
				return nil, err
			}
		}
		if next.node.Mode.Type() != fs.ModeSymlink {
			if at = append(at, next); len(at) > maxDepth+1 {
				return nil, fmt.Errorf("%.40s…: it is nested in more than %d folders", path.Join(parts...), maxDepth)
			}
			continue
		}
		if links++; links > maxLinks || len(rest) > maxPathLength {
			return nil, fmt.Errorf("%s: symbolic links lead in a circle", path.Join(parts...))
		}
		if strings.HasPrefix(next.node.Link, "/") {
			at = at[:1]
		}
		rest = append(strings.Split(next.node.Link, "/"), rest...)
	}
	return at[len(at)-1], nil
}

// put gives a folder an entry, within the limits.
func (t *Tree) put(in *entry, name string, e *entry) error {
	if in.children[name] == nil {
		if t.entries++; t.entries > t.limits.Entries {
			return fmt.Errorf("it has more than %d files", t.limits.Entries)
		}
	}
	// An entry, its name, its node and the map's share take some 300 bytes.
	t.meta += int64(300 + len(name) + len(e.node.Link))
	for k, v := range e.node.Xattrs {
		t.meta += int64(len(k) + len(v))
	}
	if t.meta > maxMetadata {
		return errors.New("the names and attributes of its files take more than 1 GiB of memory")
	}
	in.children[name] = e
	return nil
}

// add makes an entry of a node. A folder keeps what is in it when it is described again; everything else replaces what had the name.
func (t *Tree) add(name string, n *Node, layer int) error {
	if err := t.check(name, n); err != nil {
		return err
	}
	parts, err := clean(name)
	if err != nil {
		return err
	}
	if len(parts) == 0 {
		if !n.Mode.IsDir() {
			return fmt.Errorf("the root folder is to be a %s", typeName(n.Mode))
		}
		t.root.node = n
		return nil
	}
	last := len(parts) - 1
	in, err := t.folder(parts[:last], layer)
	if err != nil {
		return err
	}
	e := &entry{node: n, layer: layer}
	if n.Mode.IsDir() {
		e.children = map[string]*entry{}
		if old := in.children[parts[last]]; old != nil && old.children != nil {
			e.children = old.children
		}
	}
	return t.put(in, parts[last], e)
}

// check refuses what squashfs or a kernel can't have, and counts the bytes.
func (t *Tree) check(name string, n *Node) error {
	switch {
	case n.Size < 0:
		return fmt.Errorf("%s has a negative size", name)
	case n.Major < 0 || n.Major > maxMajor || n.Minor < 0 || n.Minor > maxMinor:
		return fmt.Errorf("%s is the device %d:%d, and Linux has none above %d:%d", name, n.Major, n.Minor, maxMajor, maxMinor)
	case n.Mode.Type() == fs.ModeSymlink && (n.Link == "" || len(n.Link) > maxPathLength || strings.IndexByte(n.Link, 0) >= 0):
		return fmt.Errorf("the symbolic link %s leads to a name of %d bytes", name, len(n.Link))
	case n.UID < 0 || n.GID < 0 || int64(n.UID) > 1<<32-2 || int64(n.GID) > 1<<32-2:
		return fmt.Errorf("%s belongs to user %d and group %d, and ids have 32 bits", name, n.UID, n.GID)
	}
	if t.files += n.Size; t.files > t.limits.Bytes || t.files < 0 {
		return &TooLargeError{t.limits.Bytes}
	}
	return nil
}

// TooLargeError says that a source unpacks to more bytes than Limits allow.
type TooLargeError struct{ Limit int64 }

// Error implements error.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("it unpacks to more than %d GiB, which no node has memory for; if it is meant so, import less of it", e.Limit>>30)
}

// link makes a hard link to an entry that is there already.
func (t *Tree) link(name, target string, layer int) error {
	parts, err := clean(target)
	if err != nil {
		return fmt.Errorf("the hard link %s: %w", name, err)
	}
	if len(parts) == 0 {
		return fmt.Errorf("the hard link %s leads to the root folder", name)
	}
	in, err := t.walk(parts[:len(parts)-1], nil)
	if err != nil {
		return fmt.Errorf("the hard link %s leads to a file that is not in the archive: %w", name, err)
	}
	to := in.children[parts[len(parts)-1]]
	if to == nil || to.children != nil {
		return fmt.Errorf("the hard link %s leads to %q, which is no file of the archive", name, target)
	}
	own, err := clean(name)
	if err != nil || len(own) == 0 {
		return fmt.Errorf("a hard link has the name %q: %w", name, err)
	}
	folder, err := t.folder(own[:len(own)-1], layer)
	if err != nil {
		return err
	}
	return t.put(folder, own[len(own)-1], &entry{node: to.node, layer: layer})
}

// remove takes away an entry of lower layers: what the layer itself has written stays.
func (t *Tree) remove(in *entry, name string, layer int) {
	e := in.children[name]
	if e == nil {
		return
	}
	t.hide(e, layer)
	if e.layer < layer && len(e.children) == 0 {
		delete(in.children, name)
	}
}

// hide takes away everything of lower layers that is in a folder.
func (t *Tree) hide(e *entry, layer int) {
	for name := range e.children {
		t.remove(e, name, layer)
	}
}

// each calls f for every entry, parents first, in the order of their names. The root's name is ".".
func (t *Tree) each(f func(name string, n *Node) error) error { return t.root.each(".", f) }

func (e *entry) each(name string, f func(string, *Node) error) error {
	if err := f(name, e.node); err != nil {
		return err
	}
	for _, child := range slices.Sorted(maps.Keys(e.children)) {
		if err := e.children[child].each(path.Join(name, child), f); err != nil {
			return err
		}
	}
	return nil
}

// typeName is what a person calls a type of file.
func typeName(m fs.FileMode) string {
	switch m.Type() {
	case 0:
		return "file"
	case fs.ModeDir:
		return "folder"
	case fs.ModeSymlink:
		return "symbolic link"
	case fs.ModeSocket:
		return "socket"
	case fs.ModeNamedPipe:
		return "pipe"
	}
	return "device"
}

// Has reports whether there is something of that name; symbolic links are followed within the tree.
func (t *Tree) Has(name string) bool {
	parts, err := clean(name)
	if err != nil {
		return false
	}
	_, err = t.walk(parts, nil)
	return err == nil
}
