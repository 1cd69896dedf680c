package drivers

import (
	"fmt"
	"path"
	"slices"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/modarchive"
)

// disks are what a machine's own disk is read by, beside storage: more controllers, file systems with the character sets of FAT's names, and
// the firmware's variables. Only nodes that start something from their disk load them, so weight counts little here. What does nothing
// without firmware (qla2xxx, lpfc) is left out, and so are USB disks' bridges, which usb_storage and uas drive.
var disks = []string{
	"nvme", "vmd", // NVMe, and Intel's RST behind which it may hide
	"ata_generic", "pata_acpi", "pata_amd", "pata_atiixp", "pata_via", "sata_nv", "sata_sil", "sata_sil24", "sata_via", "sata_mv", "isci",
	"mmc_block", "sdhci_pci", "sdhci_acpi", "rtsx_pci_sdmmc", "ufshcd_pci",
	"megaraid_sas", "mpt3sas", "mptspi", "mptsas", "hpsa", "smartpqi", "aacraid", "arcmsr", "3w_9xxx", "3w_sas", "pm80xx", "mvsas",
	"ext4", "xfs", "btrfs", "vfat", "nls_cp437", "nls_ascii", "nls_iso8859_1", "nls_utf8",
	"efivarfs",
}

// Disks are the modules of a kernel, in dir, a folder …/lib/modules/VERSION, with which machines of an architecture read their own disks.
func Disks(dir, version string, a arch.Arch) (*Set, error) {
	t, err := openTree(dir)
	if err != nil {
		return nil, err
	}
	c := &selecting{tree: t, arch: a, chosen: map[string]*Module{}, set: &Set{Version: version, Builtin: map[string]string{}, tree: t}}
	if err := c.addAllKnown(slices.Concat(lists[Storage][a], disks)); err != nil {
		return nil, fmt.Errorf("the drivers of disks: %w", err)
	}
	return c.finish(), nil
}

// Tree is the set as files by their paths: lib/modules/VERSION with its index.
func (s *Set) Tree() map[string][]byte {
	files := map[string][]byte{}
	for _, m := range s.Modules {
		files[path.Join(modarchive.Folder, s.Version, m.Path)] = m.Content
	}
	for name, content := range s.index() {
		files[path.Join(modarchive.Folder, s.Version, name)] = content
	}
	return files
}
