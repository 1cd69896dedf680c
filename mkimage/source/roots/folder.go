package roots

import (
	"context"
	"os"
	"path/filepath"

	"github.com/boottorrent/boottorrent/mkimage/source"
	"github.com/boottorrent/boottorrent/mkimage/source/tree"
)

// Folder is a root file system in a folder, as debootstrap and mmdebstrap make them.
type Folder struct{}

// Name implements source.Kind.
func (Folder) Name() string { return "folder with a root file system" }

// Example implements source.Kind.
func (Folder) Example() source.Example {
	return source.Example{Source: "/var/lib/machines/debian DIR/oss/debian", Becomes: "its files as a squashfs image (root), with the kernel in it"}
}

// Recognise implements source.Kind.
func (Folder) Recognise(_ context.Context, s *source.Source) (bool, error) {
	return s.IsFolder() && isRoot(s.Path), nil
}

// isRoot reports whether a folder looks like a root file system: it has a program that may be its init, or settings and programs.
func isRoot(dir string) bool {
	has := func(name string) bool {
		_, err := os.Lstat(filepath.Join(dir, name))
		return err == nil
	}
	for _, init := range tree.Inits {
		if has(init) {
			return true
		}
	}
	return has("etc") && (has("usr") || has("bin"))
}

// Import implements source.Kind.
func (Folder) Import(ctx context.Context, j *source.Job) error {
	s, err := newSystem(j, "the folder "+j.Path)
	if err != nil {
		return err
	}
	step := j.Step("read the names in "+j.Path, 0)
	defer step.End()
	t, err := tree.ReadFolder(ctx, j.Path, tree.Limits{})
	if err != nil {
		return err
	}
	defer t.Close()
	step.End()
	return pack(ctx, j, s, t, "the files in "+j.Path)
}
