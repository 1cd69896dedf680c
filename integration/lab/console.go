package lab

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/hinshun/vt10x"
)

// Keys to send to a console, as a VT100 and its successors send them.
const (
	Up        = "\x1b[A"
	Down      = "\x1b[B"
	Right     = "\x1b[C"
	Left      = "\x1b[D"
	Enter     = "\r"
	Escape    = "\x1b"
	Backspace = "\x7f"
	Tab       = "\t"
	CtrlB     = "\x02"
	CtrlC     = "\x03"
)

// Console is a node's serial line with a terminal of 80 columns and 24 lines at its end. The terminal answers the
// questions a program may ask of it (cursor position, colours), as long as nobody is attached.
type Console struct {
	*Transcript

	in io.Writer

	mu       sync.Mutex
	raw      []byte
	terminal vt10x.Terminal
	broken   any    // what the terminal emulator panicked with
	cut      []byte // the beginning of a character
	answers  bytes.Buffer
	attached map[io.Writer]bool
}

func newConsole(name string, log io.WriteCloser, in io.Writer) *Console {
	c := &Console{Transcript: newTranscript(name, log), in: in, attached: map[io.Writer]bool{}}
	c.terminal = vt10x.New(vt10x.WithSize(80, 24), vt10x.WithWriter(&c.answers))
	return c
}

// Write takes what the node sends.
func (c *Console) Write(p []byte) (int, error) {
	c.mu.Lock()
	c.raw = append(c.raw, p...)
	c.draw(p)
	answers := bytes.Clone(c.answers.Bytes())
	c.answers.Reset()
	for w := range c.attached {
		if _, err := w.Write(p); err != nil {
			delete(c.attached, w)
		}
		answers = nil // a terminal of a person's answers instead
	}
	c.mu.Unlock()
	if len(answers) > 0 {
		// A node that has just died does not wait for an answer.
		_, _ = c.in.Write(answers)
	}
	return c.Transcript.Write(p)
}

// draw feeds the terminal whole characters only: it drops those that are cut.
func (c *Console) draw(p []byte) {
	if c.broken != nil {
		return
	}
	// The emulator has no bounds checks for some sequences; noise on a line must not end a test run.
	defer func() { c.broken = recover() }()
	p = append(c.cut, p...)
	whole := len(p)
	for i := 1; i < utf8.UTFMax && i <= len(p); i++ {
		if last := p[len(p)-i:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				whole -= i
			}
			break
		}
	}
	c.cut = bytes.Clone(p[whole:])
	// It never fails.
	_, _ = c.terminal.Write(p[:whole])
}

// Screen returns what the terminal shows: 24 lines, without the spaces at their ends.
func (c *Console) Screen() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken != nil {
		return fmt.Sprintf("(the terminal emulator failed: %v)", c.broken)
	}
	lines := strings.Split(c.terminal.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " \x00")
	}
	return strings.Join(lines, "\n")
}

// ExpectScreen waits until the screen matches the regular expression and returns the match and its groups. Unlike
// Expect it looks at what is there now, however often it was seen before.
func (c *Console) ExpectScreen(ctx context.Context, pattern string) ([]string, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	match, err := c.await(ctx, pattern, func() []string {
		screen := c.Screen()
		if at := re.FindStringSubmatchIndex(screen); at != nil {
			return submatches(screen, at)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%w\nand its screen shows:\n%s", err, tail(c.Screen(), 24))
	}
	return match, nil
}

// Send types: text, or the keys above.
func (c *Console) Send(keys string) error {
	if _, err := io.WriteString(c.in, keys); err != nil {
		return fmt.Errorf("%s: type %q: %w", c.name, keys, err)
	}
	return nil
}

// TypeLine types a line as a person does, who looks at what he types: each character when the one before has been echoed; then
// Enter. Of a line that comes at once a boot loader that polls a UART of 16 bytes loses a part.
func (c *Console) TypeLine(ctx context.Context, line string) error {
	for _, r := range line {
		if err := c.Send(string(r)); err != nil {
			return err
		}
		if _, err := c.Expect(ctx, regexp.QuoteMeta(string(r))); err != nil {
			return fmt.Errorf("type %q: %w", line, err)
		}
	}
	return c.Send(Enter)
}

// Attach writes to w all that the console has shown so far, as it came, and then what follows, until detach is called
// or w fails. W must not block for long: the node waits for it.
func (c *Console) Attach(w io.Writer) (detach func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := w.Write(c.raw); err != nil {
		return nil, err
	}
	c.attached[w] = true
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.attached, w)
	}, nil
}
