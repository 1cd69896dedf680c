package console

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/menu"
)

func TestShell(t *testing.T) {
	set, vga, serial := room(t)
	for range 2 { // the second time the console was hung up once
		ended := make(chan error, 1)
		go func() {
			ended <- set.Shell(t.Context(), "ttyS0", []string{"/bin/sh"}, []string{"PS1=ready> ", "PATH=/usr/bin:/bin"})
		}()
		serial.see("ready>")
		vga.see("A shell is open on ttyS0")
		serial.send("stty size; echo $TERM; tty; grep flags /proc/self/fdinfo/0\n")
		serial.see("24 80")
		serial.see("100002") // O_LARGEFILE|O_RDWR, and not O_NONBLOCK: commands don't expect that
		serial.see("vt220")
		serial.see(serial.path)
		fmt.Fprintln(set, "said meanwhile")
		vga.see("said meanwhile")
		if strings.Contains(serial.screen(), "said meanwhile") {
			t.Error("a log line in the middle of the shell")
		}
		serial.send("exit 3\n")
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		serial.see("said meanwhile")
		chosen := run(t.Context(), set, chooser(), nil)
		serial.see("First system")
		serial.send("j\r")
		if o := wait(t, chosen); o.console != "ttyS0" || o.model.(menu.Chooser).Answer().System != "two" {
			t.Errorf("after the shell: %+v", o)
		}
		vga.vt.Write([]byte("\x1b[2J"))
		serial.vt.Write([]byte("\x1b[2J"))
	}
}

func TestShellErrors(t *testing.T) {
	set, _, serial := room(t)
	if err := set.Shell(t.Context(), "ttyS0", []string{"/does/not/exist"}, nil); err == nil || !strings.Contains(err.Error(), "/does/not/exist on ttyS0") {
		t.Errorf("a command that isn't there: %v", err)
	}
	if err := set.Shell(t.Context(), "ttyS7", []string{"/bin/sh"}, nil); err == nil || !strings.Contains(err.Error(), "tty0, ttyS0") {
		t.Errorf("a console that isn't there: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- set.Shell(ctx, "ttyS0", []string{"/bin/sh"}, []string{"PS1=ready> "}) }()
	serial.see("ready>")
	cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("the shell outlives its context")
	}
}
