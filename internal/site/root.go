package site

import (
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/bzimage"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/modarchive"
	"github.com/boottorrent/boottorrent/internal/program"
	"github.com/boottorrent/boottorrent/internal/rootimage"
	"github.com/boottorrent/boottorrent/internal/self"
)

// root reads root, kernel, modules, cmdline, init, writable and writable_limit: Linux from images of its root file system.
type root struct{}

func (root) read(m *mapping, f *folder, arch text) (catalog.Launch, []string) {
	r := catalog.Root{Init: readInit(m)}
	r.Writable = m.oneOf("writable", catalog.WritableRAM, catalog.WritableRAM, catalog.WritableNone)
	r.WritableLimit = m.share("writable_limit")
	if m.has("writable_limit") && r.Writable == catalog.WritableNone {
		m.check.problem(m.place("writable_limit"), "writable_limit says how much may be written, and writable: none that nothing may", "remove one of the two")
	}
	images, files := f.readImages(m)
	r.Images = images
	boot, limit := f.readBoot(m, arch, r)
	r.Boot = boot
	r.Cmdline = readCmdline(m, min(limit, catalog.MaxRootCmdline))
	return catalog.Launch{Method: catalog.MethodRoot, Root: &r}, files
}

// readInit reads the path of the first program, which is in an image and can't be looked for here.
func readInit(m *mapping) string {
	t := m.text("init", "/sbin/init")
	if !checkLine(m, "init", t, catalog.MaxPath) {
		return t.value
	}
	if clean := path.Clean("/" + t.value); clean != t.value || clean == "/" {
		do := "write the path of a program in the root file system, from its / on: /sbin/init"
		if clean != "/" {
			do = "write init: " + clean
		}
		m.check.problem(t.place, fmt.Sprintf("init %q is not an absolute path", t.value), do)
	}
	return t.value
}

// readImages reads the layers of the root file system, lowest first, and returns the files they are in as well.
func (f *folder) readImages(m *mapping) (images []catalog.RootImage, files []string) {
	layers := m.oneOrMore("root")
	if at := m.place("root"); len(layers) == 0 && !m.check.hasProblemAt(at) {
		m.check.problem(at, "root is missing or empty", "name the image of the root file system, relative to this folder: root: root.squashfs; or a list of layers, the lowest first")
	}
	for _, t := range layers {
		file, ok := f.file(m.check, "root", t)
		if !ok {
			continue
		}
		if slices.Contains(files, file.path) {
			m.check.problem(t.place, fmt.Sprintf("%s is named twice", file.path), "remove one")
			continue
		}
		i := f.checkRootImage(m.check, file, t, !m.has("kernel") && !m.has("modules"))
		images, files = append(images, catalog.RootImage{Path: file.path, FS: i.FS}), append(files, file.path)
	}
	return images, files
}

// checkRootImage reports a file that no node can mount; phase1 says that it will be mounted under phase 1's own kernel.
func (f *folder) checkRootImage(c *checker, file systemFile, t text, phase1 bool) rootimage.Image {
	if file.absent {
		return rootimage.Image{}
	}
	bad := func(what, do string) { c.problem(t.place, fmt.Sprintf("root %s: %s", file.path, what), do) }
	var i rootimage.Image
	err := f.inspect(file, func(r io.ReaderAt, size int64) (err error) { i, err = rootimage.Read(r, size); return err })
	var truncated *rootimage.TruncatedError
	switch {
	case errors.Is(err, rootimage.ErrUnknown):
		seems := program.Identify(file.head)
		do := seems.Do
		if !seems.Broken {
			do = "name a squashfs, erofs or ext4 image of a root file system; '" + self.Mkimage() + " import' makes one of a live ISO, a container image, a tar archive or a folder"
		}
		bad("it is no image that nodes mount, but "+seems.What, do)
	case errors.As(err, &truncated):
		bad(err.Error(), "copy or download the file again")
	case err != nil:
		what, do, _ := strings.Cut(cause(err).Error(), "; ")
		if do == "" {
			do = "copy the file again"
		}
		bad(what, do)
	case i.Devices > 0:
		bad(fmt.Sprintf("it is an erofs image whose data is in %d other files", i.Devices), "make it again without --blobdev")
	case i.FS == rootimage.Ext4 && phase1:
		bad("it is an ext4 image, and the kernel of phase 1 has no ext4",
			"name a kernel and its modules with kernel: and modules:, or make it a squashfs: mount it and run mksquashfs on what is in it")
	case i.Unclean:
		c.warning(t.place, fmt.Sprintf("root %s: its file system was not unmounted, and what is in its journal only is lost", file.path),
			"run: e2fsck -fy "+file.path)
	}
	f.warnOfCompression(c, file, t, i)
	return i
}

// unpacked are the algorithms that Debian's kernels unpack (CONFIG_SQUASHFS_*, CONFIG_EROFS_FS_ZIP* of Debian 12).
var unpacked = map[string][]string{
	rootimage.Squashfs: {"gzip", "lzo", "xz", "lz4", "zstd"},
	rootimage.Erofs:    {"lz4"},
}

// warnOfCompression warns of an image that is compressed in a way which Debian's kernels don't know.
func (f *folder) warnOfCompression(c *checker, file systemFile, t text, i rootimage.Image) {
	for _, algorithm := range i.Compression {
		if !slices.Contains(unpacked[i.FS], algorithm) {
			c.warning(t.place, fmt.Sprintf("root %s: it is compressed by %s, which Debian's kernels don't unpack from %s", file.path, algorithm, i.FS),
				"unless your kernel does, compress it by "+strings.Join(unpacked[i.FS], ", "))
		}
	}
}

// readBoot reads the kernel that the system wants to run under, and its modules; both or none. limit is how long that kernel's
// command line may be beside what nodes add to it.
func (f *folder) readBoot(m *mapping, arch text, r catalog.Root) (boot *catalog.RootBoot, limit int) {
	limit = catalog.MaxRootCmdline
	kernel, modules := m.text("kernel", ""), m.text("modules", "")
	switch {
	case !m.has("kernel") && !m.has("modules"):
		return nil, limit
	case !m.has("kernel"):
		m.check.problem(modules.place, "modules is given without kernel", "name the kernel that they belong to: kernel: vmlinuz; or remove modules to use phase 1's kernel")
	case !m.has("modules"):
		m.check.problem(kernel.place, "kernel is given without modules", "make an archive of its modules with '"+self.Mkimage()+" modules', and name it: modules: modules.img; or remove kernel to use phase 1's")
	}
	boot = &catalog.RootBoot{Part: catalog.BootPartName(f.name)}
	release := ""
	if file, ok := f.given(m, "kernel", kernel); ok {
		boot.Kernel, boot.Signed = file.path, f.signed(file)
		limit, release = f.checkKernel(m.check, file, kernel, arch)
		limit = max(0, limit-catalog.RootWords)
	}
	if file, ok := f.given(m, "modules", modules); ok {
		boot.Modules = file.path
		boot.Release = f.checkModules(m.check, file, modules, release, r)
	}
	return boot, limit
}

// given is the file of a key that may be absent.
func (f *folder) given(m *mapping, key string, t text) (systemFile, bool) {
	if !m.has(key) {
		return systemFile{}, false
	}
	return f.file(m.check, key, t)
}

// checkModules reports an archive that can't be read, that belongs to another kernel than the one of that release (empty: it
// doesn't say), or that lacks what the images need. It returns the release of the archive's kernel.
func (f *folder) checkModules(c *checker, file systemFile, t text, release string, r catalog.Root) string {
	if file.absent {
		return ""
	}
	var index *modarchive.Index
	if err := f.inspect(file, func(r io.ReaderAt, size int64) (err error) { index, err = modarchive.Read(r, size); return err }); err != nil {
		what, do, ok := strings.Cut(cause(err).Error(), "; ")
		if _, kernel := bzimage.Parse(file.head); kernel == nil {
			what, do, ok = "it is a Linux kernel", "perhaps kernel and modules are exchanged; name the archive of its modules here", true
		}
		if !ok {
			do = "make it again with '" + self.Mkimage() + " modules'"
		}
		c.problem(t.place, fmt.Sprintf("modules %s: %s", file.path, what), do)
		return ""
	}
	if release != "" && release != index.Release {
		c.problem(t.place, fmt.Sprintf("modules %s are those of Linux %s, and the kernel is Linux %s, which does not load them", file.path, index.Release, release),
			"name the modules of that kernel, or the kernel of these modules")
	}
	for _, need := range neededModules(r) {
		if !index.Has(need.module) {
			c.problem(t.place, fmt.Sprintf("modules %s has no %s, which nodes need for %s", file.path, need.module, need.what),
				"make the archive again with '"+self.Mkimage()+" modules', from a kernel that has this module")
		}
	}
	return index.Release
}

// neededModule is a module without which a root file system can't be mounted.
type neededModule struct{ module, what string }

func neededModules(r catalog.Root) []neededModule {
	needed := []neededModule{{"loop", "the images"}}
	for _, i := range r.Images {
		if i.FS != "" && !slices.ContainsFunc(needed, func(n neededModule) bool { return n.module == i.FS }) {
			needed = append(needed, neededModule{i.FS, i.Path})
		}
	}
	if r.Writable == catalog.WritableRAM || len(r.Images) > 1 {
		needed = append(needed, neededModule{"overlay", "layers, and for what the system writes"})
	}
	return needed
}

// bootPartTitle follows the name of a system in the title of its boot part.
const bootPartTitle = ": kernel and modules"

// BootPart is the boot part of a system that has a kernel of its own to be started under: another system to the store, whose files
// are in the same folder.
func (s *System) BootPart() (part System, ok bool) {
	r := s.Launch.Root
	if r == nil || r.Boot == nil {
		return part, false
	}
	title := s.Title + bootPartTitle
	if len(title) > catalog.MaxTitle {
		title = s.Name + bootPartTitle
	}
	return System{
		Name: r.Boot.Part, Dir: s.Dir, Title: title, Description: "Linux " + r.Boot.Release, Arch: s.Arch,
		Files: []string{r.Boot.Kernel, r.Boot.Modules}, From: s.From, Fetched: s.Fetched,
	}, true
}
