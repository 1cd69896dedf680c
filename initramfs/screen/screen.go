// Package screen shows a guest's screen on the node's own: the picture of a VNC server (a QEMU on this machine, with
// -vnc unix:PATH) on the frame buffer, keyboard and mouse the other way.
//
// In go the names of devices and of a socket ([Options]); out comes how it ended ([End]). The parts are packages of their
// own: rfb speaks with the server, framebuffer draws, input reads keyboards and mice, vt takes and gives back the console.
//
// Only what changes is drawn, and nothing is done while nothing changes: all goroutines wait in the kernel, but for eight
// bytes twice a second, which rfb.Client.Nudge explains.
package screen

import (
	"context"
	"errors"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/screen/framebuffer"
	"github.com/boottorrent/boottorrent/initramfs/screen/input"
	"github.com/boottorrent/boottorrent/initramfs/screen/rfb"
	"github.com/boottorrent/boottorrent/initramfs/screen/vt"
)

// Options say what is shown where.
type Options struct {
	// Socket is the server's unix socket. One that is not there yet is waited for, ConnectTime at most.
	Socket string
	// Framebuffer, TTY and Input are /dev/fb0, /dev/tty0 (the terminal that is in front) and /dev/input.
	Framebuffer, TTY, Input string
	// Log takes what a person may want to know; nil for none.
	Log func(format string, args ...any)
}

// ConnectTime is how long a server may take to make its socket.
const ConnectTime = 15 * time.Second

// quietTime is how long, at the end, keys may take to go up before the console gets the keyboard back.
const quietTime = 300 * time.Millisecond

// End is how a viewer ended.
type End int

// The ends.
const (
	// Failed comes with an error.
	Failed End = iota
	// Closed: the server ended, and so did the guest.
	Closed
	// Left: a person pressed Ctrl+Alt+Backspace.
	Left
	// Stopped: the context ended.
	Stopped
)

// Exit codes of the command screen.
const (
	ExitClosed = 0
	ExitFailed = 1
	ExitLeft   = 20
)

// Run shows a guest's screen until it ends, a person leaves it, or ctx ends. Then the console is as it was before.
func Run(ctx context.Context, o Options) (End, error) {
	client, err := rfb.Dial(ctx, o.Socket, ConnectTime)
	if err != nil {
		return Failed, err
	}
	device, err := framebuffer.Open(o.Framebuffer, framebuffer.Ask)
	if err != nil {
		return Failed, errors.Join(err, client.Close())
	}
	console, err := vt.Open(o.TTY)
	if err != nil {
		return Failed, errors.Join(err, client.Close(), device.Close())
	}
	v := newViewer(client, framebuffer.NewScreen(device), console, o)
	end, err := v.run(ctx)
	return end, errors.Join(err, v.close())
}

// Restore makes a text console of the terminal on which a viewer was killed before it could do that itself: /dev/tty1, or
// /dev/tty0 for the terminal that is in front. One that is a text console stays as it is.
func Restore(tty string) error { return vt.Restore(tty) }

// console is the terminal; a *vt.Console but in tests.
type console interface {
	Take(hide, show func()) error
	Front() bool
	Activate(number int) error
	Keyboard() error
	Read(p []byte) (int, error)
	Close() error
}

// viewer is a guest's screen that is shown.
type viewer struct {
	client  *rfb.Client
	screen  *framebuffer.Screen
	console console
	router  *input.Router
	options Options
	devices *input.Devices
	// left is closed by the chord that leaves.
	left chan struct{}
	// received gets the error with which the server's messages ended, if they were ever read: then receiving is set.
	received  chan error
	receiving bool
}

func newViewer(client *rfb.Client, s *framebuffer.Screen, c console, o Options) *viewer {
	v := &viewer{client: client, screen: s, console: c, options: o, left: make(chan struct{}, 1), received: make(chan error, 1)}
	v.router = input.NewRouter(client, s, input.Chords{Leave: v.leave, Switch: v.turn})
	return v
}

// run shows the guest.
func (v *viewer) run(ctx context.Context) (End, error) {
	if err := v.console.Take(v.hide, v.show); err != nil {
		return Failed, err
	}
	v.devices = input.Open(v.options.Input, v.router, v.options.Log)
	if !v.devices.Keyboard() {
		v.readConsole()
	}
	if v.console.Front() {
		v.show()
	}
	v.receiving = true
	go func() {
		v.received <- v.client.Run(v)
		close(v.received)
	}()
	return v.wait(ctx)
}

// wait waits for the end.
func (v *viewer) wait(ctx context.Context) (End, error) {
	nudge := time.NewTicker(rfb.NudgeTime)
	defer nudge.Stop()
	for {
		select {
		case <-ctx.Done():
			return Stopped, nil
		case <-v.left:
			return Left, nil
		case err := <-v.received:
			if errors.Is(err, rfb.ErrClosed) {
				return Closed, nil
			}
			return Failed, err
		case <-nudge.C:
			if v.console.Front() {
				v.client.Nudge()
			}
		}
	}
}

// readConsole reads keys from the console, where the kernel has no evdev, or as long as no keyboard is plugged in.
func (v *viewer) readConsole() {
	v.logf("no keyboard is found in %s: keys are read from the console, and a mouse is not (is the module evdev loaded?)",
		v.options.Input)
	if err := v.console.Keyboard(); err != nil {
		v.logf("the guest hears no keys: %v", err)
		return
	}
	go v.router.ReadMediumRaw(v.console)
}

// close gives everything back, in the order in which nothing of the guest's shows on the console and no key that is meant
// for one gets to the other.
func (v *viewer) close() error {
	v.router.Quiet(quietTime)
	v.router.Blur()
	if v.devices != nil {
		v.devices.Close()
	}
	err := v.client.Close()
	if v.receiving {
		for range v.received { // nothing is drawn any more when this ends
		}
	}
	return errors.Join(err, v.screen.Close(), v.console.Close())
}

// hide leaves the screen and the keyboard to another terminal.
func (v *viewer) hide() {
	v.router.Blur()
	v.screen.Hide()
}

// show takes them again.
func (v *viewer) show() {
	if err := v.screen.Show(); err != nil {
		v.logf("the guest's screen is not shown: %v", err)
	}
	v.router.Focus()
}

func (v *viewer) leave() {
	select {
	case v.left <- struct{}{}:
	default:
	}
}

// turn brings another terminal to the front.
func (v *viewer) turn(number int) {
	if err := v.console.Activate(number); err != nil {
		v.logf("%v", err)
	}
}

func (v *viewer) logf(format string, args ...any) {
	if v.options.Log != nil {
		v.options.Log(format, args...)
	}
}

// What follows is the rfb.Handler.

// Resize begins a picture of another size.
func (v *viewer) Resize(w, h int) error {
	v.screen.Resize(w, h)
	return nil
}

// Pixels draws.
func (v *viewer) Pixels(x, y, w, h int, pixels []byte) { v.screen.Put(x, y, w, h, pixels) }

// Cursor changes the pointer's picture.
func (v *viewer) Cursor(hotX, hotY, w, h int, pixels, mask []byte) {
	v.screen.SetPointer(hotX, hotY, w, h, pixels, mask)
}

// Lights switches the keyboard's lights.
func (v *viewer) Lights(l rfb.Lights) { v.router.SetLights(input.Lights(l)) }

// Absolute changes what is told of the mouse.
func (v *viewer) Absolute(on bool) { v.router.SetAbsolute(on) }
