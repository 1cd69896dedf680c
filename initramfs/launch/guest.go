package launch

import (
	"context"
	"fmt"

	"github.com/boottorrent/boottorrent/internal/report"
)

// guest is a running system of the methods bin and qemu: a process, in a workspace, with a face.
type guest struct {
	name      string
	face      Face
	notes     []string
	process   *process
	workspace *workspace
	// line is the guest's terminal; nil if it has none.
	line *line
	// screen shows the guest's screen, with FaceScreen.
	screen *viewer
	// quit asks the guest to end; nil: by signals.
	quit func()
}

// Face implements [Guest].
func (g *guest) Face() Face { return g.face }

// Notes implements [Guest].
func (g *guest) Notes() []string { return g.notes }

// Done implements [Guest].
func (g *guest) Done() <-chan struct{} { return g.process.ended }

// Exit implements [Guest].
func (g *guest) Exit() report.Exit {
	select {
	case <-g.process.ended:
		return g.process.exit
	default:
		exit := report.Exit{System: g.name}
		if g.process.stopped.Load() {
			exit.Code, exit.Reason = 1, "it was killed and does not end, as it waits for a device; restart this machine"
		}
		return exit
	}
}

// Attach implements [Guest].
func (g *guest) Attach(ctx context.Context, tty Terminal) error {
	var err error
	switch g.face {
	case FaceTerminal:
		err = g.line.attach(ctx, tty)
	case FaceScreen:
		err = g.screen.show(ctx, tty, g.process.ended)
	default:
		err = fmt.Errorf("it is shown on the network only")
	}
	if err != nil && err != ErrLeft {
		return fmt.Errorf("show %s: %w", g.name, err)
	}
	return err
}

// Stop implements [Guest].
func (g *guest) Stop() { g.process.stop(g.quit) }

// Close implements [Guest].
func (g *guest) Close() error {
	g.Stop()
	if err := g.workspace.close(); err != nil {
		return fmt.Errorf("clear up after %s: %w", g.name, err)
	}
	return nil
}
