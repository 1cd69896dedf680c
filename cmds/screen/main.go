// Screen shows a guest's screen on the node's own.
//
// Synopsis:
//
//	screen --socket PATH [--fb DEVICE] [--tty DEVICE] [--input FOLDER] [--title TEXT]
//
// Description:
//
// The picture of a VNC server on a unix socket (qemu -vnc unix:PATH) is shown on the frame buffer, in the place of the
// console that is in front; keyboard and mouse are the guest's. A picture that is larger than the screen is scaled down, one
// that is at most half as large is magnified by a whole factor.
//
// Ctrl+Alt+Backspace leaves: the guest goes on. Ctrl+Alt+F1 to F4 switch to the console of that number, from which Alt+F1
// comes back. All other keys are the guest's.
//
// Options:
//
//	--socket: the server's socket; one that is not there yet is waited for
//	--fb:     the frame buffer (default /dev/fb0)
//	--tty:    the console; /dev/tty0, the default, is the one in front
//	--input:  the folder with the input devices (default /dev/input)
//	--title:  what the guest is called in messages
//
// Exit codes: 0 the guest ended, or the command was asked to (SIGTERM); 20 a person left it; 1 failure, with words on
// standard error; 2 a wrong command line.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/initramfs/screen"
)

// exitUsage is for a wrong command line.
const exitUsage = 2

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stderr))
}

// run does what the arguments say and returns the exit code.
func run(ctx context.Context, args []string, stderr io.Writer) int {
	var o screen.Options
	flags := flag.NewFlagSet("screen", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.Socket, "socket", "", "the VNC server's unix socket")
	flags.StringVar(&o.Framebuffer, "fb", "/dev/fb0", "the frame buffer")
	flags.StringVar(&o.TTY, "tty", "/dev/tty0", "the console; tty0 is the one in front")
	flags.StringVar(&o.Input, "input", "/dev/input", "the folder with the input devices")
	title := flags.String("title", "", "what the guest is called in messages")
	if err := flags.Parse(args); err != nil {
		return exitUsage
	}
	if o.Socket == "" || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "usage: screen --socket PATH [--fb DEVICE] [--tty DEVICE] [--input FOLDER] [--title TEXT]")
		return exitUsage
	}
	prefix := "screen"
	if *title != "" {
		prefix += " (" + *title + ")"
	}
	o.Log = func(format string, args ...any) { fmt.Fprintln(stderr, prefix+": "+fmt.Sprintf(format, args...)) }
	end, err := screen.Run(ctx, o)
	if err != nil {
		o.Log("%v", err)
	}
	switch end {
	case screen.Closed, screen.Stopped:
		return screen.ExitClosed
	case screen.Left:
		return screen.ExitLeft
	}
	return screen.ExitFailed
}
