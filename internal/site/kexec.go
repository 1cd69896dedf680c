package site

import (
	"fmt"
	"slices"
	"strings"

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
		if seems := identify(file.head); seems.do != "" {
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

func checkInitrd(c *checker, file systemFile, t text) {
	if _, err := readKernelHeader(file.head); err == nil {
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
