package site

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// all lists every regular file of the folder but its configuration, sorted by path: what a program may want is not known.
// Links to files count as files, as they do for kernels. What can't be handed out is a problem.
func (f *folder) all(c *checker) []string {
	at := startOf(path.Join(f.shown, SystemFile))
	var files []string
	err := fs.WalkDir(f.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			c.problem(at, fmt.Sprintf("%s can't be read (%v)", name, cause(err)), "make it readable for this user")
			return nil
		}
		if d.IsDir() || name == SystemFile {
			return nil
		}
		if err := catalog.CheckPath(name); err != nil {
			what, do, _ := strings.Cut(err.Error(), "; ")
			c.problem(at, what, cmp.Or(do, "rename the file"))
			return nil
		}
		switch ok, what, do := f.usable(name, d); {
		case ok:
			files = append(files, name)
		case what != "":
			c.problem(at, name+" "+what, do)
		}
		if len(files) > catalog.MaxFiles {
			return errors.New("too many")
		}
		return nil
	})
	if err != nil {
		c.problem(at, fmt.Sprintf("the folder has more than %d files", catalog.MaxFiles), "put them into an archive or a disk image")
		return nil
	}
	slices.Sort(files)
	return files
}

// usable reports whether a file can be handed out; where it can't and somebody may miss it, why, and what to do.
func (f *folder) usable(name string, d fs.DirEntry) (ok bool, what, do string) {
	info, err := f.root.Stat(name)
	switch {
	case err != nil && d.Type()&fs.ModeSymlink != 0:
		return false, "is a symbolic link to nothing, or out of the system's folder", "copy the file into " + f.shown + ", or remove the link"
	case err != nil:
		return false, fmt.Sprintf("can't be read (%v)", cause(err)), "make it readable for this user"
	case info.IsDir():
		return false, "is a symbolic link to a folder", "copy the folder, or link its files"
	case !info.Mode().IsRegular():
		return false, "is not a regular file", "remove it"
	}
	return true, "", ""
}
