package launch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/screen/vt"
	"github.com/boottorrent/boottorrent/internal/report"
)

const (
	// screenProgram is the viewer, see cmds/screen.
	screenProgram = "/bbin/screen"
	// screenLeft is its exit code when a person pressed LeaveScreen.
	screenLeft = 20
	// screenTime is how long it may take to see that the guest has ended, and the other way round.
	screenTime = 2 * time.Second
)

// viewer shows a guest's screen, which is served by VNC on a unix socket, on the node's frame buffer.
type viewer struct {
	program, socket, title string
	log                    func(format string, args ...any)
}

// show runs the viewer until the guest ends, ctx does or a person leaves. Keyboard, mouse and frame buffer are the viewer's to
// open; the terminal is only what they belong to. (Another may be in front: somebody looks at the second console.)
func (v *viewer) show(ctx context.Context, tty Terminal, ended <-chan struct{}) error {
	said := newOutput(v.log, "screen")
	cmd := exec.Command(v.program, "--socket", v.socket, "--title", v.title, "--tty", tty.Device())
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = said, said, drainTime
	cmd.Env = append(baseEnvironment(), "TERM="+tty.Term())
	p, err := start(cmd, func(*report.Exit) { said.flush() })
	if err != nil {
		return fmt.Errorf("start the viewer: %w", explainExec(err))
	}
	defer v.restore(p, tty)
	select {
	case <-ctx.Done():
		p.stop(nil)
		return nil
	case <-ended:
		if !p.within(screenTime) {
			p.stop(nil)
		}
		return nil
	case <-p.ended:
	}
	switch p.exit.Code {
	case screenLeft:
		return ErrLeft
	case 0:
		select {
		case <-ended:
			return nil
		case <-ctx.Done():
			return nil
		case <-time.After(screenTime):
			return errors.New("the viewer ended, though the guest did not")
		}
	}
	return fmt.Errorf("the viewer failed with exit code %d: %s", p.exit.Code, said.last(p.exit.Reason))
}

// restore makes a text console of the terminal again, if the viewer was killed before it could do that itself.
func (v *viewer) restore(p *process, tty Terminal) {
	select {
	case <-p.ended:
	default:
		return // it can't be killed, and may still draw
	}
	if p.exit.Code == 0 || p.exit.Code == screenLeft {
		return
	}
	if err := vt.Restore(tty.Device()); err != nil {
		said := newOutput(v.log, "screen")
		fmt.Fprintln(said, err)
	}
}

// output takes what a program of ours says: it goes to the log line by line, and the end is kept.
type output struct {
	log  func(format string, args ...any)
	name string
	kept *tape
	line []byte
}

func newOutput(log func(string, ...any), name string) *output {
	return &output{log: log, name: name, kept: newTape()}
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	_, _ = o.kept.Write(p) // never fails
	o.line = append(o.line, p...)
	for {
		i := bytes.IndexByte(o.line, '\n')
		if i < 0 && len(o.line) < 4<<10 {
			return len(p), nil
		}
		if i < 0 {
			i = len(o.line) - 1
		}
		o.say(o.line[:i+1])
		o.line = o.line[i+1:]
	}
}

// flush logs a last line without an end.
func (o *output) flush() {
	o.say(o.line)
	o.line = nil
}

func (o *output) say(line []byte) {
	if o.log == nil {
		return
	}
	for _, text := range tail(line) {
		o.log("launch: %s: %s", o.name, text)
	}
}

// last is the last of it in one line; other where there is nothing.
func (o *output) last(other string) string {
	lines := tail(o.kept.content())
	if len(lines) == 0 {
		return other
	}
	return strings.Join(lines[max(0, len(lines)-5):], "; ")
}
