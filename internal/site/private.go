package site

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// LeadsToSite reports whether a folder of oss/ in the site's directory dir is a link that leads to the site itself, to a folder that the
// site, its systems, its keys for Secure Boot or its state are in, or into these keys or that state. Such a folder has secret keys in it,
// or changes whenever something is stored.
func LeadsToSite(dir, name string) bool {
	link := filepath.Join(dir, SystemsDir, name)
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		return false
	}
	target, err := resolve(link)
	if err != nil {
		return false
	}
	private := privateFolders(dir)
	for _, own := range append(private, dir, filepath.Join(dir, SystemsDir)) {
		if real, err := resolve(own); err == nil && isIn(real, target) {
			return true
		}
	}
	return isInAny(target, private)
}

// Private returns what reports whether a file is the secret key of the site in dir, or is in its keys for Secure Boot or its state, under
// its own name or by links: nobody may be served it. It holds for the site as it is now.
func Private(dir string) func(file string) bool {
	key, keyErr := resolve(filepath.Join(dir, SecretKeyFile))
	folders := privateFolders(dir)
	return func(file string) bool {
		target, err := resolve(file)
		return err == nil && (keyErr == nil && target == key || isInAny(target, folders))
	}
}

// privateFolders are the folders of a site that have secret keys or state in them, without links. What 'mkimage keys' has replaced is in
// keys.old, keys.old2, …
func privateFolders(dir string) (folders []string) {
	entries, _ := os.ReadDir(dir) // there are none in a site that can't be read
	for _, e := range entries {
		if name := e.Name(); name != KeysDir && name != StateDir && !strings.HasPrefix(name, KeysDir+".old") {
			continue
		}
		if real, err := resolve(filepath.Join(dir, e.Name())); err == nil {
			folders = append(folders, real)
		}
	}
	return folders
}

// resolve makes a path absolute and follows all of its links.
func resolve(path string) (string, error) {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", err
	}
	return filepath.Abs(path)
}

func isInAny(path string, dirs []string) bool {
	for _, dir := range dirs {
		if isIn(path, dir) {
			return true
		}
	}
	return false
}

// isIn reports whether path is dir, or below it. Both are clean and absolute.
func isIn(path, dir string) bool {
	below, err := filepath.Rel(dir, path)
	return err == nil && below != ".." && !strings.HasPrefix(below, "../")
}
