package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/atomicfile"
	"github.com/boottorrent/boottorrent/internal/authenticode"
	phase1 "github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/self"
	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/mkimage/keys"
	"github.com/boottorrent/boottorrent/mkimage/media"
)

// findKey loads the site's key for Secure Boot if something is to be signed. Kernels of systems can be signed for machines that start phase 1 by
// shim and take these kernels alone for the site's (MOK): the image then stays unsigned, as they would not start a signed one.
func (b *build) findKey() error {
	signed := b.Sign || b.SignLoaders || b.site.SignImage
	if signed || len(b.SignKernels) > 0 {
		key, err := keys.Load(b.Site)
		if err != nil {
			return err
		}
		if info, err := os.Stat(filepath.Join(b.Site, site.KeysDir, site.DBKey)); err == nil && info.Mode().Perm()&0o077 != 0 {
			b.Log.Warn("the secret key for Secure Boot is open to other users of this machine", "remedy", "chmod 600 "+filepath.Join(b.Site, site.KeysDir, site.DBKey))
		}
		b.kernelKey = key
		if signed {
			b.key = key
			return nil
		}
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

// signKernels signs the kernels of the systems that are named, in place of whoever has signed them: Linux reads one signature only. All are
// signed before the first is replaced.
func (b *build) signKernels() error {
	signed := map[string][]byte{}
	for _, name := range b.SignKernels {
		path, err := b.systemsKernel(name)
		if err != nil {
			return err
		}
		kernel, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("sign the kernel of %s: %w", name, err)
		}
		if signed[path], err = b.kernelKey.Sign(kernel); err != nil {
			return fmt.Errorf("sign the kernel %s: %w", path, err)
		}
		if bytes.Equal(signed[path], kernel) {
			delete(signed, path)
		}
	}
	for path, kernel := range signed {
		if err := replaceContent(path, kernel); err != nil {
			return fmt.Errorf("sign the kernel %s: %w", path, err)
		}
		b.Log.Info("a kernel is signed by the site's key", "kernel", path)
	}
	return nil
}

// replaceContent gives a file other content at once. Who owns it, and who may read it, stays as it is: the seeder may run as another user.
func replaceContent(path string, content []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	f, err := atomicfile.Begin(path, info.Mode().Perm())
	if err != nil {
		return err
	}
	defer f.Cleanup()
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		if err := f.Chown(int(owner.Uid), int(owner.Gid)); err != nil {
			return err
		}
	}
	if _, err := f.Write(content); err != nil {
		return err
	}
	return atomicfile.Finish(path, f)
}

// systemsKernel is the path of a system's kernel: of the file itself, where config.yaml names a link to it.
func (b *build) systemsKernel(name string) (string, error) {
	i := slices.IndexFunc(b.site.Systems, func(s site.System) bool { return s.Name == name })
	if i < 0 {
		return "", &OptionError{fmt.Sprintf("--sign-kernels %s: the site has no such system, or it has a mistake; "+self.Seeder()+" check says which", name)}
	}
	sys := b.site.Systems[i]
	kernel := ""
	switch l := sys.Launch; {
	case l.Kexec != nil:
		kernel = l.Kexec.Kernel
	case l.Root != nil && l.Root.Boot != nil:
		kernel = l.Root.Boot.Kernel
	}
	if kernel != "" && slices.ContainsFunc(sys.From, func(o site.Origin) bool { return o.Path == kernel }) {
		return "", &OptionError{fmt.Sprintf("--sign-kernels %s: its kernel %s comes from elsewhere (from: in its %s); sign it there, and write its new digest", name, kernel, site.SystemFile)}
	}
	if kernel != "" {
		return filepath.EvalSymlinks(filepath.Join(sys.Dir, filepath.FromSlash(kernel))) // which leads to a file of the system, or it had a mistake
	}
	return "", &OptionError{fmt.Sprintf("--sign-kernels %s: that system has no kernel of its own", name)}
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

// chain is shim and GRUB with this kernel and initramfs, for media and UEFI HTTP boot. The error says which package or signature is missing.
func (b *build) chain(ctx context.Context, initramfs []byte) (*media.Chain, error) {
	if err := b.signedKernel(); err != nil {
		return nil, err
	}
	shim := signedLoaders(b.Arch)
	grub := loader{"", shim[1].pkg, strings.Replace(shim[1].file, "grubnet", "gcd", 1)} // which looks for its script on its medium
	var content [3][]byte
	for i, l := range []loader{shim[0], grub, shim[2]} {
		var err error
		if content[i], err = b.read(ctx, l); err != nil {
			return nil, err
		}
	}
	kernel, err := b.bootKernel(ctx)
	return &media.Chain{Shim: content[0], GRUB: content[1], MokManager: content[2], Kernel: kernel, Initramfs: initramfs}, err
}

// httpDisk is the disk image that UEFI HTTP boot makes a RAM disk of; nil if the site signs the UEFI program, which then starts by itself, or
// if something for it is missing. There is none for arm64, whose kernel GRUB would have to unpack before shim finds its signature.
func (b *build) httpDisk(ctx context.Context, initramfs []byte) ([]byte, error) {
	if b.key != nil || b.Arch != arch.AMD64 {
		return nil, nil
	}
	chain, err := b.chain(ctx, initramfs)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		b.Log.Info("the image does not start by UEFI HTTP boot where Secure Boot is on", "because", err)
		return nil, nil
	}
	return media.Contents{Arch: b.Arch, Label: mediumLabel, Chain: chain, Cmdline: b.cmdline()}.RAMDisk()
}

// signedKernel says why shim would refuse the kernel: nobody has signed it.
func (b *build) signedKernel() error {
	program, err := b.programKernel()
	if err != nil {
		return err
	}
	by, err := authenticode.Read(bytes.NewReader(program), int64(len(program)))
	if err != nil || len(by.By) == 0 {
		return fmt.Errorf("the kernel %s is not signed; use the distribution's, or sign what is built with the site's own key: "+self.Mkimage()+" keys", b.kernel.Vmlinuz)
	}
	return nil
}
