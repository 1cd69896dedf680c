package local

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// kind is what is on a partition.
type kind struct {
	// name is the kernel's name of a file system; empty: nothing is known of it.
	name string
	// mounts says that it is one in which systems are looked for; of another, means says what it is, as the rest of a sentence about the
	// partition.
	mounts bool
	means  string
	// closed says that a Linux system may be in it, and can't be read here.
	closed bool
}

// magics are what partitions begin with: at an offset in bytes there are some bytes. Half of a mirror (RAID 1 of Linux) whose data is at the
// end begins with its file system, and is read as any other.
var magics = []struct {
	at    int64
	magic string
	kind  kind
}{
	{0, "LUKS\xba\xbe", kind{name: "LUKS", closed: true, means: "is encrypted (LUKS), so what is on it can't be read here; started by the firmware, its boot loader asks for the passphrase"}},
	{3, "-FVE-FS-", kind{name: "BitLocker", means: "is encrypted (BitLocker), as Windows does; the firmware starts that"}},
	{3, "NTFS    ", kind{name: "ntfs", means: "has a file system of Windows (NTFS); the firmware starts that"}},
	{512, "LABELONE", kind{name: "LVM2", closed: true, means: "belongs to a volume group (LVM), which is not put together here; the firmware's boot loader does"}},
	{1080, "\x53\xef", kind{name: "ext4", mounts: true}},
	{0, "XFSB", kind{name: "xfs", mounts: true}},
	{0x10040, "_BHRfS_M", kind{name: "btrfs", mounts: true}},
	{1024, "\x10\x20\xf5\xf2", kind{name: "f2fs", closed: true, means: "has a file system that is not read here (F2FS)"}},
	{4096, "\xfc\x4e\x2b\xa9", kind{name: "raid", closed: true, means: "belongs to an array of disks (RAID of Linux), which is not put together here; the firmware's boot loader does"}},
	{0x36, "FAT", kind{name: "vfat", mounts: true}},
	{0x52, "FAT32", kind{name: "vfat", mounts: true}},
	{4086, "SWAPSPACE2", kind{name: "swap"}},
}

// head is as much of a partition as has these bytes.
const head = 0x10048

// identify finds out what is on a partition.
func identify(path string) (kind, error) {
	f, err := os.Open(path)
	if err != nil {
		return kind{}, err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return kind{}, err
	}
	return identifyIn(f, size)
}

func identifyIn(r io.ReaderAt, size int64) (kind, error) {
	b := make([]byte, min(head, size))
	if _, err := io.ReadFull(io.NewSectionReader(r, 0, size), b); err != nil {
		return kind{}, err
	}
	for _, m := range magics {
		if end := m.at + int64(len(m.magic)); end <= int64(len(b)) && bytes.Equal(b[m.at:end], []byte(m.magic)) {
			return m.kind, nil
		}
	}
	return kind{}, nil
}

// mount mounts a file system read-only, without replaying its journal, at a folder that it makes.
func mount(device, at, fs string) (unmount func(), err error) {
	// What a journal has for the file system is left in it: a disk that was not shut down well is read as it is.
	options := map[string]string{"ext4": "noload", "xfs": "norecovery", "btrfs": "rescue=nologreplay,subvolid=5", "vfat": ""}[fs]
	if err := os.MkdirAll(at, 0o755); err != nil {
		return nil, err
	}
	flags := uintptr(unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC)
	if err := unix.Mount(device, at, fs, flags, options); err != nil {
		if errors.Is(err, unix.ENODEV) {
			err = fmt.Errorf("this node has no driver for the file system (%w)", err)
		}
		return nil, err
	}
	return func() {
		_ = unix.Unmount(at, unix.MNT_DETACH) // a file may still be open
		_ = os.Remove(at)
	}, nil
}
