package loaders

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/site"
)

// What each firmware gets, by what is installed and what the site says.
func TestChoose(t *testing.T) {
	const (
		ipxePackage = "/usr/lib/ipxe/snponly.efi /usr/lib/ipxe/undionly.kpxe /boot/ipxe.efi"
		shimPackage = "/usr/lib/shim/shimx64.efi.signed /usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed"
		program     = "image/boottorrent.efi"
		arm         = "image/arm64/boottorrent.efi"
		armShim     = "image/arm64/loaders/shimaa64.efi image/arm64/loaders/grubaa64.efi"
		disk        = "image/httpboot.img"
		ipxe2       = "loaders/x86_64-sb/snponly-shim.efi loaders/x86_64-sb/snponly.efi"
		signed      = "signed"
	)
	x64 := Firmware{Arch: arch.AMD64}
	named, old, http := x64, x64, x64
	named.Named, old.IPXE, old.Named, http.HTTP = true, true, true, true
	again, third := http, http
	again.Told, third.Told = 1, 2
	bios := Firmware{Arch: arch.AMD64, BIOS: true}
	arm64 := Firmware{Arch: arch.ARM64}
	armNamed, armHTTP := arm64, arm64
	armNamed.Named, armHTTP.HTTP = true, true
	for _, c := range []struct {
		name  string
		files string
		uefi  site.UEFI
		f     Firmware
		want  string
	}{
		{"BIOS", ipxePackage + " " + shimPackage, site.UEFIShim, bios, "undionly.kpxe"},
		{"BIOS, nothing", "", site.UEFIAuto, bios, "error: install the package ipxe"},
		{"auto", ipxePackage + " " + shimPackage, site.UEFIAuto, named, "secure shimx64.efi"},
		{"auto, GRUB would not find us", ipxePackage + " " + shimPackage, site.UEFIAuto, x64, "snponly.efi"},
		{"shim, GRUB would not find us", ipxePackage + " " + shimPackage, site.UEFIShim, x64, "snponly.efi"},
		{"auto without shim", ipxePackage, site.UEFIAuto, named, "snponly.efi"},
		{"auto with half of the chain", ipxePackage + " /usr/lib/shim/shimx64.efi.signed", site.UEFIAuto, named, "snponly.efi"},
		{"never shim behind an old iPXE", ipxePackage + " " + shimPackage, site.UEFIShim, old, "snponly.efi"},
		{"not even iPXE's own", ipxePackage + " " + ipxe2, site.UEFIShim, old, "snponly.efi"},
		{"ipxe", ipxePackage + " " + shimPackage, site.UEFIiPXE, named, "snponly.efi"},
		{"nothing", "", site.UEFIAuto, named, "error: install the package ipxe, or shim-signed and grub-efi-amd64-signed"},
		{"nothing but the program", program, site.UEFIAuto, named, "boottorrent.efi"},
		{"uki", ipxePackage + " " + shimPackage + " " + program, site.UEFIUKI, named, "boottorrent.efi"},
		{"uki, signed", program + " " + signed, site.UEFIUKI, named, "secure boottorrent.efi"},
		{"uki without one", ipxePackage, site.UEFIUKI, named, "error: image/boottorrent.efi is missing"},
		{"iPXE 2.0", ipxePackage + " " + shimPackage + " " + ipxe2, site.UEFIAuto, x64, "secure x86_64-sb/snponly-shim.efi"},
		{"HTTP", ipxePackage + " " + shimPackage + " " + program, site.UEFIAuto, http, "boottorrent.efi"},
		{"HTTP, a disk", program + " " + disk, site.UEFIAuto, http, "secure httpboot.img"},
		{"HTTP, the disk did not start", program + " " + disk, site.UEFIAuto, again, "boottorrent.efi"},
		{"HTTP, neither did", program + " " + disk, site.UEFIAuto, third, "secure httpboot.img"},
		{"HTTP, nothing but a disk", disk, site.UEFIAuto, again, "secure httpboot.img"},
		{"HTTP, a disk, ipxe", program + " " + disk, site.UEFIiPXE, http, "boottorrent.efi"},
		{"HTTP, a disk, uki", program + " " + disk, site.UEFIUKI, http, "boottorrent.efi"},
		{"HTTP, a disk, signed", program + " " + disk + " " + signed, site.UEFIAuto, http, "secure boottorrent.efi"},
		{"HTTP without a program", ipxePackage, site.UEFIAuto, http, "ipxe.efi"},
		{"HTTP, signed", program + " " + ipxe2 + " " + signed, site.UEFIAuto, http, "secure boottorrent.efi"},
		{"HTTP, iPXE 2.0", program + " " + ipxe2, site.UEFIAuto, http, "secure x86_64-sb/snponly-shim.efi"},
		{"HTTP, ipxe", program + " " + ipxe2, site.UEFIiPXE, http, "boottorrent.efi"},
		{"HTTP, nothing", "", site.UEFIAuto, http, "error: HTTP boot on x64 UEFI on this machine; install the package ipxe"},
		{"arm64", arm + " " + armShim, site.UEFIAuto, armNamed, "secure shimaa64.efi"},
		{"arm64, GRUB would not find us", arm + " " + armShim, site.UEFIAuto, arm64, "arm64/boottorrent.efi"},
		{"arm64 without GRUB", arm, site.UEFIAuto, armNamed, "arm64/boottorrent.efi"},
		{"arm64, Debian 13's iPXE", arm + " /usr/lib/ipxe/ipxe-arm64.efi", site.UEFIiPXE, armNamed, "ipxe-arm64.efi"},
		{"arm64 by HTTP", arm + " " + armShim, site.UEFIAuto, armHTTP, "arm64/boottorrent.efi"},
		{"no arm64", ipxePackage + " " + shimPackage + " " + program, site.UEFIAuto, armNamed, "error: mkimage DIR --arch arm64"},
		{"no arm64, uki", program, site.UEFIUKI, armNamed, "error: mkimage DIR --arch arm64"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := At(t.TempDir(), t.TempDir())
			for _, file := range strings.Fields(c.files) {
				switch {
				case file == signed:
					manifest := `{"files": [{"name": "vmlinuz"}], "signed_by": {"name": "Room 12"}}`
					if err := os.WriteFile(filepath.Join(l.dir, "image/manifest.json"), []byte(manifest), 0o644); err != nil {
						t.Fatal(err)
					}
				case file[0] == '/':
					write(t, filepath.Join(l.root, file))
				default:
					write(t, filepath.Join(l.dir, file))
				}
			}
			got, err := l.Choose(c.uefi, c.f)
			text := got.File
			if got.Secure {
				text = "secure " + text
			}
			if want, fails := strings.CutPrefix(c.want, "error: "); fails {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%s, %v, want an error with %q", text, err, want)
				}
			} else if err != nil || text != c.want {
				t.Errorf("%s, %v, want %s", text, err, c.want)
			}
		})
	}
}
