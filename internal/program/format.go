package program

import "bytes"

// Format is what a file is.
type Format struct {
	// What names it, and Do says what to do where another was wanted; it may be empty.
	What, Do string
	// Broken files are good for nothing.
	Broken bool
}

const uncompress = "uncompress it first, and name the result"

var (
	webPage = Format{"a web page, perhaps of a failed download", "download the file again", true}
	// formats tell files by what they have at an offset; the first that fits counts.
	formats = []struct {
		at    int
		magic string
		Format
	}{
		{0, "version https://git-lfs", Format{"a Git LFS pointer, not the file itself", "fetch the file: git lfs pull", true}},
		{0, "<!DOCTYPE", webPage},
		{0, "<!doctype", webPage},
		{0, "<html", webPage},
		{0, "\x7fELF", Format{What: "an ELF program (vmlinux?)", Do: "name the bzImage of the same build: arch/x86/boot/bzImage"}},
		{4, "zimg", Format{What: "a compressed EFI kernel (EFI zboot)", Do: "name the uncompressed Image of the same build"}},
		{0, "\x1f\x8b", Format{What: "compressed by gzip", Do: uncompress}},
		{0, "\xfd7zXZ\x00", Format{What: "compressed by xz", Do: uncompress}},
		{0, "\x28\xb5\x2f\xfd", Format{What: "compressed by zstd", Do: uncompress}},
		{0, "\x02\x21\x4c\x18", Format{What: "compressed by lz4", Do: uncompress}},
		{0, "\x04\x22\x4d\x18", Format{What: "compressed by lz4", Do: uncompress}},
		{0, "BZh", Format{What: "compressed by bzip2", Do: uncompress}},
		{0, "070701", Format{What: "a cpio archive (an initramfs?)"}},
		{0, "hsqs", Format{What: "a squashfs image"}},
		{0, "PK\x03\x04", Format{What: "a ZIP archive"}},
		{0, "!<arch>\ndebian", Format{What: "a Debian package", Do: "unpack it (dpkg-deb -x) and name the vmlinuz in its boot/"}},
		{0, "\xed\xab\xee\xdb", Format{What: "an RPM package", Do: "unpack it and name the vmlinuz in it"}},
		{0, "QFI\xfb", Format{What: "a QCOW2 disk image"}},
		{0, "KDMV", Format{What: "a VMDK disk image"}},
		{0, "%PDF-", Format{What: "a PDF document"}},
		{0, "#!", Format{What: "a script"}},
		{0, "dex\n", Format{What: "a program for Android"}},
		{0, "\xca\xfe\xba\xbe", Format{What: "a Java class or a program for macOS"}},
		{0, "\xcf\xfa\xed\xfe", Format{What: "a program for macOS"}},
		{257, "ustar", Format{What: "a tar archive", Do: "unpack it and name the kernel in it"}},
		{0x8001, "CD001", Format{What: "an ISO 9660 image", Do: "copy kernel and initrd out of it"}},
		{0x202, "HdrS", Format{What: "a Linux kernel"}},
		{0, "MZ", Format{What: "an EFI program (a unified kernel image or boot loader?)"}},
		{0x1fe, "\x55\xaa", Format{What: "a disk image or boot sector"}},
	}
)

// HeadSize is how many bytes of a file [Identify] looks at: up to the volume descriptor of an ISO 9660 image.
const HeadSize = 0x8010

// Identify says what a file that begins with head is.
func Identify(head []byte) Format {
	if len(head) == 0 {
		return Format{"empty", "copy it here again", true}
	}
	for _, f := range formats {
		if len(head) >= f.at && bytes.HasPrefix(head[f.at:], []byte(f.magic)) {
			return f.Format
		}
	}
	return Format{What: "something unknown"}
}
