package site

import (
	"slices"
	"strings"
)

// passing are the endings of files that a program makes for a while, beside the one it writes: copies that editors keep (~), and
// what browsers (.part, .crdownload, .download, .opdownload), file managers (.part, .filepart) and download managers (.aria2,
// .partial) have not finished. All in lower case.
var passing = []string{"~", ".part", ".partial", ".crdownload", ".download", ".opdownload", ".filepart", ".aria2"}

// foreign are names of files that somebody else's program leaves in any folder it sees: vim's test whether a folder can be written to
// (4913), Windows' folder settings and thumbnails, and what a file system check finds. All in lower case.
var foreign = []string{"4913", "desktop.ini", "thumbs.db", "lost+found"}

// Belongs reports whether a file below a system's folder can be a part of the system, by its path relative to that folder. The rule
// is the same for all methods. These do not belong, wherever in the folder they are, and nor does anything in folders that are
// called so:
//
//   - what begins with a dot: hidden files, the swap and lock files of vim, emacs and LibreOffice, and what rsync is receiving;
//   - what ends with ~, or begins with ~$ or ~syncthing~, or is enclosed in #: copies and locks of editors and offices;
//   - what ends with .part, .partial, .crdownload, .download, .opdownload, .filepart or .aria2: what is being downloaded or copied;
//   - 4913, desktop.ini, Thumbs.db, lost+found.
//
// Sockets, named pipes and devices do not belong either, whatever they are called. A file that config.yaml names belongs in any case.
func Belongs(path string) bool {
	return !slices.ContainsFunc(strings.Split(path, "/"), isForeign)
}

// isForeign is the rule of [Belongs] for one name.
func isForeign(name string) bool {
	lower := strings.ToLower(name)
	switch {
	case strings.HasPrefix(name, "."), strings.HasPrefix(name, "~$"), strings.HasPrefix(name, "~syncthing~"):
		return true
	case len(name) > 1 && name[0] == '#' && name[len(name)-1] == '#':
		return true
	}
	return slices.Contains(foreign, lower) || slices.ContainsFunc(passing, func(end string) bool { return strings.HasSuffix(lower, end) })
}
