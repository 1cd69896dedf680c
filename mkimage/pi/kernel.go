package pi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/boottorrent/boottorrent/internal/arch"
	phase1 "github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/mkimage/image"
)

// arm64Image is the site's image for arm64.
type arm64Image struct {
	dir string
	image.Manifest
}

func readImage(dir string) (*arm64Image, error) {
	im := &arm64Image{dir: filepath.Join(dir, site.ImageDir, phase1.Folder(arch.ARM64))}
	body, err := os.ReadFile(filepath.Join(im.dir, phase1.Manifest))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the site has no image for arm64, which Raspberry Pis start: run mkimage %s --arch arm64 first", dir)
	}
	if err == nil {
		err = json.Unmarshal(body, &im.Manifest)
	}
	if err != nil {
		return nil, fmt.Errorf("read the image for arm64: %w; run mkimage %s --arch arm64 again", err, dir)
	}
	return im, nil
}

// deviceTrees is the folder of the device trees that came with the image's kernel, in the cache; it may not be there.
func (im *arm64Image) deviceTrees(cache string) string {
	pkg := strings.Replace(im.Kernel.Package, " ", "_", 1)
	return filepath.Join(cache, "packages", arch.ARM64.Debian(), pkg, "usr/lib/linux-image-"+im.Kernel.Release, "broadcom")
}

// kernel puts kernel and initramfs into the folder: as links to those of the image, so that they are always its present ones. A Pi's firmware
// starts a kernel as it is, or compressed by gzip (Raspberry Pi's documentation, arm_64bit).
func (m *Made) kernel(im *arm64Image) error {
	for _, name := range []string{phase1.Kernel, phase1.Initramfs} {
		info, err := os.Stat(filepath.Join(im.dir, name))
		if err != nil {
			return err
		}
		target := filepath.Join("..", site.ImageDir, phase1.Folder(arch.ARM64), name)
		if err := renameio.Symlink(target, filepath.Join(m.Dir, name)); err != nil {
			return err
		}
		m.Files++
		m.Size += info.Size()
	}
	return nil
}
