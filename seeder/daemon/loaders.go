package daemon

import (
	"os"
	"path/filepath"
)

// The boot loaders handed to firmware: iPXE as Debian's package "ipxe" installs it.
const (
	// loaderBIOS chain-loads over the PXE ROM's own driver (UNDI).
	loaderBIOS = "undionly.kpxe"
	// loaderEFI uses the driver of the firmware (SNP), so it knows every card that the firmware could boot from.
	loaderEFI = "snponly.efi"
	// loaderHTTP is for UEFI HTTP boot. It has drivers of its own.
	loaderHTTP = "ipxe.efi"

	// originalLoader is the name of the original BootTorrent's.
	originalLoader = "pxelinux.0"
)

// loaderNames are all of them.
var loaderNames = []string{loaderBIOS, loaderEFI, loaderHTTP}

// loaderDirs is where distributions put them.
var loaderDirs = []string{"/usr/lib/ipxe", "/usr/share/ipxe", "/usr/lib/ipxe/qemu", "/boot"}

// loaders returns the paths of the boot loaders found on this machine, by name.
func loaders() map[string]string {
	found := map[string]string{}
	for _, name := range loaderNames {
		for _, dir := range loaderDirs {
			path := filepath.Join(dir, name)
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
				found[name] = path
				break
			}
		}
	}
	return found
}
