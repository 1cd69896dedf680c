package console

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/creack/pty"
)

func TestWrite(t *testing.T) {
	set, vga, serial := room(t)
	fmt.Fprint(set, "first li")
	fmt.Fprint(set, "ne\nsecond line\r\nno end")
	for _, end := range []*terminalEnd{vga, serial} {
		end.see("second line")
		if !strings.Contains(end.all(), "first line\r\nsecond line\r\n") || strings.Contains(end.all(), "no end") {
			t.Errorf("%s got %q", end.name, end.all())
		}
	}
	ended := run(t.Context(), set, chooser(), nil)
	serial.see("First system")
	fmt.Fprint(set, "\nsaid meanwhile\n")
	serial.send("l")
	serial.see("said meanwhile") // the screen's own list of messages
	vga.see("said meanwhile")
	serial.send("l")
	serial.await("the chooser alone", func(screen string) bool { return !strings.Contains(screen, "said meanwhile") })
	serial.send("\r")
	wait(t, ended)
	for _, end := range []*terminalEnd{vga, serial} {
		end.see("no end\nsaid meanwhile\n")
	}
	// The next screen knows them, too.
	ended = run(t.Context(), set, chooser(), nil)
	serial.see("First system")
	serial.vt.Write([]byte("\x1b[2J"))
	serial.send("l")
	serial.see("said meanwhile")
	serial.send("l\r")
	wait(t, ended)
	if err := set.Drain(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestSizes(t *testing.T) {
	set, _, _ := room(t)
	for name, want := range map[string][2]int{"tty0": {100, 30}, "ttyS0": {80, 24}, "": {100, 30}} {
		terminal, err := set.find(name)
		if err != nil {
			t.Fatal(err)
		}
		w, h, err := terminal.size()
		if err != nil || [2]int{w, h} != want {
			t.Errorf("%q is %dx%d, %v; want %v", name, w, h, err, want)
		}
	}
	if _, err := set.find("ttyS7"); err == nil {
		t.Error("a console that isn't there was found")
	}
}

func TestOpenLeavesOut(t *testing.T) {
	if _, err := Open([]string{"does-not-exist"}); err == nil || !strings.Contains(err.Error(), "does-not-exist") {
		t.Errorf("no console at all: %v", err)
	}
	if _, err := Open(nil); err == nil || !strings.Contains(err.Error(), "console=tty0") {
		t.Errorf("no name at all: %v", err)
	}
	serial := newTerminal(t, "ttyS0", 80, 24, true)
	set := newSet(t, Named("does-not-exist"), serial.console(serialLook), Console{Name: "null", Path: "/dev/null"})
	serial.see("console left out: open console does-not-exist")
	serial.see("/dev/null a terminal?")
	if got := set.Names(); !slices.Equal(got, []string{"ttyS0"}) {
		t.Errorf("consoles %q", got)
	}
}

func TestNamed(t *testing.T) {
	for name, graphics := range map[string]bool{"tty0": true, "tty12": true, "ttyS0": false, "tty": false, "hvc0": false, "ttyAMA0": false} {
		if got := Named(name); got.Look.Graphics != graphics || got.Path != "/dev/"+name {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// A program that this package is linked into does not ask its terminal anything (see package background).
func TestSilentStart(t *testing.T) {
	if os.Getenv("CONSOLE_TEST_SILENT") != "" {
		return // this is the program
	}
	cmd := exec.Command(os.Args[0], "-test.run=^$", "-test.v=false")
	cmd.Env = append(os.Environ(), "CONSOLE_TEST_SILENT=1", "TERM=vt220")
	out, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	var got bytes.Buffer
	got.ReadFrom(out) // until EIO: the program has ended
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(got.String(), "\x1b") {
		t.Errorf("the terminal was asked %q", got.String())
	}
}
