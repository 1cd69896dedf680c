package site

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/boottorrent/boottorrent/internal/site/v0"
)

// Migration is what Migrate did.
type Migration struct {
	// File is the path of the configuration it wrote.
	File string
	// Changes are what became of each key, in the order of Boottorrent.yaml.
	Changes []v0.Fate
	// KeysMade says that the site had no minisign keys, and has them now.
	KeysMade bool
}

// Migrate writes boottorrent.yaml, version 1, beside the Boottorrent.yaml of the original site in dir, which stays as it is. The
// systems need no change, or what they need comes as problems: version 1 wants quotes around texts such as 2018 and true, and no slash
// in front of a file's name. Sites have keys, so they are made as by [EnsureKeys]. Problems of the site come as [Problems]; an
// existing boottorrent.yaml is an error, and stays as it is.
func Migrate(dir string) (*Migration, error) {
	m := &Migration{File: filepath.Join(dir, ConfigFile)}
	if _, err := os.Lstat(m.File); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = fmt.Errorf("migrate %s: %s is there already; nothing was changed. Remove it to have it written again", dir, ConfigFile)
		}
		return nil, err
	}
	s, doc, problems := load(dir)
	if s != nil {
		problems = s.AllProblems()
	}
	if len(problems) > 0 {
		return nil, problems
	}
	source, err := os.ReadFile(filepath.Join(s.Dir, OriginalFile))
	if err != nil {
		return nil, fmt.Errorf("migrate %s: %w", dir, err)
	}
	config := doc.Text(doc.Comments(source))
	if _, problems := parseVersion1(dir, config); len(problems) > 0 {
		return nil, fmt.Errorf("%w\nThe original took these, and version 1 doesn't. Change them as said, which the original's site takes as well, "+
			"and run this again; nothing was written", problems)
	}
	m.Changes = doc.Fates
	if m.KeysMade, err = EnsureKeys(s); err != nil {
		return nil, err
	}
	return m, writeNew(m.File, config)
}

// parseVersion1 reads the site in dir with another configuration than the one it has.
func parseVersion1(dir, config string) (*Site, Problems) {
	c := &checker{dir: dir}
	s, err := emptySite(dir)
	m := parseDocument(c, filepath.Join(dir, ConfigFile), []byte(config))
	if err != nil || m == nil {
		return nil, c.problems
	}
	defaultSystem, vnc := readConfig(m, s)
	readSystems(c, s, defaultSystem, vnc)
	c.sort()
	s.Warnings = c.warnings
	return s, append(c.problems, s.AllProblems()...)
}

func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
