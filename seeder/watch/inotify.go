package watch

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mask is what is asked of the kernel for every folder (inotify(7)).
const mask = unix.IN_CREATE | unix.IN_MODIFY | unix.IN_CLOSE_WRITE | unix.IN_ATTRIB | unix.IN_DELETE | unix.IN_MOVED_FROM |
	unix.IN_MOVED_TO | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR

// event is something that happened to a file or folder. bits are inotify's; path is empty if events were lost (IN_Q_OVERFLOW).
type event struct {
	path   string
	bits   uint32
	cookie uint32
}

func (e event) has(bits uint32) bool { return e.bits&bits != 0 }

// notifier watches folders with inotify(7). github.com/fsnotify/fsnotify has no event for a file that its writer closed.
type notifier struct {
	file *os.File
	// paths are the folders of each watch descriptor: several if they are links to one folder.
	paths map[int32][]string
}

func newNotifier() (*notifier, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	return &notifier{file: os.NewFile(uintptr(fd), "inotify"), paths: map[int32][]string{}}, nil
}

// add watches a folder; doing so again does no harm.
func (n *notifier) add(dir string) error {
	wd, err := n.addWatch(dir)
	if err != nil {
		return fmt.Errorf("inotify_add_watch %s: %w", dir, err)
	}
	if !slices.Contains(n.paths[wd], dir) {
		n.paths[wd] = append(n.paths[wd], dir)
	}
	return nil
}

func (n *notifier) addWatch(dir string) (wd int32, err error) {
	raw, err := n.file.SyscallConn()
	if err != nil {
		return 0, err
	}
	var added int
	controlled := raw.Control(func(fd uintptr) { added, err = unix.InotifyAddWatch(int(fd), dir, mask) })
	return int32(added), errors.Join(controlled, err)
}

// remove ends the watching of a folder and of those in it.
func (n *notifier) remove(dir string) {
	for wd, paths := range n.paths {
		paths = slices.DeleteFunc(paths, func(p string) bool { return inside(p, dir) })
		if n.paths[wd] = paths; len(paths) > 0 {
			continue
		}
		delete(n.paths, wd)
		if raw, err := n.file.SyscallConn(); err == nil {
			// It fails where the folder is gone: the kernel has removed the watch itself.
			_ = raw.Control(func(fd uintptr) { _, _ = unix.InotifyRmWatch(int(fd), uint32(wd)) })
		}
	}
}

// inside reports whether path is dir or below it.
func inside(path, dir string) bool {
	return path == dir || len(path) > len(dir) && path[:len(dir)] == dir && path[len(dir)] == filepath.Separator
}

// read waits for events, and returns the error of closing the notifier at its end.
func (n *notifier) read() ([]event, error) {
	var buf [64 << 10]byte
	size, err := n.file.Read(buf[:])
	if err != nil {
		return nil, err
	}
	var events []event
	for rest := buf[:size]; len(rest) >= unix.SizeofInotifyEvent; {
		raw := (*unix.InotifyEvent)(unsafe.Pointer(&rest[0]))
		end := unix.SizeofInotifyEvent + int(raw.Len)
		name := string(bytes.TrimRight(rest[unix.SizeofInotifyEvent:end], "\x00"))
		events = append(events, n.eventsOf(raw, name)...)
		rest = rest[end:]
	}
	return events, nil
}

// eventsOf is what the kernel's event means: one event for each path of the folder.
func (n *notifier) eventsOf(raw *unix.InotifyEvent, name string) (events []event) {
	if raw.Mask&unix.IN_Q_OVERFLOW != 0 {
		return []event{{bits: unix.IN_Q_OVERFLOW}}
	}
	for _, dir := range n.paths[raw.Wd] {
		events = append(events, event{filepath.Join(dir, name), raw.Mask, raw.Cookie})
	}
	if raw.Mask&unix.IN_IGNORED != 0 {
		delete(n.paths, raw.Wd)
	}
	return events
}

func (n *notifier) close() error { return n.file.Close() }
