package image

import (
	"context"
	"fmt"
	"strings"

	"github.com/boottorrent/boottorrent/internal/uki"
	"github.com/boottorrent/boottorrent/internal/version"
)

// unified joins kernel, initramfs and command line into one UEFI program. Without the stub that it takes there is none, which
// only UEFI HTTP boot and media miss.
func (b *build) unified(ctx context.Context, initramfs []byte) ([]byte, error) {
	stub, err := b.stub(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		if b.key != nil {
			return nil, fmt.Errorf("there is no UEFI program to sign: %w", err)
		}
		b.Log.Warn("no image for UEFI HTTP boot is made", "because", err)
		return nil, nil
	}
	im, err := b.ukiImage(stub, initramfs, b.cmdline())
	if err != nil {
		return nil, err
	}
	image, _, err := uki.Build(im)
	if err != nil {
		return nil, err
	}
	return b.sign(UKIFile, image)
}

func (b *build) ukiImage(stub, initramfs []byte, cmdline string) (uki.Image, error) {
	kernel, err := b.programKernel()
	return uki.Image{
		Stub: stub, Kernel: kernel, Initrd: initramfs, Release: b.kernel.Version, Cmdline: cmdline,
		OSRelease: osRelease(b.Release, b.site.Name),
	}, err
}

// cmdline is phase 1's kernel command line when no boot script says another.
func (b *build) cmdline() string { return b.site.CmdlineFor(b.Arch).String() }

// osRelease is what boot menus show of the image (os-release(5)).
func osRelease(release, site string) string {
	if release == "" {
		release = version.Release
	}
	quoted := strings.NewReplacer(`"`, `'`, `\`, `/`, "$", "", "`", "'").Replace(site)
	return fmt.Sprintf("ID=boottorrent\nNAME=BootTorrent\nPRETTY_NAME=\"BootTorrent, %s\"\nVERSION_ID=%s\n", quoted, release)
}
