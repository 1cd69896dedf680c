package site

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/qemuruntime"
)

// qemu reads args and display: a virtual machine that the node runs.
type qemu struct{}

func (qemu) read(m *mapping, f *folder, _ text) (catalog.Launch, []string) {
	q := catalog.QEMU{Runtime: qemuruntime.Name}
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
	}
	return catalog.Launch{Method: catalog.MethodQEMU, QEMU: &q, After: readAfter(m)}, f.all(m.check)
}

// Options of qemu-system-x86_64 (its manual page, version 7.2) whose value is a file.
var fileOptions = []string{"-cdrom", "-fda", "-fdb", "-hda", "-hdb", "-hdc", "-hdd", "-kernel", "-initrd", "-dtb", "-bios",
	"-pflash", "-mtdblock", "-sd"}

// fileKeys are the keys of other options whose value is a file.
var fileKeys = map[string][]string{
	"-drive": {"file"}, "-blockdev": {"filename", "file.filename"}, "-acpitable": {"file"}, "-smbios": {"file"},
}

// refused are options that would take the guest from the node's control, or can't work there, and what to do instead.
var refused = map[string]string{
	"-daemonize": "leave it out: the node waits for QEMU", "-nographic": "write display: serial", "-curses": "write display: serial",
	"-sdl": "leave it out: the guest's screen is on the node's", "-spice": "write display: vnc", "-vnc": "write display: vnc",
	"-full-screen": "leave it out: the guest's screen fills the node's as it is", "-S": "leave it out: nobody would start the guest",
	"-incoming": "leave it out: nothing comes in", "-runas": "leave it out: a node has one user", "-chroot": "leave it out",
	"-qmp": "leave it out: the node has one of its own", "-pidfile": "leave it out", "-sandbox": "leave it out",
	"-L": "leave it out: firmware is in the runtime; other firmware is named by -bios", "-readconfig": "write its content as args",
}

// onStdio are options that can be connected to standard input and output, which a node has none of for a guest.
var onStdio = []string{"-serial", "-monitor", "-mon", "-chardev", "-parallel", "-debugcon", "-virtioconsole", "-qmp-pretty"}

// checkQEMU reports arguments that can't work on a node, and files that are not there.
func checkQEMU(c *checker, f *folder, at place, args []string) {
	for i, arg := range args {
		option := arg
		if strings.HasPrefix(arg, "--") {
			option = arg[1:] // as QEMU takes it
		}
		value := ""
		if i+1 < len(args) {
			value = args[i+1]
		}
		if c.original && toleratedOfOriginal(c, at, option, value) {
			continue
		}
		if do, no := refused[option]; no {
			c.problem(at, fmt.Sprintf("args: %s can't be used on a node", arg), do)
			continue
		}
		switch {
		case option == "-display":
			c.problem(at, fmt.Sprintf("args: -display %s can't be used on a node", value), "leave it out, or write display: screen, serial or vnc as a key of its own")
		case slices.Contains(onStdio, option) && strings.Contains(value, "stdio"):
			c.problem(at, fmt.Sprintf("args: %s %s can't be used on a node", arg, value), "leave it out, or write display: serial")
		case slices.Contains(fileOptions, option):
			checkQEMUFile(c, f, at, arg, value)
		case fileKeys[option] != nil:
			for part := range strings.SplitSeq(value, ",") {
				key, name, _ := strings.Cut(part, "=")
				if slices.Contains(fileKeys[option], key) {
					checkQEMUFile(c, f, at, arg+" "+key+"=", name)
				}
			}
		}
	}
}

// windows are the kinds of -display that are a window on a desktop.
var windows = []string{"gtk", "sdl", "curses", "spice-app", "dbus", "egl-headless", "default"}

// toleratedOfOriginal reports whether an argument that new sites may not have is taken in one of the original, which is served as it
// is: nodes leave out what there is no desktop for (initramfs/launch, arguments.go), and know -nographic.
func toleratedOfOriginal(c *checker, at place, option, value string) bool {
	kind, _, _ := strings.Cut(value, ",")
	switch {
	case option == "-nographic", option == "-display" && kind == "none":
	case option == "-display" && slices.Contains(windows, kind):
		c.warning(at, fmt.Sprintf("args: -display %s has no effect on a node", value), "it can stay: the guest's screen is the node's")
	case slices.Contains([]string{"-sdl", "-curses", "-full-screen", "-daemonize"}, option):
		c.warning(at, fmt.Sprintf("args: %s has no effect on a node", option), "it can stay: the guest's screen is the node's")
	case slices.Contains(onStdio, option) && strings.Contains(value, "stdio"):
		c.warning(at, fmt.Sprintf("args: on a node with a screen, what %s %s shows is in the node's log, and nobody can type there", option, value),
			"it can stay; with display: serial instead, the guest's serial line is shown in the screen's place")
	default:
		return false
	}
	return true
}

// checkQEMUFile reports a file that is not in the folder. What has a protocol (nbd:, http:, fat:) is QEMU's own business.
func checkQEMUFile(c *checker, f *folder, at place, option, name string) {
	switch prefix, _, _ := strings.Cut(name, ":"); {
	case strings.Contains(name, "{{"):
		return
	case name == "" || strings.HasPrefix(name, "-"):
		c.problem(at, fmt.Sprintf("args: %s is not followed by a file", option), "name a file in "+f.shown)
		return
	case prefix != name && !strings.Contains(prefix, "/"):
		return
	case path.Base(path.Clean(name)) == path.Clean(name) && strings.HasSuffix(option, "bios") && !f.exists(name):
		return // QEMU has firmware of its own by that name, perhaps
	}
	f.file(c, "args: "+strings.TrimSuffix(option, "="), text{at, name})
}
