package machinefiles

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// Problem is one thing wrong with a folder's files, and what to do about it.
type Problem struct {
	// Name is the file's, relative to the folder; empty: the folder's itself.
	Name string
	// Line and Col are where in the file, from 1, or 1.
	Line, Col int
	What, Do  string
}

// Owner is a user and a group.
type Owner struct{ UID, GID uint32 }

// Read reads the files of a folder, without following a link. root is who counts as the super-user (0) there: on machines there is no other name for
// the operator of an unprivileged site. With problems there is no tree.
func Read(dir string, root Owner) (*Tree, []Problem) {
	r := &reader{tree: &Tree{}, root: root}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENOTDIR):
		r.problem("", "is no folder, or a symbolic link to one", "make it a folder")
	case err != nil:
		r.unreadable("", err)
	default:
		r.folder("", os.NewFile(uintptr(fd), dir))
	}
	if len(r.problems) > 0 {
		return nil, r.problems
	}
	return r.tree, nil
}

// maxProblems is how many of a folder's problems are told.
const maxProblems = 20

// reader collects what is in a folder.
type reader struct {
	tree     *Tree
	root     Owner
	problems []Problem
	// size is how many bytes the archive has at its longest.
	size int
}

func (r *reader) problem(name, what, do string) {
	r.problems = append(r.problems, Problem{name, 1, 1, what, do})
}

func (r *reader) unreadable(name string, err error) {
	r.problem(name, fmt.Sprintf("can't be read (%v)", err), "make it readable for this user")
}

// full reports whether it is of no use to read on.
func (r *reader) full() bool {
	return len(r.problems) >= maxProblems || r.size > catalog.MaxFileTree || r.tree.Len() > catalog.MaxFileTreeEntries
}

// folder reads what is in an open folder, and closes it.
func (r *reader) folder(name string, dir *os.File) {
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		r.unreadable(name, err)
		return
	}
	slices.Sort(names)
	for _, base := range names {
		if r.full() {
			return
		}
		if !passing(base) {
			r.entry(path.Join(name, base), dir, base)
		}
	}
}

// passing reports whether a file is one that an editor has beside the one that somebody edits: emacs' lock and copies, vim's swap file, its test
// whether a folder can be written to, and copies.
func passing(base string) bool {
	swap := strings.HasPrefix(base, ".") && (strings.HasSuffix(base, ".swp") || strings.HasSuffix(base, ".swo") || strings.HasSuffix(base, ".swx"))
	return swap || base == "4913" || strings.HasSuffix(base, "~") || strings.HasPrefix(base, ".#") ||
		len(base) > 1 && strings.HasPrefix(base, "#") && strings.HasSuffix(base, "#")
}

// entry reads what has the name base in a folder.
func (r *reader) entry(name string, dir *os.File, base string) {
	var st unix.Stat_t
	if err := unix.Fstatat(int(dir.Fd()), base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		r.unreadable(name, err)
		return
	}
	e := r.describe(name, &st)
	flags := unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
	switch st.Mode & TypeMask {
	case Folder:
		fd, err := unix.Openat(int(dir.Fd()), base, flags|unix.O_DIRECTORY, 0)
		if err != nil {
			r.unreadable(name, err)
			return
		}
		opened := os.NewFile(uintptr(fd), name)
		if !r.add(e) {
			opened.Close()
			return
		}
		r.folder(name, opened)
	case Regular:
		if content, err := r.content(dir, base, flags); err != nil {
			r.unreadable(name, err)
		} else {
			e.Content = content
			r.file(name, e)
		}
	case Link:
		target := make([]byte, unix.PathMax)
		n, err := unix.Readlinkat(int(dir.Fd()), base, target)
		if err != nil {
			r.unreadable(name, err)
			return
		}
		e.Content = slices.Clone(target[:n])
		r.add(e)
	default:
		r.problem(name, "is a "+kind(st.Mode)+", and machines get files, folders and symbolic links", "remove it")
	}
}

func kind(mode uint32) string {
	switch mode & TypeMask {
	case unix.S_IFIFO:
		return "named pipe"
	case unix.S_IFSOCK:
		return "socket"
	}
	return "device"
}

// describe is a file's entry without its content.
func (r *reader) describe(name string, st *unix.Stat_t) *Entry {
	e := &Entry{Name: name, Mode: st.Mode & (TypeMask | 0o7777), UID: st.Uid, GID: st.Gid, Time: uint32(min(max(st.Mtim.Sec, 0), math.MaxUint32))}
	if st.Uid == r.root.UID {
		e.UID = 0
	}
	if st.Gid == r.root.GID {
		e.GID = 0
	}
	return e
}

// content reads a regular file.
func (r *reader) content(dir *os.File, base string, flags int) ([]byte, error) {
	fd, err := unix.Openat(int(dir.Fd()), base, flags, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), base)
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, errors.New("it has just changed"))
	}
	return io.ReadAll(io.LimitReader(f, catalog.MaxFileTree+1))
}

// file adds a regular file, and reports what is wrong with a template.
func (r *reader) file(name string, e *Entry) {
	if !r.add(e) || !e.Template {
		return
	}
	text := string(e.Content)
	if at, err := catalog.UnknownPlaceholder(text); err != nil {
		line := text[strings.LastIndexByte(text[:at], '\n')+1 : at]
		what, do, _ := strings.Cut(err.Error(), "; ")
		r.problems = append(r.problems, Problem{name, 1 + strings.Count(text[:at], "\n"), 1 + len([]rune(line)), what, do + "; what is no template of ours needs another ending than " + templateEnd})
	}
}

// add adds an entry, and reports whether it could.
func (r *reader) add(e *Entry) bool {
	name := e.Name
	if err := r.tree.add(e); err != nil {
		what, do, found := strings.Cut(err.Error(), "; ")
		if !found {
			do = "rename it"
		}
		r.problem(name, what, do)
		return false
	}
	if r.size == 0 {
		r.size = overhead + len(trailer)
	}
	r.size += overhead + len(name) + e.longest()
	switch {
	case r.size > catalog.MaxFileTree:
		r.problem("", fmt.Sprintf("the files take more than %d bytes with their placeholders filled in, and machines read that many", catalog.MaxFileTree),
			"put what is large into an image")
	case r.tree.Len() > catalog.MaxFileTreeEntries:
		r.problem("", fmt.Sprintf("there are more than %d files, folders and links", catalog.MaxFileTreeEntries), "put them into an image or an archive")
	default:
		return true
	}
	return false
}
