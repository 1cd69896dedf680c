package site

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// originalFile is the configuration of the original BootTorrent, version 0.
const originalFile = "Boottorrent.yaml"

// Load reads and checks the whole site in dir: boottorrent.yaml or, of a site of the original BootTorrent, Boottorrent.yaml; its
// keys; and every system. If anything is wrong it returns no site, and every problem found. What only looks wrong is in the
// site's Warnings. Nothing is written; of an original site the keys may be missing, see [EnsureKeys].
func Load(dir string) (*Site, Problems) {
	s, _, problems := load(dir)
	return s, problems
}

// load is Load. It also returns what became of the keys of an original site; of others nil.
func load(dir string) (*Site, *original, Problems) {
	c := &checker{dir: dir}
	s, o := read(c)
	c.sort()
	if len(c.problems) > 0 {
		return nil, o, c.problems
	}
	s.Warnings = c.warnings
	return s, o, nil
}

func read(c *checker) (*Site, *original) {
	name := isSite(c, c.dir)
	if name == "" {
		return nil, nil
	}
	s, err := emptySite(c.dir)
	if err != nil {
		c.problem(startOf(c.dir), err.Error(), "name the site's directory")
		return nil, nil
	}
	var o *original
	var defaultSystem, vnc text
	config := readDocument(c, os.DirFS(s.Dir), name, filepath.Join(c.dir, name))
	switch {
	case config == nil:
		c.original = name == originalFile
	case name == originalFile:
		c.original = true
		o, defaultSystem = readOriginal(config, s)
	default:
		defaultSystem, vnc = readConfig(config, s)
	}
	checkKeys(c, s, c.dir)
	readAll(c, s, defaultSystem, vnc)
	return s, o
}

// emptySite is what is known of a site before its configuration is read.
func emptySite(dir string) (*Site, error) {
	absolute, err := filepath.Abs(dir)
	return &Site{Dir: absolute, Name: filepath.Base(absolute)}, err
}

// readAll reads the systems into s, and checks what the configuration says of them.
func readAll(c *checker, s *Site, defaultSystem, vnc text) {
	names := readSystems(c, s, c.dir)
	checkAfter(c, s, names)
	checkVNC(c, s, vnc)
	d := defaultSystem.value
	if d == "" || slices.Contains(names, d) {
		return
	}
	do := fmt.Sprintf("make the folder %s, or write default: \"\"", filepath.Join(SystemsDir, d))
	if c.original {
		do = fmt.Sprintf("make the folder %s, or name one that is there", filepath.Join(SystemsDir, d))
	}
	if near := nearest(d, names); near != "" {
		do = fmt.Sprintf("did you mean %s?", near)
	}
	c.problem(defaultSystem.place, fmt.Sprintf("the default system %q does not exist", d), do)
}

// isSite returns the name of the site's configuration; empty if there is none, which it reports to c.
func isSite(c *checker, dir string) string {
	at := startOf(filepath.Join(dir, ConfigFile))
	makeOne := "make a site with: seeder init " + dir
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.problem(startOf(dir), "there is no such directory", makeOne)
		return ""
	case err != nil:
		c.problem(startOf(dir), fmt.Sprintf("can't be read (%v)", cause(err)), "make it readable for this user")
		return ""
	case !info.IsDir():
		c.problem(startOf(dir), "is a file, not a site's directory", "name the directory it is in")
		return ""
	}
	_, err = os.Lstat(filepath.Join(dir, originalFile))
	isOriginal := err == nil
	if _, err := os.Lstat(filepath.Join(dir, ConfigFile)); !errors.Is(err, fs.ErrNotExist) {
		if isOriginal {
			c.warning(startOf(filepath.Join(dir, originalFile)), "is no longer read, as there is a "+ConfigFile, "remove it when you don't need it any more")
		}
		return ConfigFile
	}
	if isOriginal {
		return originalFile
	}
	c.problem(at, "does not exist, so this is no site", makeOne)
	return ""
}

// readSystems reads every folder of oss/ into s. It returns the names of all systems, also of those with problems.
func readSystems(c *checker, s *Site, dir string) (names []string) {
	shown := filepath.Join(dir, SystemsDir)
	entries, err := os.ReadDir(filepath.Join(s.Dir, SystemsDir))
	if err != nil {
		c.problem(startOf(shown), fmt.Sprintf("can't be read (%v)", cause(err)), "make this folder; each system is a folder in it")
		return nil
	}
	titles := map[string]place{}
	for _, e := range entries {
		path := filepath.Join(s.Dir, SystemsDir, e.Name())
		// Not e.IsDir: a system's folder may be a symbolic link to where there is room.
		if info, err := os.Stat(path); err != nil || !info.IsDir() {
			if e.Type()&fs.ModeSymlink != 0 && err != nil {
				c.problem(startOf(filepath.Join(shown, e.Name())), "is a symbolic link to nothing", "correct or remove it")
			}
			continue
		}
		system, title, ok := readSystem(c, path, filepath.Join(shown, e.Name()))
		if e.Name()[0] != '.' {
			names = append(names, e.Name())
		}
		if !ok {
			continue
		}
		if first, twice := titles[title.value]; twice && title.value != "" {
			c.problem(title.place, fmt.Sprintf("dispname %q is also that of %s", title.value, first.file), "give them different names, so that people can choose")
		} else {
			titles[title.value] = title.place
		}
		s.Systems = append(s.Systems, system)
	}
	if len(names) == 0 {
		c.warning(startOf(shown), "the site has no systems yet", "make a folder here with a kernel, an initrd and a config.yaml; README shows how")
	}
	slices.SortFunc(s.Systems, func(a, b System) int {
		return cmp.Or(cmp.Compare(a.Title, b.Title), cmp.Compare(a.Name, b.Name))
	})
	return names
}
