package lab

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
)

// tailLines is how many lines of a transcript an error message shows.
const tailLines = 20

// Transcript is the text a console or process has put out so far, without carriage returns and escape sequences. The
// bytes as they came are in the room's log directory.
type Transcript struct {
	name string

	mu      sync.Mutex
	log     io.WriteCloser
	strip   stripper
	text    []byte
	next    int           // where the next Expect looks from
	changed chan struct{} // closed and made anew with every change
	ended   bool
	err     error
}

func newTranscript(name string, log io.WriteCloser) *Transcript {
	return &Transcript{name: name, log: log, changed: make(chan struct{})}
}

// Write appends output.
func (t *Transcript) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return 0, io.ErrClosedPipe
	}
	if _, err := t.log.Write(p); err != nil {
		return 0, err
	}
	t.text = t.strip.append(t.text, p)
	t.notify()
	return len(p), nil
}

// end says that nothing will follow, and why: nil for a process that ended well.
func (t *Transcript) end(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return
	}
	t.ended, t.err = true, err
	t.log.Close()
	t.notify()
}

func (t *Transcript) notify() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// Output returns all text so far.
func (t *Transcript) Output() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}

// Tail returns the last lines that are not empty, each indented.
func (t *Transcript) Tail(lines int) string { return tail(t.Output(), lines) }

func tail(text string, lines int) string {
	var out []string
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, " \n"); line != "" {
			out = append(out, "\t"+line)
		}
	}
	if len(out) == 0 {
		return "\t(nothing)"
	}
	return strings.Join(out[max(0, len(out)-lines):], "\n")
}

// Expect waits for text that matches the regular expression (regexp/syntax) and returns the match and its groups. It
// looks at what follows the match of the Expect before. A pattern matches as soon as it can: let it end with what
// follows a word, `mac=(\S+)\n`, to get the whole word. The error, when ctx ends or nothing can follow any more, says
// who was silent and shows the last lines.
func (t *Transcript) Expect(ctx context.Context, pattern string) ([]string, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.name, err)
	}
	return t.await(ctx, pattern, func() []string {
		at := re.FindSubmatchIndex(t.text[t.next:])
		if at == nil {
			return nil
		}
		match := submatches(string(t.text[t.next:]), at)
		t.next += at[1]
		return match
	})
}

// await calls find, with the lock held, after every change until it finds something.
func (t *Transcript) await(ctx context.Context, what string, find func() []string) ([]string, error) {
	for {
		t.mu.Lock()
		match, changed, ended, err := find(), t.changed, t.ended, t.err
		t.mu.Unlock()
		if match != nil {
			return match, nil
		}
		why := "its output has ended"
		if err != nil {
			why += fmt.Sprintf(" (%v)", err)
		}
		if !ended {
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				why, err = ctx.Err().Error(), ctx.Err()
			}
		}
		return nil, &ExpectError{Name: t.name, Pattern: what, Why: why, Tail: t.Tail(tailLines), err: err}
	}
}

// ExpectError says that something expected did not come.
type ExpectError struct {
	// Name is the node or process; Pattern is what was waited for.
	Name, Pattern string
	// Why says what ended the wait; Tail is the last lines of output.
	Why, Tail string
	err       error
}

// Error implements error.
func (e *ExpectError) Error() string {
	return fmt.Sprintf("%s: nothing matched %#q: %s; its output ends with:\n%s", e.Name, e.Pattern, e.Why, e.Tail)
}

// Unwrap returns the context's error or how the process ended.
func (e *ExpectError) Unwrap() error { return e.err }

func submatches(text string, at []int) []string {
	var out []string
	for i := 0; i < len(at); i += 2 {
		if at[i] < 0 {
			out = append(out, "")
			continue
		}
		out = append(out, text[at[i]:at[i+1]])
	}
	return out
}
