package input

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Devices are the keyboards and mice of a machine, those that are plugged in later too. Each is read by a goroutine of its
// own, which the kernel wakes.
type Devices struct {
	router *Router
	folder string
	// log takes what a person may want to know; nil for none.
	log func(format string, args ...any)

	mu     sync.Mutex
	known  map[string]io.Closer // by path; nil for what is no use
	closed bool
	watch  *os.File      // an inotify, nil if there is none
	stop   chan struct{} // closed by Close
	// running are all goroutines.
	running sync.WaitGroup
}

// openTime is between two looks into a folder that can't be watched: one that isn't there yet.
const openTime = time.Second

// Open reads the input devices of a folder, /dev/input, for a router.
func Open(folder string, r *Router, log func(format string, args ...any)) *Devices {
	d := &Devices{router: r, folder: folder, log: log, known: map[string]io.Closer{}, stop: make(chan struct{})}
	d.watch = watch(folder) // before the first look, so that nothing is missed between
	d.scan()
	d.running.Add(1)
	go d.follow()
	return d
}

// watch tells of changes in a folder, by becoming readable; nil if it can't.
func watch(folder string) *os.File {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil
	}
	if _, err := unix.InotifyAddWatch(fd, folder, unix.IN_CREATE|unix.IN_DELETE|unix.IN_ATTRIB); err != nil {
		_ = unix.Close(fd)
		return nil
	}
	return os.NewFile(uintptr(fd), "inotify")
}

// follow looks into the folder whenever something changes there.
func (d *Devices) follow() {
	defer d.running.Done()
	var changes [4096]byte
	for {
		if d.watch == nil {
			select {
			case <-d.stop:
				return
			case <-time.After(openTime):
			}
		} else if _, err := d.watch.Read(changes[:]); err != nil {
			return
		}
		d.scan()
	}
}

// scan opens what is new.
func (d *Devices) scan() {
	paths, _ := filepath.Glob(filepath.Join(d.folder, "event[0-9]*"))
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	there := map[string]bool{}
	for _, path := range paths {
		there[path] = true
		if _, known := d.known[path]; !known {
			d.open(path)
		}
	}
	for path, file := range d.known {
		if file == nil && !there[path] {
			delete(d.known, path)
		}
	}
}

// open opens a device and reads it; d.mu is held.
func (d *Devices) open(path string) {
	dev, s, err := openEvdev(path)
	switch {
	case errors.Is(err, errNoUse):
		d.known[path] = nil
		return
	case err != nil:
		d.logf("an input device is left out: %v", err)
		return // a change of its rights, which the kernel tells of, makes it tried again
	}
	d.known[path] = dev.file
	d.router.add(s)
	d.running.Add(1)
	go func() {
		defer d.running.Done()
		d.router.read(s, dev.file)
		d.gone(path)
	}()
}

// gone forgets a device that ended.
func (d *Devices) gone(path string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if file := d.known[path]; file != nil {
		_ = file.Close()
	}
	delete(d.known, path)
}

// Keyboard is whether there is one.
func (d *Devices) Keyboard() bool {
	d.router.mu.Lock()
	defer d.router.mu.Unlock()
	for s := range d.router.sources {
		if s.keyboard {
			return true
		}
	}
	return false
}

// Close gives all devices back.
func (d *Devices) Close() {
	d.mu.Lock()
	d.closed = true
	close(d.stop)
	if d.watch != nil {
		_ = d.watch.Close()
	}
	for _, file := range d.known {
		if file != nil {
			_ = file.Close()
		}
	}
	d.mu.Unlock()
	d.running.Wait()
}

func (d *Devices) logf(format string, args ...any) {
	if d.log != nil {
		d.log(format, args...)
	}
}

// readEvents is how many events are read at once.
const readEvents = 64

// read hands a source's events to the router until there are no more.
func (r *Router) read(s *source, from io.Reader) {
	defer r.remove(s)
	var b [readEvents * eventBytes]byte
	lost := false
	for {
		n, err := from.Read(b[:])
		events(b[:n], func(at int64, e Event) {
			if at != 0 && at < s.since.Load() {
				return // somebody typed it for the console
			}
			// After SYN_DROPPED everything up to the next report is worth nothing (event-codes.rst).
			switch {
			case e.Type == evSyn && e.Code == synDropped:
				lost = true
				r.drop(s)
			case !lost:
				r.handle(s, e)
			case e.Type == evSyn && e.Code == synReport:
				lost = false
			}
		})
		if err != nil {
			return
		}
	}
}
