package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/internal/site"
)

// target is where the system is to be: DIR/oss/NAME.
type target struct {
	// site is DIR as an absolute path; oss is DIR/oss, as the person wrote it where that is possible.
	site, oss, name string
}

// parseTarget checks what a person wrote as the target.
func parseTarget(path string) (target, error) {
	clean := filepath.Clean(path)
	if isSite(clean) {
		return target{}, fmt.Errorf("%s is a site; name the system's folder in it: %s", path, filepath.Join(clean, site.SystemsDir, "NAME"))
	}
	absolute, err := filepath.Abs(clean)
	if err != nil {
		return target{}, err
	}
	t := target{name: filepath.Base(absolute), oss: filepath.Dir(absolute)}
	t.site = filepath.Dir(t.oss)
	switch {
	case filepath.Base(absolute) == site.SystemsDir && isSite(t.oss):
		return target{}, fmt.Errorf("%s has the systems of a site; name the new one's folder in it: %s", path, filepath.Join(clean, "NAME"))
	case filepath.Base(t.oss) != site.SystemsDir || !isSite(t.site):
		return target{}, fmt.Errorf("%s is not in the folder %s of a site; name it DIR/%[2]s/NAME, where DIR was made by: "+self.Seeder()+" init DIR", path, site.SystemsDir)
	}
	if err := site.CheckSystemName(t.name); err != nil {
		return target{}, err
	}
	if info, err := os.Stat(t.oss); err != nil {
		return target{}, fmt.Errorf("the site's folder for systems can't be used: %w", err)
	} else if !info.IsDir() {
		return target{}, fmt.Errorf("%s is not a folder", t.oss)
	}
	if filepath.Base(clean) == t.name {
		t.oss = filepath.Dir(clean) // as the person wrote it, for messages
	}
	return t, nil
}

func isSite(dir string) bool {
	for _, name := range []string{site.ConfigFile, site.OriginalFile} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}

// check refuses a system that is there and is not to be replaced, and a source that the target is in.
func (t target) check(s *Source, replace bool) error {
	path := filepath.Join(t.oss, t.name)
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("look at %s: %w", path, err)
	case info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%s is a symbolic link; remove it, or name another folder", path)
	case !info.IsDir():
		return fmt.Errorf("%s is a file; remove it, or name another folder", path)
	case !replace:
		return existsError(path)
	}
	if s.IsFolder() && contains(s.Path, t.oss) {
		return fmt.Errorf("%s has the site in it, which would become a part of the system; name a folder that has the system alone", s.Text)
	}
	return nil
}

// contains reports whether a folder is, or is above, another.
func contains(dir, below string) bool {
	a, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false
	}
	b, err := filepath.EvalSymlinks(below)
	if err != nil {
		return false
	}
	if a, err = filepath.Abs(a); err != nil {
		return false
	}
	if b, err = filepath.Abs(b); err != nil {
		return false
	}
	rel, err := filepath.Rel(a, b)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}
