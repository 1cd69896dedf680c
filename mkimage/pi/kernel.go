package pi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/bzimage"
	phase1 "github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/mkimage/debian"
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
		return nil, fmt.Errorf("the site has no image for arm64, which Raspberry Pis start: run "+self.Mkimage()+" %s --arch arm64 first", dir)
	}
	if err == nil {
		err = json.Unmarshal(body, &im.Manifest)
	}
	if err != nil {
		return nil, fmt.Errorf("read the image for arm64: %w; run "+self.Mkimage()+" %s --arch arm64 again", err, dir)
	}
	return im, nil
}

// deviceTrees is the folder of the device trees that came with the image's kernel, in the cache; it may not be there.
func (im *arm64Image) deviceTrees(cache string) string {
	pkg := strings.Replace(im.Kernel.Package, " ", "_", 1)
	return filepath.Join(cache, debian.Folder, string(arch.ARM64), pkg, "usr/lib/linux-image-"+im.Kernel.Release, "broadcom")
}

// kernel puts kernel and initramfs into the folder: as links to those of the image, so that they are always its present ones.
func (m *Made) kernel(im *arm64Image) error {
	linked := []string{phase1.Kernel, phase1.Initramfs}
	unpacked, err := im.unpackedKernel()
	if err != nil {
		return err
	}
	if unpacked != nil {
		linked = linked[1:]
		if err := m.file(phase1.Kernel, unpacked); err != nil {
			return err
		}
	}
	for _, name := range linked {
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

// unpackedKernel is the image's kernel as a Pi's firmware can start it, nil if that is so of the file itself: the firmware takes a kernel
// as it is, or compressed by gzip (Raspberry Pi's documentation, arm_64bit), and not in a UEFI program that unpacks it.
func (im *arm64Image) unpackedKernel() ([]byte, error) {
	path := filepath.Join(im.dir, phase1.Kernel)
	packed, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	header, err := bzimage.Parse(packed)
	if err != nil || header.Arch != "arm64" {
		return nil, fmt.Errorf("%s is no kernel for arm64: run "+self.Mkimage()+" DIR --arch arm64 again", path)
	}
	if header.Payload == nil || header.Payload.Offset == 0 && header.Payload.Method == "gzip" {
		return nil, nil
	}
	r, err := header.Unpack(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	defer r.Close()
	return io.ReadAll(r)
}
