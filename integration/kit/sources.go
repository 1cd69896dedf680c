package kit

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"

	"github.com/boottorrent/boottorrent/internal/site"
)

//go:embed sources.sh
var makeSources []byte

// MakeSources makes, in an empty folder, what people have and `mkimage import` makes systems of: sources.sh lists them.
func (k *Kit) MakeSources(ctx context.Context, dir string, r *Roots) error {
	script := filepath.Join(dir, "sources.sh")
	if err := os.WriteFile(script, makeSources, 0o644); err != nil {
		return err
	}
	return k.run(ctx, "bash", script, dir, r.Busybox, r.OpenRC)
}

// Import makes a system of a source with `mkimage import`.
func (s *Site) Import(ctx context.Context, source, name string, args ...string) error {
	return s.Kit.run(ctx, s.Kit.Mkimage, append([]string{"import", source, s.Path(site.SystemsDir, name)}, args...)...)
}

// Kernel is a kernel of the root Debian, unpacked.
type Kernel struct {
	// Vmlinuz is the file, Modules the folder with its modules, Release what uname -r says.
	Vmlinuz, Modules, Release string
}

// Kernel unpacks a kernel of the root Debian into an empty folder: the common one, or the one for clouds.
func (k *Kit) Kernel(ctx context.Context, r *Roots, dir string, cloud bool) (Kernel, error) {
	modules := "usr/lib/modules/*[0-9]-amd64"
	if cloud {
		modules = "usr/lib/modules/*-cloud-amd64"
	}
	if err := k.run(ctx, "unsquashfs", "-quiet", "-no-progress", "-force", "-dest", dir, r.Debian, "boot", modules); err != nil {
		return Kernel{}, err
	}
	found, err := filepath.Glob(filepath.Join(dir, modules))
	if err != nil || len(found) != 1 {
		return Kernel{}, fmt.Errorf("the root Debian has %d folders %s: %w", len(found), modules, err)
	}
	release := filepath.Base(found[0])
	return Kernel{Vmlinuz: filepath.Join(dir, "boot", "vmlinuz-"+release), Modules: found[0], Release: release}, nil
}

// MakeLiveISO makes a live ISO as Debian's live-build does, of the root Debian with one of its kernels, in an empty folder.
func (k *Kit) MakeLiveISO(ctx context.Context, r *Roots, kernel Kernel, dir string) (string, error) {
	return k.makeISO(ctx, dir, "d-live 12",
		map[string]string{"live/filesystem.squashfs": r.Debian, "live/vmlinuz": kernel.Vmlinuz, "live/initrd.img": r.LiveInitrd},
		map[string]string{
			".disk/info": "Official Debian GNU/Linux Live 12 standard\n",
			"boot/grub/grub.cfg": "menuentry \"Debian Live\" {\nlinux /live/vmlinuz boot=live components console=tty0 console=ttyS0,115200\n" +
				"initrd /live/initrd.img\n}\n",
		})
}

// MakeInstallerISO makes an ISO with Debian's installer, as Debian does, of the package DebianInstallerPackage, in an empty folder.
func (k *Kit) MakeInstallerISO(ctx context.Context, dir string) (string, error) {
	const entry = "label install\n\tmenu label ^Install\n\tkernel /install.amd/vmlinuz\n" +
		"\tappend initrd=/install.amd/initrd.gz console=tty0 console=ttyS0,115200 TERM=linux --- quiet\n"
	return k.makeISO(ctx, dir, "Debian 12 n",
		map[string]string{
			"install.amd/vmlinuz": filepath.Join(debianInstaller, "linux"), "install.amd/initrd.gz": filepath.Join(debianInstaller, "initrd.gz"),
		},
		map[string]string{
			".disk/info": "Debian GNU/Linux 12 \"Bookworm\" - Official amd64 NETINST\n", "isolinux/isolinux.cfg": "default install\n" + entry,
		})
}

// makeISO makes an ISO of files and texts by their paths on it.
func (k *Kit) makeISO(ctx context.Context, dir, volume string, files, texts map[string]string) (string, error) {
	disc := filepath.Join(dir, "disc")
	at := func(path string) (string, error) {
		full := filepath.Join(disc, path)
		return full, os.MkdirAll(filepath.Dir(full), 0o755)
	}
	for path, from := range files {
		full, err := at(path)
		if err == nil {
			err = replaceLink(from, full)
		}
		if err != nil {
			return "", err
		}
	}
	for path, text := range texts {
		full, err := at(path)
		if err == nil {
			err = os.WriteFile(full, []byte(text), 0o644)
		}
		if err != nil {
			return "", err
		}
	}
	iso := filepath.Join(dir, "disc.iso")
	return iso, k.run(ctx, "xorriso", "-as", "mkisofs", "-quiet", "-r", "-J", "-V", volume, "-o", iso, disc)
}

// AddRoot adds a system of the method root by hand: an image, the kernel that it is to run under (none: phase 1's), and more of
// config.yaml.
func (s *Site) AddRoot(ctx context.Context, name, image string, kernel *Kernel, more string) error {
	file := "root" + filepath.Ext(image)
	config := fmt.Sprintf("dispname: Root %s\nmethod: root\nroot: %s\n%s", name, file, more)
	if kernel != nil {
		config += "kernel: vmlinuz\nmodules: modules.img\n"
	}
	if err := s.AddSystem(name, config, nil); err != nil {
		return err
	}
	dir := s.Path(site.SystemsDir, name)
	if err := replaceLink(image, filepath.Join(dir, file)); err != nil {
		return err
	}
	if kernel == nil {
		return nil
	}
	if err := replaceLink(kernel.Vmlinuz, filepath.Join(dir, "vmlinuz")); err != nil {
		return err
	}
	return s.Kit.run(ctx, s.Kit.Mkimage, "modules", "--kernel", kernel.Vmlinuz, "--modules", kernel.Modules, "-o", filepath.Join(dir, "modules.img"))
}
