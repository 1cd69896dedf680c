package root

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/initramfs/kmsg"
)

// kernelLog is what the kernel logs from a moment on; nil knows nothing.
type kernelLog struct{ reader *kmsg.Reader }

func openKernelLog() *kernelLog {
	r, err := kmsg.OpenReader()
	if err != nil {
		return nil
	}
	if err := r.SkipToEnd(); err != nil {
		r.Close()
		return nil
	}
	return &kernelLog{r}
}

func (l *kernelLog) close() {
	if l != nil {
		l.reader.Close()
	}
}

// lines are those that have come, without their times.
func (l *kernelLog) lines() []string {
	if l == nil {
		return nil
	}
	if err := l.reader.SetDeadline(time.Now()); err != nil {
		return nil
	}
	var all []string
	for {
		lines, err := l.reader.Lines()
		if err != nil {
			return all
		}
		for _, line := range lines {
			_, text, _ := strings.Cut(line, "] ")
			all = append(all, text)
		}
	}
}

// explain says why a mount failed: what the image's own header tells, what the kernel logged meanwhile, and what to do.
func explain(m mount, err error, logged []string) error {
	if !m.loop {
		return fmt.Errorf("mount %s on %s: %w%s", cmp.Or(m.fs, m.source), m.target, err, said(logged, m.fs))
	}
	name := filepath.Base(m.source)
	if reason := cutOff(m); reason != "" {
		return fmt.Errorf("the image %s is cut off: %s; put it into the system's folder again (%w)", name, reason, err)
	}
	switch {
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EIO), errors.Is(err, unix.EBADMSG), errors.Is(err, unix.EUCLEAN), errors.Is(err, unix.ENOENT):
		return fmt.Errorf("the kernel can't mount the image %s as %s: %w%s; it is damaged, not %s, or made with what this kernel doesn't know "+
			"(a compression, a feature): make it again, or give the system a newer kernel", name, m.fs, err, said(logged, m.fs), m.fs)
	}
	return fmt.Errorf("mount the image %s as %s: %w%s", name, m.fs, err, said(logged, m.fs))
}

// said quotes what the kernel logged of a file system, or of a device that is read.
func said(logged []string, about string) string {
	var lines []string
	for _, line := range logged {
		lower := strings.ToLower(line)
		if strings.Contains(lower, about) || strings.Contains(lower, "loop") {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return ""
	}
	return fmt.Sprintf(" (the kernel: %s)", strings.Join(lines[:min(len(lines), 3)], "; "))
}

// cutOff says how much of an image is missing, by the size that its header has; empty: nothing.
func cutOff(m mount) string {
	f, err := os.Open(m.source)
	if err != nil {
		return ""
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	head := make([]byte, 2048)
	n, _ := f.ReadAt(head, 0) // of a short file what there is
	if size := imageSize(m.fs, head[:n]); size > uint64(info.Size()) {
		return fmt.Sprintf("it has %d bytes, and by its header it should have %d", info.Size(), size)
	}
	return ""
}

// imageSize is how many bytes an image has by its header, whose beginning head is; 0: it doesn't say. Where that stands: squashfs_fs.h
// (bytes_used), erofs_fs.h (blocks, blkszbits) and ext4.h (s_blocks_count, s_log_block_size) of Linux.
func imageSize(fs string, head []byte) uint64 {
	if len(head) < 2048 {
		return 0
	}
	le := binary.LittleEndian
	super := head[1024:]
	switch fs {
	case "squashfs":
		if le.Uint32(head) == 0x73717368 {
			return le.Uint64(head[40:])
		}
	case "erofs":
		if bits := super[12]; le.Uint32(super) == 0xe0f5e1e2 && bits < 32 {
			return uint64(le.Uint32(super[36:])) << bits
		}
	case "ext4":
		if log := le.Uint32(super[24:]); le.Uint16(super[56:]) == 0xef53 && log < 20 {
			blocks := uint64(le.Uint32(super[4:]))
			if le.Uint32(super[96:])&0x80 != 0 { // INCOMPAT_64BIT
				blocks |= uint64(le.Uint32(super[336:])) << 32
			}
			return blocks << (10 + log)
		}
	}
	return 0
}
