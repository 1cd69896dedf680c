package image

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"

	"github.com/boottorrent/boottorrent/internal/arch"
	phase1 "github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/uki"
	"github.com/boottorrent/boottorrent/mkimage/debian"
)

// foreign reports whether an architecture is another than this machine's, so that its packages can't be installed here.
func foreign(a arch.Arch) bool { return string(a) != runtime.GOARCH }

// packages is the root file system of a package for the image's architecture: this machine's where it can be installed here, else the
// folder of the cache into which it was unpacked.
func (b *build) packages(ctx context.Context, name, instead string) (root string, err error) {
	if !foreign(b.Arch) {
		return "/", nil
	}
	from := debian.Archive{Cache: b.Cache, Arch: b.Arch, Log: b.Log}
	get := from.Get
	if b.UpdateKernel {
		get = from.Update
	}
	p, err := get(ctx, debian.Wanted{Name: name, Instead: instead})
	return p.Dir, err
}

// stub is systemd's, for the image's architecture.
func (b *build) stub(ctx context.Context) ([]byte, error) {
	root, err := b.packages(ctx, uki.StubPackage, "build the image on a machine of that architecture, with the package installed")
	if err != nil {
		return nil, err
	}
	return uki.ReadStub(root, b.Arch)
}

// loader is a boot loader that is put beside the image.
type loader struct {
	// name is the one by which it is served, pkg the package that has it, and file where.
	name, pkg, file string
}

// signedLoaders are shim, GRUB and shim's program that enrols keys, as they are signed by Microsoft and Debian.
func signedLoaders(a arch.Arch) []loader {
	efi, grub := a.EFI(), "x86_64-efi-signed"
	if a == arch.ARM64 {
		grub = "arm64-efi-signed"
	}
	return []loader{
		{"shim" + efi + ".efi", "shim-signed", "usr/lib/shim/shim" + efi + ".efi.signed"},
		{"grub" + efi + ".efi", "grub-efi-" + a.Debian() + "-signed", "usr/lib/grub/" + grub + "/grubnet" + efi + ".efi.signed"},
		{"mm" + efi + ".efi", "shim-helpers-" + a.Debian() + "-signed", "usr/lib/shim/mm" + efi + ".efi.signed"},
	}
}

// loaders are the boot loaders for an architecture whose packages can't be installed on this machine. Those that can't be had are
// left out, with a warning: machines then start by other ways.
func (b *build) loaders(ctx context.Context) ([]output, error) {
	if !foreign(b.Arch) {
		return nil, nil
	}
	var outputs []output
	for _, l := range signedLoaders(b.Arch) {
		name := path.Join(phase1.LoadersFolder, l.name)
		root, err := b.packages(ctx, l.pkg, "put "+l.name+" into the site's folder loaders/")
		if err != nil {
			if ctx.Err() != nil {
				return nil, err
			}
			b.Log.Warn("a boot loader is left out", "loader", l.name, "because", err)
			continue
		}
		content, err := os.ReadFile(filepath.Join(root, l.file))
		if err != nil {
			return nil, fmt.Errorf("the package %s has no %s any more (%w); put it into the site's folder loaders/", l.pkg, l.name, err)
		}
		outputs = append(outputs, output{name, content})
	}
	return outputs, nil
}

// kernelPart is the name under which a compressed kernel is in the cache.
const kernelPart = "kernel"

// bootKernel is the kernel as boot loaders load it. One of x86 is as its file is. One of arm64 is compressed by gzip, a third of Debian's Image;
// GRUB gets it unpacked from the seeder (seeder/bootfiles). See docs/compression.md.
func (b *build) bootKernel(ctx context.Context) ([]byte, error) {
	if b.Arch != arch.ARM64 || b.header.Payload != nil && b.header.Payload.Method == "gzip" {
		return b.vmlinuz, nil
	}
	level := max(gzip.BestSpeed, min(b.Level, gzip.BestCompression))
	key := hash(kernelPart, "gzip", fmt.Sprint(level), string(b.vmlinuz))
	return b.cache.stream(kernelPart, key, func() ([]byte, error) {
		r, err := b.header.Unpack(bytes.NewReader(b.vmlinuz), int64(len(b.vmlinuz)))
		if err != nil {
			return nil, fmt.Errorf("the kernel %s: %w", b.kernel.Vmlinuz, err)
		}
		defer r.Close()
		var packed bytes.Buffer
		err = b.step("compress the kernel", func() error {
			w, err := gzip.NewWriterLevel(&packed, level)
			if err != nil {
				return err
			}
			if _, err := io.Copy(w, r); err != nil {
				return err
			}
			return w.Close()
		})
		if err != nil {
			return nil, fmt.Errorf("compress the kernel %s: %w", b.kernel.Vmlinuz, err)
		}
		return packed.Bytes(), ctx.Err()
	})
}

// programKernel is the kernel as it is in a UEFI program: systemd's stub starts it as such a one, so that it is not compressed but in
// the form that unpacks itself (CONFIG_EFI_ZBOOT).
func (b *build) programKernel() ([]byte, error) {
	if b.header.Payload == nil || b.header.Payload.Method != "gzip" || b.header.Payload.Offset != 0 {
		return b.vmlinuz, nil
	}
	r, err := b.header.Unpack(bytes.NewReader(b.vmlinuz), int64(len(b.vmlinuz)))
	if err != nil {
		return nil, fmt.Errorf("the kernel %s: %w", b.kernel.Vmlinuz, err)
	}
	defer r.Close()
	return io.ReadAll(r)
}
