package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/authenticode"
	phase1 "github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/mkimage/keys"
	"github.com/boottorrent/boottorrent/mkimage/media"
)

// findKey loads the site's key for Secure Boot if something is to be signed.
func (b *build) findKey() (err error) {
	if b.Sign || b.SignLoaders || b.site.SignImage {
		b.key, err = keys.Load(b.Site)
		return err
	}
	if _, err := os.Stat(filepath.Join(b.Site, site.KeysDir, site.DBCertificate)); err == nil {
		b.Log.Warn("this site has keys for Secure Boot, but the image is not signed", "remedy", "--sign, or sign_image: true in "+site.ConfigFile)
	}
	return nil
}

// sign signs a UEFI program by the site's key, if it is to be signed.
func (b *build) sign(name string, program []byte) ([]byte, error) {
	if b.key == nil {
		return program, nil
	}
	signed, err := b.key.Sign(program)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", name, err)
	}
	return signed, nil
}

// signedLoaders are the boot loaders that firmware starts, signed by the site's key: shim, and iPXE where Debian has it.
func (b *build) signLoaders(ctx context.Context) ([]output, error) {
	if !b.SignLoaders {
		return nil, nil
	}
	list := signedLoaders(b.Arch)[:1]
	if b.Arch == arch.AMD64 {
		list = append(list, loader{"snponly.efi", "ipxe", "usr/lib/ipxe/snponly.efi"}, loader{"ipxe.efi", "ipxe", "usr/lib/ipxe/ipxe.efi"})
	}
	var outputs []output
	for _, l := range list {
		content, err := b.read(ctx, l)
		if err != nil {
			return nil, fmt.Errorf("sign the boot loaders: %w", err)
		}
		if content, err = b.sign(l.name, content); err != nil {
			return nil, err
		}
		outputs = append(outputs, output{path.Join(phase1.LoadersFolder, l.name), content})
	}
	return outputs, nil
}

// read reads a boot loader where its package has it. The error says which package is missing.
func (b *build) read(ctx context.Context, l loader) ([]byte, error) {
	root, err := b.packages(ctx, l.pkg, "build on a machine of that architecture, with the package installed")
	if err != nil {
		return nil, err
	}
	content, err := os.ReadFile(filepath.Join(root, l.file))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("/%s is missing: apt-get install %s", l.file, l.pkg)
	}
	return content, err
}

// chain is shim and GRUB with this kernel and initramfs, for a medium; nil, with a warning, where a package or a signature is missing.
func (b *build) chain(ctx context.Context, initramfs []byte) (*media.Chain, error) {
	if err := b.signedKernel(); err != nil {
		b.Log.Warn("the medium starts no machine on which Secure Boot is on", "because", err)
		return nil, nil
	}
	shim := signedLoaders(b.Arch)
	grub := loader{"", shim[1].pkg, strings.Replace(shim[1].file, "grubnet", "gcd", 1)} // which looks for its script on its medium
	var content [3][]byte
	for i, l := range []loader{shim[0], grub, shim[2]} {
		var err error
		if content[i], err = b.read(ctx, l); err != nil {
			if ctx.Err() != nil {
				return nil, err
			}
			b.Log.Warn("the medium starts no machine on which Secure Boot is on", "because", err)
			return nil, nil
		}
	}
	kernel, err := b.bootKernel(ctx)
	return &media.Chain{Shim: content[0], GRUB: content[1], MokManager: content[2], Kernel: kernel, Initramfs: initramfs}, err
}

// signedKernel says why shim would refuse the kernel: nobody has signed it.
func (b *build) signedKernel() error {
	program, err := b.programKernel()
	if err != nil {
		return err
	}
	by, err := authenticode.Read(bytes.NewReader(program), int64(len(program)))
	if err != nil || len(by.By) == 0 {
		return fmt.Errorf("the kernel %s is not signed; use the distribution's, or sign what is built with the site's own key: mkimage keys", b.kernel.Vmlinuz)
	}
	return nil
}
