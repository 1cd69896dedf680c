package site

import (
	"fmt"
	"path/filepath"
)

// CheckSystemName is an error if a folder of oss/ can't be called so.
func CheckSystemName(name string) error {
	if systemName.MatchString(name) {
		return nil
	}
	return fmt.Errorf("the name %q can't be a system's; take up to 64 letters, digits and . _ + - beginning with a letter or digit", name)
}

// LoadSystem reads and checks one system in a folder of any place, as [Load] does with those in oss/; original says that it is for a site
// of the original BootTorrent. What concerns it together with others (titles, after, the password of VNC) is not checked.
func LoadSystem(dir string, original bool) (System, Problems) {
	c := &checker{dir: filepath.Dir(dir), original: original}
	s, _, is := readSystem(c, dir, dir)
	if is != systemWhole {
		c.problem(startOf(filepath.Join(dir, SystemFile)), "does not exist", "write it")
	}
	c.problems.sort()
	return s, c.problems
}
