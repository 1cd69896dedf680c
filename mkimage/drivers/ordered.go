package drivers

import (
	"fmt"

	"github.com/boottorrent/boottorrent/internal/kmod"
)

// Ordered returns the modules of these names in dir, a folder …/lib/modules/VERSION, each behind those it depends on, so that
// they can be loaded one after the other. What is built into the kernel, or not in it at all, is left out.
func Ordered(dir string, names []string) ([]*Module, error) {
	t, err := openTree(dir)
	if err != nil {
		return nil, err
	}
	o := &ordering{tree: t, taken: map[string]bool{}}
	for _, name := range names {
		if err := o.add(name); err != nil {
			return nil, err
		}
	}
	return o.modules, nil
}

type ordering struct {
	tree    *tree
	taken   map[string]bool
	modules []*Module
}

func (o *ordering) add(name string) error {
	name = kmod.Normalize(name)
	if o.taken[name] || !o.tree.has(name) {
		return nil
	}
	o.taken[name] = true
	m, err := o.tree.module(name)
	if err != nil {
		return err
	}
	for _, d := range m.Depends {
		if err := o.add(d); err != nil {
			return fmt.Errorf("%s needs %s: %w", name, d, err)
		}
	}
	o.modules = append(o.modules, m)
	return nil
}
