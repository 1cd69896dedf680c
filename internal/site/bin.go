package site

import (
	"errors"
	"fmt"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/program"
)

// bin reads bin and binargs: a program that the node itself runs.
type bin struct{}

func (bin) read(m *mapping, f *folder, arch text) (catalog.Launch, []string) {
	b := catalog.Bin{Args: m.words("binargs")}
	if t, ok := m.required("bin", "name the program's file, relative to this folder: bin: hello"); ok {
		if file, ok := f.file(m.check, "bin", t); ok {
			b.Program = file.path
			f.checkProgram(m.check, file, t, arch.value)
		}
	}
	return catalog.Launch{Method: catalog.MethodBin, Bin: &b, After: readAfter(m)}, f.all(m.check)
}

// checkProgram reports a file that a node can't run.
func (f *folder) checkProgram(c *checker, file systemFile, t text, arch string) {
	if file.absent {
		return
	}
	err := program.Check(f.root.FS(), file.path, arch)
	var reason *program.Error
	switch {
	case errors.As(err, &reason):
		c.problem(t.place, fmt.Sprintf("bin %s %s", file.path, reason.What), reason.Do)
	case err != nil:
		c.problem(t.place, fmt.Sprintf("bin %s can't be read (%v)", file.path, cause(err)), "make it readable for this user")
	}
}
