package watch

import (
	"maps"
	"slices"
	"time"
)

// Site stands for the site's own files where else is a system's name.
const Site = ""

// rest knows which systems are not at rest, and since when nothing has happened to each. It has no clock and no goroutine: the
// moments come from its caller.
type rest struct {
	// quiet is how long nothing must happen to a system, and settle to the site's own files.
	quiet, settle time.Duration
	// open says whether a file is open for writing, and openFile returns one of a system's that is.
	open     func(path string) openness
	openFile func(system string) string

	restless map[string]*restless
	// moving is the cookie of a file that got another name while it was being written; zero: none.
	moving uint32
}

// restless is a system that is not at rest.
type restless struct {
	since time.Time
	// looked says that it was quiet for long enough once, and a file was open.
	looked bool
	// until is when to look whether it has come to rest.
	until time.Time
	// writing are files that were written and not closed since. Beside leases, it is what the kernel tells of writers.
	writing map[string]bool
}

// touch notes that something happened to a system.
func (r *rest) touch(system string, now time.Time) *restless {
	s := r.restless[system]
	if s == nil {
		s = &restless{since: now, writing: map[string]bool{}}
		r.restless[system] = s
	}
	s.until = now.Add(r.quiet)
	if system == Site {
		s.until = now.Add(r.settle)
	}
	return s
}

// written notes that a file has been written by somebody who may go on.
func (r *rest) written(system, path string, now time.Time) { r.touch(system, now).writing[path] = true }

// closed notes that a file's writer has closed it, or that it is gone.
func (r *rest) closed(system, path string, now time.Time) { delete(r.touch(system, now).writing, path) }

// movedFrom notes that a file loses its name, and movedTo that it has another one. Its writer, if it has one, goes on.
func (r *rest) movedFrom(system, path string, cookie uint32, now time.Time) {
	if s := r.touch(system, now); s.writing[path] {
		delete(s.writing, path)
		r.moving = cookie
	}
}

func (r *rest) movedTo(system, path string, cookie uint32, now time.Time) {
	s := r.touch(system, now)
	delete(s.writing, path) // what had that name is gone
	if cookie != 0 && cookie == r.moving {
		s.writing[path], r.moving = true, 0
	}
}

// next is when to call settled; zero if nobody is restless.
func (r *rest) next() (at time.Time) {
	for _, s := range r.restless {
		if at.IsZero() || s.until.Before(at) {
			at = s.until
		}
	}
	return at
}

// settled returns the systems that have come to rest: nothing happened for long enough, and no file is open for writing. Of the
// others it looks again after as long.
func (r *rest) settled(now time.Time) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(r.restless)) {
		s := r.restless[name]
		if s.until.After(now) {
			continue
		}
		if name != Site && r.beingWritten(name, s) {
			s.until, s.looked = now.Add(r.quiet), true
			continue
		}
		delete(r.restless, name)
		names = append(names, name)
	}
	return names
}

// settling reports whether a system may come to rest by itself before long: no file of it was found open, and it has not been written
// for more than three times as long as it has to be quiet.
func (r *rest) settling(now time.Time) bool {
	for name, s := range r.restless {
		if name != Site && !s.looked && now.Sub(s.since) < 3*r.quiet {
			return true
		}
	}
	return false
}

// beingWritten reports whether any of a system's files is open for writing. Where the kernel doesn't tell of a file, it counts as
// open until its writer is seen to close it.
func (r *rest) beingWritten(name string, s *restless) bool {
	for path := range s.writing {
		if r.open(path) == closed {
			delete(s.writing, path)
		}
	}
	return len(s.writing) > 0 || r.openFile(name) != ""
}
