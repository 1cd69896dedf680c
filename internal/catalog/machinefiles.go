package catalog

import (
	"errors"
	"fmt"
)

// FilesAll is the name of the files that all machines get, and of the site's folder that has them.
const FilesAll = "all"

// Files is one of the site's trees of files for machines, as an archive (see package machinefiles) that is served at [FilesPath].
type Files struct {
	// For is FilesAll, or the name of the group or of the machine that the files are for.
	For string `json:"for"`
	// SHA256 is the archive's, in lower-case hexadecimal, Size its size in bytes.
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
}

// FilesFor are the files for a machine of that name and group, either of which may be empty, in the order in which they are laid over
// one another: those for all machines, the group's, and the machine's own.
func (c *Catalog) FilesFor(group, machine string) (found []Files) {
	for i, name := range []string{FilesAll, group, machine} {
		if i > 0 && (name == "" || name == FilesAll) || i == 2 && name == group {
			continue
		}
		for _, f := range c.Files {
			if f.For == name {
				found = append(found, f)
			}
		}
	}
	return found
}

// validateFiles reports files for machines that nodes would not take.
func (c *Catalog) validateFiles() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("catalog: "+format, args...)) }
	if len(c.Files) > MaxFileTrees {
		bad("there are %d trees of files for machines, and nodes read %d; use templates for what differs from machine to machine", len(c.Files), MaxFileTrees)
	}
	var sum int64
	names := map[string]bool{}
	for _, f := range c.Files {
		if err := CheckName(f.For); err != nil {
			bad("the files for %q: %w", f.For, err)
		}
		if names[f.For] {
			bad("the files for %q are listed twice", f.For)
		}
		names[f.For] = true
		if !isSum(f.SHA256) {
			bad("the files for %q: %q is not a SHA-256", f.For, f.SHA256)
		}
		if f.Size < 1 || f.Size > MaxFileTree {
			bad("the files for %q have %d bytes, and nodes read %d; put what is large into an image", f.For, f.Size, MaxFileTree)
		}
		sum += min(max(f.Size, 0), MaxFileTree)
	}
	if sum > MaxFileTreesSize {
		bad("the files for machines have %d bytes together, and a site has %d; put what is large into an image", sum, MaxFileTreesSize)
	}
	return errors.Join(errs...)
}
