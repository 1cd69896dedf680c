package root

import (
	"cmp"
	"errors"
	"fmt"
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

// explain says why a mount failed: what the kernel logged meanwhile, and what to do.
func explain(m mount, err error, logged []string) error {
	if !m.loop {
		return fmt.Errorf("mount %s on %s: %w%s", cmp.Or(m.fs, m.source), m.target, err, said(logged, m.fs))
	}
	name := filepath.Base(m.source)
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
