package site

import (
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// listed is how many bytes a file takes in a system's list of files beside its path, at most.
const listed = 140

// checkLimits reports what nodes would not take of a system, all of whose files are there: what package catalog says both sides
// must agree on. Only what is known before the files are hashed is looked at, which is all but their hashes.
func (f *folder) checkLimits(c *checker, s System) {
	if len(c.problems) > 0 {
		return
	}
	at := startOf(path.Join(f.shown, SystemFile))
	bad := func(err error) {
		if err != nil {
			what, do, _ := strings.Cut(strings.TrimPrefix(err.Error(), fmt.Sprintf("catalog: system %q: ", s.Name)), "; ")
			c.problem(at, what, do)
		}
	}
	for _, entry := range s.entries() {
		bad(entry.Validate())
	}
	sizes, list := map[string]int64{}, 0
	for _, name := range s.Files {
		list += len(name) + listed
		if info, err := f.root.Stat(name); err == nil {
			sizes[name] = info.Size()
		}
	}
	bad(s.Launch.CheckSizes(sizes))
	if list > catalog.MaxFileList {
		c.problem(at, fmt.Sprintf("the list of the %d files has some %d bytes, and nodes read %d", len(s.Files), list, catalog.MaxFileList),
			"shorten the names of files and folders, or put them into an archive or a disk image")
	}
}

// entries are what the catalog will say of a system and, if it has one, of its boot part, but for what is known only when their
// files are hashed.
func (s *System) entries() []catalog.System {
	entries := []catalog.System{s.entry()}
	if part, ok := s.BootPart(); ok {
		entries = append(entries, part.entry())
	}
	return entries
}

// unknownSum stands for a SHA-256 that is not known yet.
var unknownSum = strings.Repeat("0", 64)

func (s *System) entry() catalog.System {
	return catalog.System{
		Name: s.Name, Title: s.Title, Description: s.Description, Hidden: s.Hidden, Arch: s.Arch, Launch: s.Launch.WithKernel(unknownSum),
		List: catalog.List{SHA256: unknownSum, Files: max(1, len(s.Files))}, PieceLength: 1,
	}
}

// CheckRoom reports the systems for which a catalog with all of them has no room: a seeder leaves those out. dir is the site
// directory as the problems name it. They are not among AllProblems, as a seeder offers versions from before, too, and judges by those.
func (s *Site) CheckRoom(dir string) (problems Problems) {
	c := catalog.Catalog{Version: catalog.Version, Site: s.Name, Defaults: s.Defaults, Limits: s.Limits.Node, Rules: s.Rules(), Files: s.Listed()}
	for _, sys := range s.Systems {
		entries := sys.entries()
		c.Systems = append(c.Systems, entries[0])
		for _, part := range entries[1:] {
			c.Runtimes = append(c.Runtimes, catalog.Runtime{System: part})
		}
	}
	check := checker{}
	for name, err := range c.Fit() {
		what, do, _ := strings.Cut(err.Error(), "; ")
		check.problem(startOf(filepath.Join(dir, SystemsDir, name, SystemFile)), what, do)
	}
	check.problems.sort()
	return check.problems
}
