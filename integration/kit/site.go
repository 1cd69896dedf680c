package kit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/boottorrent/boottorrent/integration/tiny"
	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/mkimage/image"
)

// Site is a site directory.
type Site struct {
	Dir string
	Kit *Kit
}

// Path is a path within the site.
func (s *Site) Path(elem ...string) string { return filepath.Join(append([]string{s.Dir}, elem...)...) }

// Configure replaces boottorrent.yaml.
func (s *Site) Configure(yaml string) error {
	return os.WriteFile(s.Path(site.ConfigFile), []byte(yaml), 0o644)
}

// MakeImage builds phase 1 with `mkimage`.
func (s *Site) MakeImage(ctx context.Context, args ...string) error {
	return s.Kit.run(ctx, s.Kit.Mkimage, slices.Concat([]string{s.Dir}, s.Kit.ImageOptions, args)...)
}

// MakeKeys makes the site's own keys for Secure Boot with `mkimage keys`, and returns the certificate that belongs into the
// firmware's db.
func (s *Site) MakeKeys(ctx context.Context) (der []byte, err error) {
	if err := s.Kit.run(ctx, s.Kit.Mkimage, "keys", s.Dir); err != nil {
		return nil, err
	}
	return os.ReadFile(s.Path(site.KeysDir, site.DBCertificateDER))
}

// MakeMedium builds a medium in a folder with `mkimage usb` or `mkimage iso`, and phase 1 with it, and returns the medium's path.
func (s *Site) MakeMedium(ctx context.Context, dir string, format image.Format, args ...string) (string, error) {
	path := filepath.Join(dir, "boottorrent."+string(format))
	return path, s.Kit.run(ctx, s.Kit.Mkimage, slices.Concat([]string{string(format), s.Dir, "-o", path}, s.Kit.ImageOptions, args)...)
}

// ShareImage takes phase 1 and the keys from another site, so that it need not be built again. Nodes then trust both.
func (s *Site) ShareImage(from *Site) error {
	for _, name := range []string{site.PublicKeyFile, site.SecretKeyFile} {
		if err := replaceLink(from.Path(name), s.Path(name)); err != nil {
			return err
		}
	}
	return filepath.WalkDir(from.Path(site.ImageDir), func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from.Dir, path)
		if err != nil {
			return err
		}
		if e.IsDir() {
			return os.MkdirAll(s.Path(rel), 0o755)
		}
		return replaceLink(path, s.Path(rel))
	})
}

// AddFiles adds files for machines: for all, for a group or for a machine, with their contents by their names.
func (s *Site) AddFiles(name string, files map[string]string) error {
	for file, content := range files {
		path := s.Path(site.FilesDir, name, file)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
			return err
		}
	}
	return nil
}

// AddTiny adds a system that proves a boot, of about size bytes beside its kernel, which is the one of the site's own
// image.
func (s *Site) AddTiny(ctx context.Context, name string, size int64) error {
	modules, err := cardModules(ctx, arch.AMD64)
	if err != nil {
		return err
	}
	return tiny.Build(ctx, s.Path(site.SystemsDir, name), arch.AMD64, s.Path(site.ImageDir, image.KernelFile), modules, size)
}

// AddTinyARM64 is AddTiny for arm64 machines, with the distribution's kernel, compressed by gzip.
func (s *Site) AddTinyARM64(ctx context.Context, name string, size int64) error {
	files, err := distribution(ctx, arch.ARM64)
	if err != nil {
		return err
	}
	modules, err := cardModules(ctx, arch.ARM64)
	if err != nil {
		return err
	}
	compressed := s.Path("vmlinuz.gz")
	if err := gzipped(files.Vmlinuz, compressed); err != nil {
		return err
	}
	defer os.Remove(compressed)
	return tiny.Build(ctx, s.Path(site.SystemsDir, name), arch.ARM64, compressed, modules, size)
}

// AddDebian adds the Debian 12 installer, which must be installed on this machine (DebianInstallerPackage).
func (s *Site) AddDebian(name string) error {
	dir := s.Path(site.SystemsDir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for from, to := range map[string]string{"linux": "linux", "initrd.gz": "initrd.gz"} {
		if err := replaceLink(filepath.Join(debianInstaller, from), filepath.Join(dir, to)); err != nil {
			return fmt.Errorf("%w (apt-get install %s)", err, DebianInstallerPackage)
		}
	}
	return os.WriteFile(filepath.Join(dir, site.SystemFile), []byte(`dispname: Debian 12 installer
description: The installer of Debian bookworm, as the distribution ships it
method: kexec
kernel: linux
initrd: initrd.gz
cmdline: console=tty0 console=ttyS0,115200 TERM=linux --- quiet
`), 0o644)
}

// replaceLink makes path another name of the file from, or a copy where the file system can't.
func replaceLink(from, path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Link(from, path); err == nil {
		return nil
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, info.Mode().Perm())
}
