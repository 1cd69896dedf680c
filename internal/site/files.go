package site

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// all lists every regular file of the folder that belongs to the system (see [Belongs]) but its configuration, sorted by path: what
// a program may want is not known. Links to files count as files, as they do for kernels. What can't be handed out is a problem.
func (f *folder) all(c *checker) []string {
	at := startOf(path.Join(f.shown, SystemFile))
	var files []string
	seen := 0
	err := fs.WalkDir(f.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if seen++; len(files) > catalog.MaxFiles || seen > 10*catalog.MaxFiles {
			return errors.New("too many")
		}
		if name != "." && !f.belongs(name, d) {
			if d.IsDir() && !f.namedIn(name) {
				return fs.SkipDir
			}
			return nil
		}
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
		return nil
	})
	if err != nil {
		c.problem(at, fmt.Sprintf("the folder has more than %d files", catalog.MaxFiles), "put them into an archive or a disk image")
		return nil
	}
	files = append(files, f.root.Names()...)
	slices.Sort(files)
	return files
}

// belongs reports whether a file or folder is a part of the system: config.yaml names it, or it may be one by its name and type.
func (f *folder) belongs(name string, d fs.DirEntry) bool {
	const never = fs.ModeSocket | fs.ModeNamedPipe | fs.ModeDevice | fs.ModeCharDevice | fs.ModeIrregular
	return f.named[name] || Belongs(name) && d.Type()&never == 0
}

// namedIn reports whether config.yaml names something in a folder.
func (f *folder) namedIn(name string) bool {
	for file := range f.named {
		if strings.HasPrefix(file, name+"/") {
			return true
		}
	}
	return false
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
		return false, "", "" // a link to what would not belong
	}
	if err := f.readable(name); err != nil {
		return false, fmt.Sprintf("can't be read (%v)", cause(err)), "make it readable for this user"
	}
	return true, "", ""
}

// readable opens a file and closes it again. Were it a named pipe by now, opening would not wait for its writer.
func (f *folder) readable(name string) error {
	file, err := f.root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	return file.Close()
}
