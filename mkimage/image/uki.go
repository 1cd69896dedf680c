package image

import (
	"fmt"
	"strings"

	"github.com/boottorrent/boottorrent/internal/uki"
	"github.com/boottorrent/boottorrent/internal/version"
)

// unified joins kernel, initramfs and command line into one UEFI program. Without the stub that it takes there is none, which
// only UEFI HTTP boot and media miss.
func (b *build) unified(initramfs []byte) ([]byte, error) {
	stub, err := uki.ReadStub()
	if err != nil {
		b.Log.Warn("no image for UEFI HTTP boot is made", "because", err)
		return nil, nil
	}
	image, _, err := uki.Build(b.ukiImage(stub, initramfs, b.cmdline()))
	return image, err
}

func (b *build) ukiImage(stub, initramfs []byte, cmdline string) uki.Image {
	return uki.Image{
		Stub: stub, Kernel: b.vmlinuz, Initrd: initramfs, Release: b.kernel.Version, Cmdline: cmdline,
		OSRelease: osRelease(b.Release, b.site.Name),
	}
}

// cmdline is phase 1's kernel command line when no boot script says another.
func (b *build) cmdline() string { return b.site.Cmdline().String() }

// osRelease is what boot menus show of the image (os-release(5)).
func osRelease(release, site string) string {
	if release == "" {
		release = version.Release
	}
	quoted := strings.NewReplacer(`"`, `'`, `\`, `/`, "$", "", "`", "'").Replace(site)
	return fmt.Sprintf("ID=boottorrent\nNAME=BootTorrent\nPRETTY_NAME=\"BootTorrent, %s\"\nVERSION_ID=%s\n", quoted, release)
}
