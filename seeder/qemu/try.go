package qemu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/qemuargs"
	"github.com/boottorrent/boottorrent/internal/qemuruntime"
	"github.com/boottorrent/boottorrent/internal/site"
)

// Limits of a trial. QEMU builds its machine in some 100 ms.
const (
	tryTime   = 20 * time.Second
	tryMemory = 8 << 20 // KiB of addresses, as ulimit -v counts
)

// examples stand for what is known on a node only.
var examples = map[string]string{
	"MAC": "52:54:00:00:00:01", "IP": "10.0.0.2", "Netmask": "255.255.255.0", "Gateway": "10.0.0.1", "DNS": "10.0.0.1", "Hostname": "node",
	"Interface": "eth0", "UUID": "00000000-0000-4000-8000-000000000000", "Seeder": "10.0.0.1", "HTTP": "http://10.0.0.1:8080/systems/x/y",
	"Console": "tty0",
}

// Try has this machine's QEMU build the machine that a system describes, without starting it, and returns why it refuses; nil: it
// doesn't, or it can't be asked: what depends on a node's hardware, or would write or wait here, is not tried. The guest has
// little memory, no KVM and no windows, and nothing is written to its images.
func (i *Installation) Try(ctx context.Context, sys site.System) error {
	words, ok := i.trial(sys)
	if !ok {
		return nil
	}
	dir, remove, err := folderOf(sys)
	if err != nil {
		return nil // it has no answer
	}
	defer remove()
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	script := fmt.Sprintf(`ulimit -v %d; exec "$0" "$@"`, tryMemory)
	cmd := exec.CommandContext(ctx, "/bin/sh", append([]string{"-c", script, i.Binary}, words...)...)
	cmd.Dir, cmd.Stdin, cmd.WaitDelay = dir, strings.NewReader("quit\n"), time.Second
	var said strings.Builder
	cmd.Stderr = &said
	err = cmd.Run()
	var exit *exec.ExitError
	if ctx.Err() != nil || !errors.As(err, &exit) || exit.ExitCode() < 0 {
		return nil // it has no answer
	}
	lines := strings.FieldsFunc(said.String(), func(r rune) bool { return r == '\n' || r == '\r' })
	lines = slices.DeleteFunc(lines, func(l string) bool { return strings.Contains(l, ": warning: ") })
	if len(lines) == 0 || slices.ContainsFunc(lines, hereOnly) {
		return nil
	}
	return errors.New(strings.TrimPrefix(lines[0], qemuruntime.Program(i.Guest)+": "))
}

// folderOf is a folder in which a system's files have their names, and what to call when it is no longer needed: its own, or one with links
// where files come from elsewhere.
func folderOf(sys site.System) (dir string, remove func(), err error) {
	if len(sys.From) == 0 {
		return sys.Dir, func() {}, nil
	}
	if dir, err = os.MkdirTemp("", "boottorrent-qemu-"); err != nil {
		return "", nil, err
	}
	remove = func() { os.RemoveAll(dir) }
	for _, name := range sys.Files {
		link := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(link), 0o755), os.Symlink(sys.Path(name), link)); err != nil {
			remove()
			return "", nil, err
		}
	}
	return dir, remove, nil
}

// hereOnly reports whether an error is about this machine rather than the arguments.
func hereOnly(line string) bool {
	for _, about := range []string{"forwarding rule", "Address already in use", "Cannot allocate memory", "Permission denied", "Failed to get \"write\" lock", "/dev/"} {
		if strings.Contains(line, about) {
			return true
		}
	}
	return false
}

// trial is the command line of a trial; not ok: there can't be one.
func (i *Installation) trial(sys site.System) (words []string, ok bool) {
	q := sys.Launch.QEMU
	vars := map[string]string{"System": sys.Name}
	for name, value := range examples {
		vars[name] = value
	}
	for _, w := range q.Args {
		expanded, err := catalog.Expand(w, vars)
		if err != nil {
			return nil, false
		}
		words = append(words, expanded)
	}
	opts, _ := qemuargs.Parse(words).WithoutKVM(i.Guest)
	if slices.ContainsFunc(opts, dependsOnMachine) || slices.ContainsFunc(opts.Files(), elsewhere) {
		return nil, false
	}
	memory := opts.Has("numa", "object", "mem-path") // whose sizes belong to that of -m
	opts, _ = opts.Without(func(o qemuargs.Option) bool {
		return leftOut(o) || o.Name == "m" && !memory && !strings.Contains(o.Value, "maxmem")
	})
	for n, o := range opts {
		if o.Name == "chardev" { // others name it
			id, _ := qemuargs.Property(o.Value, "id")
			opts[n].Value = "null,id=" + qemuargs.Escape(id)
		}
	}
	for n, o := range opts {
		if at := i.files[path.Join(qemuruntime.Share, o.Value)]; o.Name == "bios" && o.Value == qemuruntime.ARM64Firmware && at != "" {
			opts[n].Value = at
		}
	}
	words = append(opts.Words(), "-S", "-display", "none", "-monitor", "stdio", "-no-user-config", "-accel", "tcg,tb-size=16")
	if machine := qemuargs.UsualMachine(i.Guest); machine != "" && opts.Machine() == "" {
		words = append(words, "-machine", machine)
	}
	if !opts.Has("m") {
		words = append(words, "-m", "128")
	}
	if !opts.Has("snapshot", "loadvm") {
		words = append(words, "-snapshot")
	}
	return words, true
}

// leftOut says that an option has no part in whether there can be such a machine, or would write or wait here.
func leftOut(o qemuargs.Option) bool {
	return qemuargs.WantsWindow(o) || slices.Contains([]string{"display", "daemonize", "nographic", "S", "serial", "parallel", "debugcon", "monitor",
		"mon", "qmp", "qmp-pretty", "vnc", "spice", "D", "d", "trace", "pidfile", "gdb", "s", "incoming", "loadvm", "name", "mem-prealloc"}, o.Name)
}

// elsewhere says that a disk image is on another machine (nbd:, http:), which only nodes may reach.
func elsewhere(f qemuargs.File) bool { return f.Image && len(qemuargs.Local(f.Name)) == 0 }

// remoteDrivers are the drivers of QEMU's block layer for images on other machines.
var remoteDrivers = []string{"nbd", "http", "https", "ftp", "ftps", "ssh", "iscsi", "nfs", "rbd", "gluster"}

// dependsOnMachine says that an option can be tried on a node only, or would write here.
func dependsOnMachine(o qemuargs.Option) bool {
	for _, word := range []string{"vfio", "/dev/", "host_device", "host_cdrom", "usb-host", "vhost", "tap", "bridge", "memory-backend-file", "filter-dump",
		"socket", "listen", "addr.type=", "l2tpv3", "vde"} {
		if strings.Contains(o.Value, word) {
			return true
		}
	}
	for _, key := range []string{"driver", "file.driver", "format"} {
		if driver, _ := qemuargs.Property(o.Value, key); o.Name == "drive" && slices.Contains(remoteDrivers, driver) {
			return true
		}
	}
	return slices.Contains([]string{"blockdev", "mem-path", "readconfig", "iscsi", "tpmdev", "runas", "chroot", "sandbox", "dump-vmstate"}, o.Name)
}
