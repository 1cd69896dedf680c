package site

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// Broken is a folder of oss/ with something wrong in it. It concerns no other system.
type Broken struct {
	// Name is the folder's, as it is on the disk.
	Name     string
	Problems Problems
}

// AllProblems are those of all systems and those between them, and those of files for machines, sorted; what [Load] returned besides would have stopped the site.
func (s *Site) AllProblems() Problems {
	all := slices.Clone(s.Problems)
	for _, b := range slices.Concat(s.Broken, s.BrokenFiles) {
		all = append(all, b.Problems...)
	}
	all.sort()
	return all
}

// systemReader reads the folders of oss/. Each has a checker of its own, so that what is wrong with one concerns that one alone.
type systemReader struct {
	site *Site
	// shared gets what is wrong between systems, and all warnings.
	shared *checker
	// vnc is the password for guests that are shown on the network.
	vnc    text
	titles map[string][]text
	after  []text
	// shownByVNC says that there is such a guest.
	shownByVNC bool
}

// readSystems reads every folder of oss/ into s, and checks what the configuration says of them.
func readSystems(c *checker, s *Site, defaultSystem, vnc text) {
	r := &systemReader{site: s, shared: c.part(), vnc: vnc, titles: map[string][]text{}}
	r.shared.manual = s.Manual
	shown := filepath.Join(c.dir, SystemsDir)
	entries, err := os.ReadDir(filepath.Join(s.Dir, SystemsDir))
	if err != nil {
		s.SystemsUnknown = true
		r.shared.problem(startOf(shown), fmt.Sprintf("can't be read (%v)", cause(err)), "make this folder; each system is a folder in it")
	}
	for _, e := range entries {
		r.read(e, filepath.Join(shown, e.Name()))
	}
	if err == nil && len(s.Systems)+len(s.Broken)+len(s.Unfinished)+len(s.Absent) == 0 {
		r.shared.warning(startOf(shown), "the site has no systems yet", "make a folder here with a kernel, an initrd and a config.yaml; README shows how")
	}
	r.checkTitles()
	if err == nil {
		r.checkDefault(defaultSystem)
		r.checkAfter()
		r.checkStarts(c.starts)
		r.checkGroupCmdlines()
	}
	r.warnOfVNC()
	slices.SortFunc(s.Systems, func(a, b System) int {
		return cmp.Or(cmp.Compare(a.Title, b.Title), cmp.Compare(a.Name, b.Name))
	})
	r.shared.problems.sort()
	s.Problems = r.shared.problems
	c.warnings = append(c.warnings, r.shared.warnings...)
}

// read reads one folder; what else there is in oss/ is left alone.
func (r *systemReader) read(e fs.DirEntry, shown string) {
	c := r.shared.part()
	path := filepath.Join(r.site.Dir, SystemsDir, e.Name())
	// Not e.IsDir: a system's folder may be a symbolic link to where there is room.
	info, err := os.Stat(path)
	if err != nil && e.Type()&fs.ModeSymlink != 0 && e.Name()[0] != '.' {
		c.problem(startOf(shown), "is a symbolic link to nothing", "correct or remove it")
		r.site.Broken = append(r.site.Broken, Broken{e.Name(), c.problems})
		return
	}
	if err != nil || !info.IsDir() {
		return
	}
	if e.Name()[0] != '.' && LeadsToSite(r.site.Dir, e.Name()) {
		c.problem(startOf(shown), "is a symbolic link to the site itself, its keys, its state, or a folder that they are in, which has more in it than nodes may get",
			"link to a folder that has this system and nothing else")
		r.site.Broken = append(r.site.Broken, Broken{e.Name(), c.problems})
		return
	}
	if catalog.Reserved(e.Name()) {
		c.problem(startOf(shown), fmt.Sprintf("no system can be called %s, which means something else where a system's name may stand", e.Name()), "rename the folder")
		r.site.Broken = append(r.site.Broken, Broken{e.Name(), c.problems})
		return
	}
	system, title, is := readSystem(c, path, shown)
	if (is == systemWhole || is == systemAbsent) && len(c.vnc) > 0 {
		r.giveVNC(c, &system)
	}
	r.shared.warnings = append(r.shared.warnings, c.warnings...)
	r.after = append(r.after, c.after...)
	if title.value != "" {
		r.titles[title.value] = append(r.titles[title.value], title)
	}
	if len(c.problems) > 0 {
		c.problems.sort()
		r.site.Broken = append(r.site.Broken, Broken{e.Name(), c.problems})
		return
	}
	switch is {
	case systemUnfinished:
		r.site.Unfinished = append(r.site.Unfinished, e.Name())
	case systemAbsent:
		r.site.Absent = append(r.site.Absent, system)
	case systemWhole:
		r.site.Systems = append(r.site.Systems, system)
	}
}

// checkTitles reports titles that several systems have, broken ones too. People can tell those apart all the same: the name is put behind.
func (r *systemReader) checkTitles() {
	for title, same := range r.titles {
		for _, t := range same[1:] {
			r.shared.problem(t.place, fmt.Sprintf("dispname %q is also that of %s", title, same[0].file),
				"give them different names; until then their folders' names are shown behind")
		}
	}
	for i := range r.site.Systems {
		if s := &r.site.Systems[i]; len(r.titles[s.Title]) > 1 {
			s.Title += " (" + s.Name + ")"
		}
	}
}

// nameState is what is known of a name that the configuration speaks of.
type nameState string

// The states of names.
const (
	nameWhole      nameState = ""
	nameBroken     nameState = "has problems of its own"
	nameUnfinished nameState = "has no " + SystemFile + " yet"
	nameUnknown    nameState = "does not exist"
)

// named says what is known of a system's name. The folder of an unfinished or broken one has that name.
func (r *systemReader) named(name string) nameState {
	switch {
	case slices.ContainsFunc(r.site.Systems, isNamed(name)), slices.ContainsFunc(r.site.Absent, isNamed(name)):
		return nameWhole // once its files are here
	case slices.ContainsFunc(r.site.Broken, func(b Broken) bool { return b.Name == name }):
		return nameBroken
	case slices.Contains(r.site.Unfinished, name):
		return nameUnfinished
	}
	return nameUnknown
}

func isNamed(name string) func(System) bool { return func(s System) bool { return s.Name == name } }

// names are those of all folders that are systems, or are to become some.
func (r *systemReader) names() []string {
	names := slices.Clone(r.site.Unfinished)
	for _, s := range slices.Concat(r.site.Systems, r.site.Absent) {
		names = append(names, s.Name)
	}
	for _, b := range r.site.Broken {
		names = append(names, b.Name)
	}
	slices.Sort(names)
	return names
}

// checkDefault reports a default that names no system that is whole. Without one, nodes wait for a choice.
func (r *systemReader) checkDefault(t text) {
	state := r.named(t.value)
	if t.value == "" || t.value == catalog.StartLocal || state == nameWhole {
		return
	}
	do := "mend it, or name another system"
	if state == nameUnknown {
		do = fmt.Sprintf("make the folder %s, or write default: \"\"", filepath.Join(SystemsDir, t.value))
		if r.shared.original {
			do = fmt.Sprintf("make the folder %s, or name one that is there", filepath.Join(SystemsDir, t.value))
		}
		if near := nearest(t.value, r.names()); near != "" {
			do = fmt.Sprintf("did you mean %s?", near)
		}
	}
	r.shared.problem(t.place, fmt.Sprintf("the default system %q %s", t.value, state), do)
}
