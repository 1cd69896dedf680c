package launch

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/internal/need"
)

// fakeTerminal is a console whose keyboard and screen are the test's.
type fakeTerminal struct {
	keys          *io.PipeReader
	keyboard      *io.PipeWriter
	mu            sync.Mutex
	changed       chan struct{} // closed and replaced when something was written
	screen        bytes.Buffer
	width, height int
}

func newFakeTerminal(t *testing.T) *fakeTerminal {
	f := &fakeTerminal{changed: make(chan struct{}), width: 132, height: 43}
	f.keys, f.keyboard = io.Pipe()
	t.Cleanup(func() { f.keyboard.Close() }) // takes the console back
	return f
}

func (f *fakeTerminal) Read(p []byte) (int, error) { return f.keys.Read(p) }

func (f *fakeTerminal) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.screen.Write(p)
	close(f.changed)
	f.changed = make(chan struct{})
	return len(p), nil
}

func (f *fakeTerminal) Name() string   { return "ttyT0" }
func (f *fakeTerminal) Device() string { return "/dev/ttyT0" }
func (f *fakeTerminal) Term() string   { return "vt220" }
func (f *fakeTerminal) Size() (int, int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.width, f.height
}

func (f *fakeTerminal) resize(width, height int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.width, f.height = width, height
}

func (f *fakeTerminal) text() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.screen.String()
}

func (f *fakeTerminal) typeKeys(t *testing.T, keys string) {
	t.Helper()
	if _, err := io.WriteString(f.keyboard, keys); err != nil {
		t.Fatal(err)
	}
}

// wait waits until the screen shows a text.
func (f *fakeTerminal) wait(t *testing.T, want string) {
	t.Helper()
	deadline := time.After(need.Patience)
	for {
		f.mu.Lock()
		changed, found := f.changed, strings.Contains(f.screen.String(), want)
		f.mu.Unlock()
		if found {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("no %q on the terminal:\n%s", want, f.text())
		}
	}
}

// attached runs Attach in the background and returns what it will return.
func attached(t *testing.T, g Guest, tty Terminal) <-chan error {
	result := make(chan error, 1)
	go func() { result <- g.Attach(t.Context(), tty) }()
	return result
}

func within[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(need.Patience):
		t.Fatalf("%s: nothing happens", what)
		panic("not reached")
	}
}

// logged collects a job's log.
type logged struct {
	mu    sync.Mutex
	lines []string
}

func logTo(job *Job) *logged {
	l := &logged{}
	job.Log = func(format string, args ...any) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.lines = append(l.lines, fmt.Sprintf(format, args...))
	}
	return l
}

func (l *logged) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

// plainWorkspace is for tests that are not root: no mounts, nothing is kept apart.
func plainWorkspace(job Job, _ int64) (*workspace, error) {
	w := &workspace{dir: job.Dir, temp: filepath.Join(job.Scratch, "temp")}
	return w, w.mkdir(w.temp)
}

func noOverlay(Job, int64) (*workspace, error) {
	return nil, fmt.Errorf("%w: %w", errNoOverlay, errors.New("mount: no such device"))
}

// contents reads a folder with everything below it.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		found[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// eventually waits for something that nobody tells about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(need.Patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: in vain", what)
		}
	}
}
