package rules

import "github.com/boottorrent/boottorrent/internal/catalog"

// Files are those that a catalog has for the machine, in the order in which they are laid over one another.
func (d *Decision) Files(cat *catalog.Catalog) []catalog.Files {
	machine := ""
	if d.Machine != nil {
		machine = d.Machine.Name
	}
	return cat.FilesFor(d.Group, machine)
}
