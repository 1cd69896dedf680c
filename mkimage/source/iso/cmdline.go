package iso

import (
	"slices"
	"strings"
)

// initramfsOnly are the words, or the beginnings of KEY=, that only the initramfs of an ISO acts on: they say where the ISO is, and how
// it is mounted. Of live-boot(7), casper(7), dracut.cmdline(7) and archiso's hooks.
var initramfsOnly = struct{ words, keys []string }{
	words: []string{
		"ro", "rw", "toram", "persistent", "persistence", "noprompt", "nopersistence", "noeject", "showmounts", "exposedroot", "swap", "integrity-check",
		"rd.live.check", "rd.live.ram", "rd.live.debug", "copytoram", "nouuid", "cdrom-detect/try-usb=true", "---", "--", "cdrom=1", "ignore_uuid",
	},
	keys: []string{
		"root", "rootflags", "rootfstype", "rootdelay", "initrd", "BOOT_IMAGE", "vga", "file", "init", "inst.stage2",
		"findiso", "fromiso", "iso-scan/filename", "img_dev", "img_loop", "live-media", "live-media-path", "live-media-timeout", "live-media-offset",
		"module", "todisk", "bootfrom", "fetch", "ftpfs", "httpfs", "nfsboot", "netboot", "nfsroot", "union", "ramdisk-size", "layerfs-path", "uuid", "url",
		"persistence-path", "persistence-media", "persistence-method", "persistence-label", "persistent-path", "verify-checksums",
		"archisobasedir", "archisodevice", "archisolabel", "archisosearchuuid", "archisosearchfilename", "archiso_http_srv", "archiso_nfs_srv",
		"cow_spacesize", "cow_label", "cow_device", "cow_directory", "cow_persistent", "airootfs_size", "checksum", "verify",
		"rd.live.dir", "rd.live.squashimg", "rd.live.overlay", "rd.live.overlay.overlayfs", "rd.live.overlay.cowfs", "rd.live.overlay.size",
		"rd.live.overlay.persistent", "rd.kiwi.live.pxe",
	},
}

// cmdline is what of the boot entry's command line makes sense for the running system.
func (l *layout) cmdline() string {
	line := ""
	if len(l.entries) > 0 {
		line = keepWords(l.entries[0].Cmdline, func(key, value string, has bool) bool {
			whole := key
			if has {
				whole += "=" + value
			}
			return !strings.Contains(whole, "{{") && !strings.Contains(whole, "$") &&
				!slices.Contains(initramfsOnly.words, whole) && !slices.Contains(initramfsOnly.keys, key)
		})
	}
	for _, need := range slices.Backward(l.needs) {
		if !slices.Contains(words(line), need) && !slices.ContainsFunc(words(line), func(w string) bool { return strings.HasPrefix(w, need+"=") }) {
			line = strings.TrimSpace(need + " " + line)
		}
	}
	return line
}

// comment says where the command line is from.
func (l *layout) comment() string {
	if len(l.entries) == 0 {
		return l.why
	}
	return l.why + " The ISO's own: " + l.entries[0].Cmdline
}
