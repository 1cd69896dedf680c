package site

import (
	"fmt"
	"path"
	"strings"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/qemuargs"
	"github.com/boottorrent/boottorrent/internal/qemuruntime"
)

// qemu reads guest, args and display: a virtual machine that the node runs.
type qemu struct {
	// pc says that the guest is a PC by the method's name.
	pc bool
}

func (x qemu) read(m *mapping, f *folder, nodes text) (catalog.Launch, []string) {
	q := catalog.QEMU{Guest: x.guest(m, nodes)}
	q.Runtime = qemuruntime.For(arch.Arch(q.Guest))
	if m.has("display") {
		q.Display = m.oneOf("display", "", catalog.DisplayScreen, catalog.DisplaySerial, catalog.DisplayVNC)
	}
	if q.Display == catalog.DisplayVNC {
		m.check.vnc = append(m.check.vnc, m.place("display"))
	}
	q.Args = m.words("args")
	if at := m.place("args"); len(q.Args) == 0 && !m.check.hasProblemAt(at) {
		m.check.problem(at, "args is missing or empty", "write what QEMU is to start: args: -cdrom disc.iso")
	} else {
		checkQEMU(m.check, f, at, q.Args)
		checkMachine(m.check, at, qemuargs.Parse(q.Args), arch.Arch(q.Guest))
	}
	return catalog.Launch{Method: catalog.MethodQEMU, QEMU: &q, After: readAfter(m)}, f.all(m.check)
}

// guest is the architecture of the guest: that of the nodes, if it isn't said. It is empty for a PC.
func (x qemu) guest(m *mapping, nodes text) string {
	usual := nodes.value
	if usual == "" || x.pc {
		usual = string(arch.AMD64)
	}
	if guest := m.oneOf("guest", usual, arches...); guest != string(arch.AMD64) {
		return guest
	}
	return ""
}

// checkMachine reports a machine type of another architecture than the guest's.
func checkMachine(c *checker, at place, opts qemuargs.Options, guest arch.Arch) {
	machine := opts.Machine()
	switch {
	case machine == "":
	case guest == arch.ARM64 && opts.PC():
		c.problem(at, fmt.Sprintf("args: %s is a PC, and the guest is arm64", machine), "write guest: amd64, or -machine virt")
	case guest != arch.ARM64 && opts.Virt():
		c.problem(at, fmt.Sprintf("args: %s is a machine for arm64, and the guest is amd64", machine), "write guest: arm64 as a key of its own")
	}
}

// checkQEMU reports arguments that can't work on a node, and files that are not there.
func checkQEMU(c *checker, f *folder, at place, args []string) {
	opts := qemuargs.Parse(args)
	for _, o := range opts {
		if c.original && toleratedOfOriginal(c, at, o) {
			continue
		}
		if do := o.Refused(); do != "" {
			shown := "-" + o.Name
			if o.Name == "display" || o.OnStdio() { // where the value matters
				shown = o.String()
			}
			c.problem(at, fmt.Sprintf("args: %s can't be used on a node", shown), do)
			continue
		}
		if what, do := o.Gone(); what != "" {
			c.problem(at, "args: "+what, do)
		}
	}
	for _, file := range opts.Files() {
		checkQEMUFile(c, f, at, file)
	}
}

// toleratedOfOriginal reports whether an argument that new sites may not have is taken in one of the original, which is served as it
// is: nodes leave out what there is no desktop for (initramfs/launch, arguments.go), and know -nographic.
func toleratedOfOriginal(c *checker, at place, o qemuargs.Option) bool {
	switch {
	case o.Name == "nographic", o.Name == "display" && strings.HasPrefix(o.Value, "none"):
	case qemuargs.WantsWindow(o), o.Name == "daemonize":
		c.warning(at, fmt.Sprintf("args: %s has no effect on a node", o), "it can stay: the guest's screen is the node's")
	case o.OnStdio():
		c.warning(at, fmt.Sprintf("args: on a node with a screen, what %s shows is in the node's log, and nobody can type there", o),
			"it can stay; with display: serial instead, the guest's serial line is shown in the screen's place")
	default:
		return false
	}
	return true
}

// checkQEMUFile reports a file that is not in the folder, and a disk image that refers to one.
func checkQEMUFile(c *checker, f *folder, at place, file qemuargs.File) {
	if strings.Contains(file.Name, "{{") {
		return // it is known on the node only
	}
	if file.Name == "" || strings.HasPrefix(file.Name, "-") {
		c.problem(at, fmt.Sprintf("args: %s is not followed by a file", file.Option), "name a file in "+f.shown)
		return
	}
	names := []string{file.Name}
	if file.Image {
		names = qemuargs.Local(file.Name) // what has a protocol (nbd:, http:, fat:) is QEMU's own business
	}
	for _, name := range names {
		if file.Builtin && path.Base(name) == name && !f.exists(name) {
			continue // QEMU has firmware of its own by that name, perhaps; it is asked
		}
		if file.Folder {
			f.folderNamed(c, at, file.Option, name)
			continue
		}
		if found, ok := f.file(c, "args: "+file.Option, text{at, name}); ok && file.Image && !found.absent {
			f.checkImage(c, at, found.path)
		}
	}
}

// folderNamed reports a folder that guests are to see and that is not in the system's.
func (f *folder) folderNamed(c *checker, at place, option, name string) {
	if info, err := f.root.Stat(path.Clean(name)); err != nil || !info.IsDir() {
		c.problem(at, fmt.Sprintf("args: %s %s is no folder in %s", option, name, f.shown), "copy it there, and name it relative to that")
	}
}

// checkImage reports a disk image that refers to a file which nodes don't get.
func (f *folder) checkImage(c *checker, at place, image string) {
	missing, err := qemuargs.Chain(f.root.FS(), image)
	if err != nil {
		c.problem(at, fmt.Sprintf("args: the disk image %v", err), "copy it here again, or see: qemu-img info "+image)
	}
	for _, m := range missing {
		what, do := "refers to the file", "copy that beside it"
		if m.Backing {
			what = "stands on the backing file"
			do = fmt.Sprintf("copy that into %s and name it in the image: qemu-img rebase -u -F FORMAT -b NAME %s; or make one of both: qemu-img convert -O qcow2 %s NEW",
				f.shown, m.Image, m.Image)
		}
		c.problem(at, fmt.Sprintf("args: the disk image %s %s %s, which is not in the system's folder", m.Image, what, m.Name), do)
	}
}
