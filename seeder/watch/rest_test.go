package watch

import (
	"slices"
	"testing"
	"time"
)

// room is a rest whose clock and whose files are the test's.
type room struct {
	*rest
	time time.Time
	// files says what the kernel tells of each file; those not in it are closed.
	files map[string]openness
}

func newRoom() *room {
	r := &room{time: time.Unix(1_800_000_000, 0), files: map[string]openness{}}
	r.rest = &rest{quiet: 3 * time.Second, settle: 300 * time.Millisecond, restless: map[string]*restless{},
		open: func(path string) openness {
			if state, known := r.files[path]; known {
				return state
			}
			return closed
		},
		openFile: func(system string) string {
			for path, state := range r.files {
				if state == open && inside(path, "/"+system) {
					return path
				}
			}
			return ""
		}}
	return r
}

// after returns what has come to rest when so much time has passed.
func (r *room) after(d time.Duration) []string {
	r.time = r.time.Add(d)
	return r.settled(r.time)
}

func (r *room) want(t *testing.T, what string, after time.Duration, want ...string) {
	t.Helper()
	if got := r.after(after); !slices.Equal(got, want) {
		t.Errorf("%s: %q came to rest, want %q", what, got, want)
	}
}

// A system that is written every 100 ms for a minute comes to rest when that ends; another one, and the site's configuration, in their
// own time.
func TestWritingDelaysItsOwnSystemOnly(t *testing.T) {
	r := newRoom()
	var told []string
	for i := range 600 {
		if i == 50 {
			r.touch("b", r.time)
			r.touch(Site, r.time)
		}
		r.written("a", "/a/log", r.time)
		r.closed("a", "/a/log", r.time)
		told = append(told, r.after(100*time.Millisecond)...)
	}
	if !slices.Equal(told, []string{Site, "b"}) {
		t.Errorf("during the writing %q came to rest", told)
	}
	r.want(t, "too early", 2*time.Second)
	r.want(t, "afterwards", time.Second, "a")
	if !r.next().IsZero() {
		t.Error("there is something to wait for")
	}
}

// An initrd of 32 MB is rewritten in place at 4 MB/s with pauses of a second, or of five: it comes to rest once, when it is complete.
// So it does where only events tell of the writer, and where only leases do.
func TestPausingWriterIsAwaited(t *testing.T) {
	for name, tells := range map[string]struct {
		events bool
		lease  openness
	}{"events and leases": {true, open}, "leases alone": {false, open}, "events alone": {true, unknown}} {
		for _, pause := range []time.Duration{time.Second, 5 * time.Second} {
			t.Run(name+", "+pause.String(), func(t *testing.T) {
				r := newRoom()
				r.files["/a/initrd"] = tells.lease
				for range 8 {
					if tells.events {
						r.written("a", "/a/initrd", r.time)
					} else {
						r.touch("a", r.time)
					}
					r.want(t, "while it is written", time.Second)
					r.want(t, "in a pause", pause)
				}
				if delete(r.files, "/a/initrd"); tells.events {
					r.files["/a/initrd"] = tells.lease
					r.closed("a", "/a/initrd", r.time)
				}
				if tells.lease != unknown {
					delete(r.files, "/a/initrd")
				}
				r.want(t, "when it is closed", 3*time.Second, "a")
			})
		}
	}
}

// A file that gets another name, or is removed, while it is written: its writer is awaited under the new name, and not at all.
func TestWriterOfMovedFile(t *testing.T) {
	r := newRoom()
	r.files["/a/new"], r.files["/a/old"] = unknown, unknown
	r.written("a", "/a/old", r.time)
	r.movedFrom("a", "/a/old", 7, r.time)
	r.movedTo("a", "/a/new", 7, r.time)
	r.want(t, "moved, not closed", time.Minute)
	r.closed("a", "/a/new", r.time)
	r.want(t, "closed", 3*time.Second, "a")

	r.written("a", "/a/old", r.time)
	r.movedFrom("a", "/a/old", 8, r.time)
	r.want(t, "moved out of the site", 3*time.Second, "a")

	r.written("a", "/a/new", r.time)
	r.movedTo("a", "/a/new", 9, r.time) // by a file that nobody writes
	r.want(t, "replaced", 3*time.Second, "a")
}

// A writer whose closing nobody told of, as when events were lost, is forgotten when the kernel says that nobody writes.
func TestLostCloseIsFound(t *testing.T) {
	r := newRoom()
	r.written("a", "/a/initrd", r.time)
	r.want(t, "nobody writes", 3*time.Second, "a")
}

// Who starts while a system is being written waits for it no longer than it could take to come to rest by itself.
func TestSettling(t *testing.T) {
	r := newRoom()
	r.touch("a", r.time)
	if !r.settling(r.time) {
		t.Error("a system that was just written is not waited for")
	}
	r.files["/a/initrd"] = open
	r.want(t, "open", 3*time.Second)
	if r.settling(r.time) {
		t.Error("a system with an open file is waited for")
	}
	for range 100 {
		r.touch("b", r.time)
		r.want(t, "written all the time", 100*time.Millisecond)
	}
	if r.settling(r.time) {
		t.Error("a system that is written all the time is waited for")
	}
}
