package hardware

import "strings"

// MayHaveDisk reports whether the machine seems to have a disk, or the controller of one, whether or not its driver is loaded: by the
// kernel's block devices, and by what devices say of themselves. USB doesn't count, what is plugged in is not the machine's own.
func MayHaveDisk() bool { return running.mayHaveDisk() }

// diskAliases are parts of modaliases: PCI's base class of mass storage (PCI Code and ID Assignment Specification, 1.2), virtio's
// block device and SCSI host without PCI (Virtual I/O Device, 5), eMMC, SD host controllers by ACPI, and disks of Xen and Hyper-V.
var diskAliases = []string{"bc01sc", "virtio:d00000002v", "virtio:d00000008v", "mmc:block", "PNP0D40", "xen:vbd", "vmbus:d96361baa104294db60572e2ffb1dc7f"}

func (t tree) mayHaveDisk() bool {
	for _, pattern := range []string{"sys/block/sd*", "sys/block/nvme*", "sys/block/vd*", "sys/block/mmcblk*", "sys/block/xvd*"} {
		for _, name := range t.glob(pattern) {
			if t.line(name, "removable") != "1" {
				return true
			}
		}
	}
	for _, path := range t.glob("sys/bus/*/devices/*/modalias") {
		alias := t.line(path)
		for _, part := range diskAliases {
			if strings.Contains(alias, part) {
				return true
			}
		}
		if strings.HasPrefix(alias, "of:") && strings.Contains(alias, "mmc") {
			return true // boards with a device tree
		}
	}
	return false
}
