package site

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// maxCmdline is COMMAND_LINE_SIZE of x86 and arm64 kernels, in bytes with the zero at the end.
const maxCmdline = 2048

// kexec reads kernel, initrd and cmdline.
type kexec struct{}

func (kexec) read(m *mapping, f *folder, arch text) (catalog.Launch, []string) {
	var k catalog.Kexec
	var files []string
	limit := maxCmdline
	if t, ok := m.required("kernel", "name the kernel's file, relative to this folder: kernel: vmlinuz"); ok {
		if file, ok := f.file(m.check, "kernel", t); ok {
			k.Kernel, files = file.path, append(files, file.path)
			limit = checkKernel(m.check, file, t, arch)
		}
	}
	if m.check.original && !m.has("initrd") {
		m.check.problem(m.place("initrd"), "initrd is missing, without which the original starts no kernel",
			"name the initramfs, or let 'seeder migrate' write a "+ConfigFile+", with which initrd may be left out")
	}
	for _, t := range m.oneOrMore("initrd") {
		file, ok := f.file(m.check, "initrd", t)
		if !ok {
			continue
		}
		if slices.Contains(files, file.path) {
			m.check.problem(t.place, fmt.Sprintf("%s is named twice", file.path), "remove one")
			continue
		}
		checkInitrd(m.check, file, t)
		k.Initrd, files = append(k.Initrd, file.path), append(files, file.path)
	}
	k.Cmdline = readCmdline(m, limit)
	return catalog.Launch{Method: catalog.MethodKexec, Kexec: &k}, files
}

// checkKernel reports a file that kexec_file_load(2) will not take, and returns how long its command line may be.
func checkKernel(c *checker, file systemFile, t, arch text) int {
	image, err := readKernelHeader(file.head)
	if err != nil {
		what, do := err.Error(), "name a Linux kernel here, as in a distribution's /boot (vmlinuz, bzImage; for arm64: Image)"
		if isInitrd(file) {
			do = "is this the initrd? Name it with initrd:, and with kernel: the kernel that belongs to it (vmlinuz, linux)"
		} else if seems := identify(file.head); seems.do != "" {
			do = seems.do
		}
		c.problem(t.place, fmt.Sprintf("%s is no Linux kernel: %s", file.path, what), do)
		return maxCmdline
	}
	if arch.value != "" && image.arch != arch.value {
		c.problem(arch.place, fmt.Sprintf("arch is %s, but %s is a kernel for %s", arch.value, file.path, image.arch),
			fmt.Sprintf("write arch: %s, or name another kernel", image.arch))
	}
	return image.maxCmdline
}

// isInitrd reports whether a file seems to be an initramfs: it is a cpio archive, compressed or not, or has the name of one.
func isInitrd(file systemFile) bool {
	if identify(file.head).broken {
		return false
	}
	name := strings.ToLower(path.Base(file.path))
	return bytes.HasPrefix(uncompressed(file.head), []byte("07070")) || strings.HasPrefix(name, "init") || strings.HasPrefix(name, "uinit")
}

// uncompressed is the beginning of what head is compressed from by gzip or zstd; head itself if it is neither.
func uncompressed(head []byte) []byte {
	var r io.Reader = bytes.NewReader(head)
	if z, err := gzip.NewReader(bytes.NewReader(head)); err == nil {
		r = z
	} else if z, err := zstd.NewReader(bytes.NewReader(head), zstd.WithDecoderConcurrency(1)); err == nil && bytes.HasPrefix(head, []byte("\x28\xb5\x2f\xfd")) {
		defer z.Close()
		r = z
	}
	start := make([]byte, 512)
	n, _ := io.ReadFull(r, start) // head is cut off somewhere
	return start[:n]
}

func checkInitrd(c *checker, file systemFile, t text) {
	_, err := readKernelHeader(file.head)
	if err == nil || len(file.head) > bootMagicAt+4 && string(file.head[bootMagicAt:bootMagicAt+4]) == "HdrS" {
		c.problem(t.place, fmt.Sprintf("initrd %s is a Linux kernel", file.path), "perhaps kernel and initrd are exchanged; name the initramfs here")
		return
	}
	if seems := identify(file.head); seems.broken {
		c.problem(t.place, fmt.Sprintf("initrd %s is %s", file.path, seems.what), seems.do)
	}
}

func readCmdline(m *mapping, limit int) string {
	t := m.text("cmdline", "")
	t.value = strings.TrimSpace(t.value)
	// The kernel counts the zero byte at the end.
	if !checkLine(m, "cmdline", t, limit-1) {
		return ""
	}
	if _, err := catalog.Expand(t.value, nil); err != nil {
		what, do, _ := strings.Cut(err.Error(), "; ")
		m.check.problem(t.place, "cmdline: "+what, do)
	}
	return t.value
}
