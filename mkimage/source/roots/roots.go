// Package roots are the kinds of sources that are root file systems already: container images, folders, archives, images of file systems,
// and disks of (virtual) machines.
package roots

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/internal/text"
	"github.com/boottorrent/boottorrent/mkimage/source"
	"github.com/boottorrent/boottorrent/mkimage/source/tree"
)

// Kinds are those of this package, in the order in which they are to be asked.
func Kinds() []source.Kind {
	return []source.Kind{Container{}, Folder{}, Image{}, Disk{}, Archive{}}
}

// packedImage is the name of an image that is made here.
const packedImage = "root.squashfs"

// newSystem begins the only system of a source.
func newSystem(j *source.Job, what string) (*source.System, error) {
	s, err := j.NewSystem("")
	if err != nil {
		return nil, err
	}
	s.Comments[""] = fmt.Sprintf("Made by "+self.Mkimage()+" import of %s.", what)
	s.Root = &source.Root{Init: j.Init}
	return s, nil
}

// pack makes the image of a system from a tree, and looks into it. from says where it comes from, for the table.
func pack(ctx context.Context, j *source.Job, s *source.System, t *tree.Tree, from string) error {
	for _, n := range t.Notes {
		j.Log.Warn(n)
	}
	size := t.Size()
	step := j.Step("pack "+packedImage, size)
	defer step.End()
	if err := t.Pack(ctx, s.Path(packedImage), step.Set); err != nil {
		return err
	}
	step.End()
	s.Made(packedImage, fmt.Sprintf("%s, %s as files", from, text.Size(size)))
	s.Root.Images = []string{packedImage}
	return j.FinishRoot(ctx, s)
}

// shortName is a source's name for the table.
func shortName(j *source.Job) string { return filepath.Base(filepath.Clean(j.Path)) }
