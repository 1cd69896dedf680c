package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	phase1 "github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/site"
)

// folder is where the image is written.
func (b *build) folder() string {
	return filepath.Join(b.Site, site.ImageDir, phase1.Folder(b.Arch))
}

// checkPlaces reports a folder that can't be written to before minutes go into what was to be written there.
func (b *build) checkPlaces() error {
	places := []struct{ what, dir, do string }{
		{"the image", b.folder(), "run this as the user that owns the site, or copy the site to where you may write"},
		{"the cache", b.Cache, "give another with --cache DIR"},
		{"what comes and goes while it compiles", os.TempDir(), "set TMPDIR to a folder with 500 MB free"},
	}
	if b.medium != nil {
		places = append(places, struct{ what, dir, do string }{"the medium", filepath.Dir(b.medium.Path), "name another file with -o FILE"})
	}
	for _, p := range places {
		if err := writable(p.dir); err != nil {
			return fmt.Errorf("%s can't be written into %s: %w; %s", p.what, p.dir, err, p.do)
		}
	}
	return nil
}

// writable reports whether files can be made in a folder; if it isn't there yet, whether it can be made. It changes nothing.
func writable(dir string) error {
	info, err := os.Stat(dir)
	for errors.Is(err, fs.ErrNotExist) && dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir)
		info, err = os.Stat(dir)
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder", dir)
	}
	return unix.Access(dir, unix.W_OK|unix.X_OK)
}
