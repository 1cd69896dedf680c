// Package launch starts a downloaded system.
//
// In goes a [Job]: a system of the catalog and the folder with its verified files. Each method of starting is one file
// behind the [Method] interface; [For] finds the one a system asks for. Before a download, [Preflight] says whether
// memory can hold it; [Method.Load] does everything that can fail; [Method.Start] is the point of no return, or, for
// systems that run beside this program, the beginning of a [Guest].
package launch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/machinefiles"
	"github.com/boottorrent/boottorrent/internal/report"
)

// Job is one system about to be started.
type Job struct {
	System catalog.System
	// Files are the system's, for the methods that leave phase 1.
	Files catalog.FileList
	// Dir is the folder with the system's files, below their paths in the catalog. A method that leaves phase 1 may make
	// files in it longer: what the catalog lists of them stays as it is. One that goes on seeding changes nothing in it
	// but modes.
	Dir string
	// Vars are the values of the placeholders in command lines and arguments, see catalog.Expand. Programs get them as
	// BT_MAC, BT_IP … in their environment too.
	Vars map[string]string
	// Named says that the host name in Vars is by the site's rules: the system gets it even if it has one of its own.
	Named bool
	// MachineFiles are this machine's, with their placeholders filled in, for the methods root and kexec; nil: there are none.
	MachineFiles *machinefiles.Tree
	// Log takes messages for the node's log; nil for none.
	Log func(format string, args ...any)

	// What follows is for methods that don't leave phase 1.

	// Runtime is the folder with the files of the runtime that the method needs, if it does.
	Runtime string
	// Scratch is a folder on a tmpfs, empty at first, for what is unpacked and what the guest writes. It is the caller's to
	// remove, after [Guest.Close].
	Scratch string
	// Framebuffer says that the node has a frame buffer and a console on it (tty0), on which a guest's screen can be
	// shown.
	Framebuffer bool
}

func (j Job) logf(format string, args ...any) {
	if j.Log != nil {
		j.Log(format, args...)
	}
}

// path returns where a file of the system lies.
func (j Job) path(file string) (string, error) {
	local := filepath.FromSlash(file)
	if !filepath.IsLocal(local) {
		return "", fmt.Errorf("start %s: the path %q leaves the system's folder", j.System.Name, file)
	}
	return filepath.Join(j.Dir, local), nil
}

// Method is a way of starting systems.
type Method interface {
	// Leaves says that Start hands the machine over for good. Before it BitTorrent is stopped; otherwise the node goes on
	// seeding.
	Leaves() bool
	// Need says what starting the system takes in memory beside its files, whose sizes are in files.
	Need(sys catalog.System, files catalog.FileList) Memory
	// Load prepares the start: everything that can fail. It may be called again after a failure, and for another system.
	Load(ctx context.Context, job Job) error
	// Start starts what was loaded. A method that leaves phase 1 returns only on failure, or ErrSwitch where process 1 does the rest;
	// another returns the system that now runs beside this program.
	Start(ctx context.Context, job Job) (Guest, error)
}

// Guest is a system that runs beside this program. Its methods may be called from any goroutine.
type Guest interface {
	// Face is how a person sees it.
	Face() Face
	// Notes are what a person should know of it: what is different from what was asked for, or from what may be expected.
	Notes() []string
	// Attach connects it with a console until the guest ends or ctx does, which are both no error, or until the person
	// there presses the keys that leave it: ErrLeft. It may be attached again; meanwhile the guest goes on, and what a
	// terminal would have shown is kept for the next Attach as far as it is recent. With FaceScreen the
	// console is the one on the frame buffer.
	Attach(ctx context.Context, tty Terminal) error
	// Done is closed when the guest has ended.
	Done() <-chan struct{}
	// Exit says how it ended, once it has.
	Exit() report.Exit
	// Stop ends it: by asking, and by force when that takes more than a few seconds. It returns when it has ended, or some seconds
	// later if it can't be, which Exit says then.
	Stop()
	// Close ends it if it runs, and gives back what it had mounted or made.
	Close() error
}

// Face is how a person sees a guest.
type Face int

const (
	// FaceTerminal is text, on the console that chose it.
	FaceTerminal Face = iota
	// FaceScreen is a picture, on the node's frame buffer.
	FaceScreen
	// FaceRemote is on the network only; Attach is not called.
	FaceRemote
)

// ErrLeft is returned by Attach when a person pressed the keys that leave a guest.
var ErrLeft = errors.New("left by the keyboard")

// The keys that leave a guest, for messages: on a terminal the byte 0x1d, as telnet has it.
const (
	LeaveTerminal = "Ctrl+]"
	LeaveScreen   = "Ctrl+Alt+Backspace"
)

// Terminal is a console in raw mode. What a person types is read from it; Read returns an error when the console was taken
// back.
type Terminal interface {
	io.ReadWriter
	// Name is the kernel's, such as ttyS0.
	Name() string
	// Device is its device; of tty0, which is whichever virtual terminal is in front, the one that this is.
	Device() string
	// Size is in character cells.
	Size() (width, height int)
	// Term is the value of TERM that fits.
	Term() string
}

// For returns the method a system asks for. cat is the catalog the system is from, which lists the runtime it may need.
func For(sys catalog.System, cat *catalog.Catalog) (Method, error) {
	switch l := sys.Launch; l.Method {
	case catalog.MethodKexec:
		if l.Kexec == nil {
			return nil, fmt.Errorf("system %s: the catalog says method kexec, but not which kernel", sys.Name)
		}
		return newKexec(), nil
	case catalog.MethodLocal:
		return newKexec(), nil // of what is on the disk, which is not known yet
	case catalog.MethodBin:
		if l.Bin == nil {
			return nil, fmt.Errorf("system %s: the catalog says method bin, but not which program", sys.Name)
		}
		return newBin(), nil
	case catalog.MethodQEMU:
		if l.QEMU == nil || cat == nil {
			return nil, fmt.Errorf("system %s: the catalog says method qemu, but not with which arguments", sys.Name)
		}
		runtime, ok := cat.Runtime(l.QEMU.Runtime)
		if !ok {
			return nil, fmt.Errorf("system %s: it needs the runtime %s, which the catalog does not list; run seeder check on the site",
				sys.Name, l.QEMU.Runtime)
		}
		return newQEMU(runtime), nil
	case catalog.MethodRoot:
		if l.Root == nil {
			return nil, fmt.Errorf("system %s: the catalog says method root, but not which images", sys.Name)
		}
		return newRoot(), nil
	}
	return nil, fmt.Errorf("system %s: its method %q is not known to this node's image, which is older than the site: "+
		"build the image again with mkimage and restart the node", sys.Name, sys.Launch.Method)
}
