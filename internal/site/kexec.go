package site

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/authenticode"
	"github.com/boottorrent/boottorrent/internal/bzimage"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/image"
	"github.com/boottorrent/boottorrent/internal/initrd"
	"github.com/boottorrent/boottorrent/internal/program"
	"github.com/boottorrent/boottorrent/internal/secureboot"
)

// kexec reads kernel, initrd and cmdline.
type kexec struct{}

func (kexec) read(m *mapping, f *folder, arch text) (catalog.Launch, []string) {
	var k catalog.Kexec
	var files []string
	limit, release := catalog.MaxCmdline, ""
	var before initrd.Ends
	if t, ok := m.required("kernel", "name the kernel's file, relative to this folder: kernel: vmlinuz"); ok {
		if file, ok := f.file(m.check, "kernel", t); ok {
			k.Kernel, files = file.path, append(files, file.path)
			limit, release = f.checkKernel(m.check, file, t, arch)
			k.Signed = f.signed(file)
		}
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
		ends := f.checkInitrd(m.check, file, t)
		if len(k.Initrd) > 0 && initrd.Lost(before, ends) && bzimage.Older(release, 5, 14) {
			m.check.warning(t.place, fmt.Sprintf("Linux %s may not find initrd %s: before 5.14 an initrd compressed by lz4 hides what follows it", release, file.path),
				"compress this one with lz4 -l too, or the one before with gzip, or name them in another order")
		}
		before = ends
		k.Initrd, files = append(k.Initrd, file.path), append(files, file.path)
	}
	k.Cmdline = readCmdline(m, limit)
	return catalog.Launch{Method: catalog.MethodKexec, Kexec: &k}, files
}

// checkKernel reports a file that kexec_file_load(2) will not take, and returns how long its command line may be, and which
// release it is if it says so.
func (f *folder) checkKernel(c *checker, file systemFile, t, arch text) (limit int, release string) {
	if file.absent {
		return catalog.MaxCmdline, ""
	}
	header, err := bzimage.Parse(file.head)
	if err != nil {
		seems := program.Identify(file.head)
		do := cmp.Or(seems.Do, "name a Linux kernel here, as in a distribution's /boot (vmlinuz, bzImage; for arm64: Image)")
		if initrd.Seems(file.path, file.head) && !seems.Broken {
			do = "is this the initrd? Name it with initrd:, and with kernel: the kernel that belongs to it (vmlinuz, linux)"
		}
		c.problem(t.place, fmt.Sprintf("%s is no Linux kernel: it is %s", file.path, seems.What), do)
		return catalog.MaxCmdline, ""
	}
	if err := header.Kexec(); err != nil {
		c.problem(t.place, fmt.Sprintf("%s is no kernel for kexec: %v", file.path, err), "name a 64-bit kernel of Linux 3.8 or newer, as in a distribution's /boot (vmlinuz, bzImage)")
		return kexecCmdline(header), ""
	}
	if arch.value != "" && header.Arch != arch.value {
		c.problem(arch.place, fmt.Sprintf("arch is %s, but %s is a kernel for %s", arch.value, file.path, header.Arch),
			fmt.Sprintf("write arch: %s, or name another kernel", header.Arch))
	}
	if kernel, err := f.root.Open(file.path); err == nil {
		release = header.Release(kernel)
		kernel.Close()
	}
	return kexecCmdline(header), release
}

// signed says who signed a kernel; nil where it can't be read, or is no file that can be signed.
func (f *folder) signed(file systemFile) (signed *secureboot.File) {
	if file.absent {
		return nil
	}
	err := f.inspect(file, func(r io.ReaderAt, size int64) (err error) { signed, err = authenticode.Read(r, size); return err })
	if errors.Is(err, authenticode.ErrNotPE) {
		return &secureboot.File{} // kexec finds no signature in it either
	}
	if err != nil {
		return nil // whoever reads the whole file says so
	}
	return signed
}

// kexecCmdline is how long the command line may be, in bytes, that kexec starts a kernel with.
func kexecCmdline(header bzimage.Header) int {
	return max(0, min(header.MaxCmdline-catalog.KexecCmdline, catalog.MaxCmdline))
}

// checkInitrd reports a file that no kernel takes for an initrd.
func (f *folder) checkInitrd(c *checker, file systemFile, t text) initrd.Ends {
	if file.absent {
		return initrd.Ends{}
	}
	bad := func(what, do string) { c.problem(t.place, fmt.Sprintf("initrd %s %s", file.path, what), do) }
	if _, err := bzimage.Parse(file.head); err == nil {
		bad("is a Linux kernel", "perhaps kernel and initrd are exchanged; name the initramfs here")
		return initrd.Ends{}
	}
	if seems := program.Identify(file.head); seems.Broken {
		bad("is "+seems.What, seems.Do)
		return initrd.Ends{}
	}
	if initrd.FrameFormat(file.head) {
		bad("is compressed in lz4's usual format, which kernels don't unpack", "compress it with lz4 -l")
		return initrd.Ends{}
	}
	r, err := f.root.Open(file.path)
	if err != nil {
		return initrd.Ends{} // whoever reads the whole file says so
	}
	defer r.Close()
	info, err := r.Stat()
	if err != nil {
		return initrd.Ends{}
	}
	ends, err := initrd.Read(r, info.Size())
	if err != nil {
		bad(fmt.Sprintf("can't be read (%v)", cause(err)), "copy the file again")
	}
	return ends
}

func readCmdline(m *mapping, limit int) string {
	t := m.text("cmdline", "")
	t.value = strings.TrimSpace(t.value)
	if !checkLine(m, "cmdline", t, limit) {
		return ""
	}
	if _, err := catalog.Expand(t.value, nil); err != nil {
		what, do, _ := strings.Cut(err.Error(), "; ")
		m.check.problem(t.place, m.path+"cmdline: "+what, do)
	}
	if misread := (*image.CmdlineError)(nil); errors.As(image.CheckQuotes(t.value), &misread) {
		m.check.warning(t.place, m.path+"cmdline: "+misread.What, misread.Do)
	}
	if n := catalog.Longest(t.value); n > limit {
		m.check.problem(t.place, fmt.Sprintf("%scmdline may have %d bytes when its placeholders are filled in, and the kernel takes %d", m.path, n, limit), "shorten it")
	}
	return t.value
}
