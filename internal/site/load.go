package site

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/internal/site/v0"
)

// OriginalFile is the configuration of the original BootTorrent, version 0.
const OriginalFile = v0.File

// Load reads and checks the site in dir: boottorrent.yaml or, of a site of the original BootTorrent, Boottorrent.yaml; its keys;
// and every system. Only what concerns the site as a whole (its configuration or its keys) stops it: then there is no site, and
// Problems has everything that was found, systems included. Else Problems is empty, and what is wrong with single systems is in
// [Site.Broken] and [Site.Problems]; [Site.AllProblems] has all of that. What only looks wrong is in the site's Warnings. Nothing is
// written; of an original site the keys may be missing, see [EnsureKeys].
func Load(dir string) (*Site, Problems) {
	s, _, problems := load(dir)
	return s, problems
}

// load is Load. It also returns the document that an original site was read from; of others nil.
func load(dir string) (*Site, *v0.Document, Problems) {
	c := &checker{dir: dir}
	s, doc := read(c)
	if len(c.problems) > 0 {
		if s != nil {
			c.problems = append(c.problems, s.AllProblems()...)
		}
		c.sort()
		return nil, doc, c.problems
	}
	c.sort()
	s.Warnings = c.warnings
	return s, doc, nil
}

// read reads a site. What c gets as problems stops the site; what is wrong with its systems is in the site.
func read(c *checker) (*Site, *v0.Document) {
	name := isSite(c, c.dir)
	if name == "" {
		return nil, nil
	}
	s, err := emptySite(c.dir)
	if err != nil {
		c.problem(startOf(c.dir), err.Error(), "name the site's directory")
		return nil, nil
	}
	c.fetched = filepath.Join(s.Dir, FetchedDir)
	s.Original = name == OriginalFile
	c.original = s.Original
	var doc *v0.Document
	var defaultSystem, vnc text
	config := readDocument(c, os.DirFS(s.Dir), name, filepath.Join(c.dir, name))
	switch {
	case config == nil:
	case s.Original:
		doc, defaultSystem = readOriginal(config, s)
	default:
		defaultSystem, vnc = readConfig(config, s)
	}
	checkKeys(c, s, c.dir)
	readSystems(c, s, defaultSystem, vnc)
	readMachineFiles(c, s)
	return s, doc
}

// emptySite is what is known of a site before its configuration is read.
func emptySite(dir string) (*Site, error) {
	absolute, err := filepath.Abs(dir)
	return &Site{Dir: absolute, Name: filepath.Base(absolute)}, err
}

// isSite returns the name of the site's configuration; empty if there is none, which it reports to c.
func isSite(c *checker, dir string) string {
	at := startOf(filepath.Join(dir, ConfigFile))
	makeOne := "make a site with: " + self.Seeder() + " init " + dir
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
	_, err = os.Lstat(filepath.Join(dir, OriginalFile))
	isOriginal := err == nil
	if _, err := os.Lstat(filepath.Join(dir, ConfigFile)); !errors.Is(err, fs.ErrNotExist) {
		if isOriginal {
			c.warning(startOf(filepath.Join(dir, OriginalFile)), "is no longer read, as there is a "+ConfigFile, "remove it when you don't need it any more")
		}
		return ConfigFile
	}
	if isOriginal {
		return OriginalFile
	}
	if IsMirror(dir) {
		c.problem(startOf(filepath.Join(dir, MirrorFile)), "this is a mirror, which serves what another seeder has signed and has nothing of its own to say about systems",
			"say it at the site's own seeder; or make this the first one: "+self.Seeder()+" promote "+dir+" --key FILE")
		return ""
	}
	c.problem(at, "does not exist, so this is no site", makeOne)
	return ""
}
