package site

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/machinefiles"
)

// FilesDir has a folder of files for all machines, and one for each group and machine that gets some.
const FilesDir = "files"

// MachineFiles are the files for all machines, for a group or for a machine.
type MachineFiles struct {
	// For is catalog.FilesAll, or the name of the group or of the machine; it is the folder's.
	For string
	// Archive is what machines fetch, see package machinefiles, and Entries how many files, folders and links are in it.
	Archive []byte
	Entries int
}

// Listed are the files as the catalog lists them.
func (s *Site) Listed() (list []catalog.Files) {
	for _, f := range s.Files {
		list = append(list, machinefiles.Listed(f.For, f.Archive))
	}
	return list
}

// ReadByAll is what there is to know of a file that only its owner may read.
const ReadByAll = "everyone in the machines' network can fetch it, though only its owner may read it here"

// readMachineFiles reads every folder of files/ into s. What is wrong with one concerns that one alone.
func readMachineFiles(c *checker, s *Site) {
	shown, dir := filepath.Join(c.dir, FilesDir), filepath.Join(s.Dir, FilesDir)
	shared := c.part()
	var st unix.Stat_t
	entries, err := os.ReadDir(dir)
	if err == nil {
		err = unix.Stat(dir, &st)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.FilesUnknown = true
		shared.problem(startOf(shown), fmt.Sprintf("can't be read (%v)", cause(err)), "make it a folder that this user can read, or remove it")
	}
	r := &filesReader{site: s, shown: shown, dir: dir, root: machinefiles.Owner{UID: st.Uid, GID: st.Gid}, owners: fileOwners(s)}
	if len(c.problems) > 0 {
		r.owners = nil // the configuration has mistakes, and who is missing in it may be there once they are mended
	}
	for _, e := range entries {
		if e.Name()[0] != '.' && e.Type()&(fs.ModeDir|fs.ModeSymlink) != 0 { // a README has its place there
			r.read(c.part(), e.Name())
		}
	}
	c.warnings = append(c.warnings, r.warnings...)
	s.Problems = append(s.Problems, shared.problems...)
	s.Problems.sort()
}

// filesReader reads the folders of files/.
type filesReader struct {
	site       *Site
	shown, dir string
	root       machinefiles.Owner
	// owners are the names of folders that somebody gets the files of; nil: not known.
	owners   []string
	size     int
	warnings Problems
}

// read reads one folder; c gets what is wrong with it.
func (r *filesReader) read(c *checker, name string) {
	shown := filepath.Join(r.shown, printable(name))
	if err := catalog.CheckName(name); err != nil {
		c.problem(startOf(shown), err.Error(), "rename the folder")
	} else {
		r.checkOwner(c, name)
	}
	tree, problems := machinefiles.Read(filepath.Join(r.dir, name), r.root)
	for _, p := range problems {
		c.problem(place{filepath.Join(shown, printable(p.Name)), p.Line, p.Col}, p.What, p.Do)
	}
	var archive []byte
	if len(c.problems) == 0 {
		var err error
		if archive, err = tree.Encode(); err != nil {
			c.problem(startOf(shown), err.Error(), "rename the file")
		}
	}
	if len(c.problems) == 0 {
		r.checkRoom(c, shown, len(archive))
	}
	if len(c.problems) > 0 {
		c.problems.sort()
		r.site.BrokenFiles = append(r.site.BrokenFiles, Broken{name, c.problems})
		return
	}
	r.size += len(archive)
	r.warn(c, tree, shown)
	r.site.Files = append(r.site.Files, MachineFiles{name, archive, tree.Len()})
}

// printable is a name as terminals may show it: what is no text in it, and control characters, are escaped.
func printable(name string) string {
	if quoted := strconv.Quote(name); quoted[1:len(quoted)-1] != name {
		return strings.ReplaceAll(quoted, `\\`, `\`)
	}
	return name
}

// checkOwner reports a folder whose files nobody gets. No group is called as a machine is.
func (r *filesReader) checkOwner(c *checker, name string) {
	if r.owners == nil || slices.Contains(r.owners, name) {
		return
	}
	do := "rename it to " + catalog.FilesAll + ", or to the name of a group or machine in " + ConfigFile
	if near := nearest(name, r.owners); near != "" {
		do = fmt.Sprintf("did you mean %s?", near)
	}
	c.problem(startOf(filepath.Join(r.shown, name)), "there is no group and no machine of that name, so nobody gets these files", do)
}

// checkRoom reports an archive for which there is no room beside the others.
func (r *filesReader) checkRoom(c *checker, shown string, size int) {
	const do = "put what is large into an image, and use templates for what differs from machine to machine"
	if len(r.site.Files) == catalog.MaxFileTrees {
		c.problem(startOf(shown), fmt.Sprintf("there is no room for it beside %d other folders", catalog.MaxFileTrees), do)
	} else if r.size+size > catalog.MaxFileTreesSize {
		c.problem(startOf(shown), fmt.Sprintf("there is no room for it: a site has %d bytes of files for machines", catalog.MaxFileTreesSize), do)
	}
}

// warn tells of secrets, and of what no system of the method root shows.
func (r *filesReader) warn(c *checker, tree *machinefiles.Tree, shown string) {
	for _, name := range tree.Secrets() {
		c.warning(startOf(filepath.Join(shown, printable(name))), ReadByAll, "put no secret into it that they must not know")
	}
	for _, e := range tree.Entries() {
		if top, _, below := strings.Cut(e.Name, "/"); below && slices.Contains([]string{"dev", "proc", "run", "sys"}, top) {
			c.warning(startOf(filepath.Join(shown, top)), "systems don't show what is in it, as they mount on /"+top, "put it elsewhere, or let tmpfiles.d(5) make it")
			break
		}
	}
	r.warnings = append(r.warnings, c.warnings...)
}

// fileOwners are the names that a folder of files/ may have.
func fileOwners(s *Site) []string {
	owners := []string{catalog.FilesAll}
	for _, g := range s.Groups {
		owners = append(owners, g.Name)
	}
	for _, m := range s.Machines {
		if m.Name != "" {
			owners = append(owners, m.Name)
		}
	}
	return owners
}
