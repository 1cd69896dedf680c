package console

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/initramfs/decision"
	"github.com/boottorrent/boottorrent/initramfs/menu"
	"github.com/boottorrent/boottorrent/internal/report"
)

// What a screen leaves behind: cooked modes, a cursor, and every key that was typed behind the last one.
func TestRunLeavesTheTerminal(t *testing.T) {
	for i := range 5 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			set, vga, serial := room(t)
			ended := run(t.Context(), set, chooser(), nil)
			serial.see("First system")
			if modes := serial.modes(); modes.Lflag&(unix.ICANON|unix.ECHO) != 0 {
				t.Error("not raw while the screen runs")
			}
			serial.send("\rnext\n")
			if o := wait(t, ended); o.console != "ttyS0" {
				t.Errorf("ended by %q", o.console)
			}
			for _, end := range []*terminalEnd{vga, serial} {
				const want = unix.ICANON | unix.ECHO | unix.ISIG
				if modes := end.modes(); modes.Lflag&want != want || modes.Oflag&unix.ONLCR == 0 {
					t.Errorf("%s is not in sane modes: %+v", end.name, modes)
				}
				end.await("a cursor", func(string) bool { return end.vt.CursorVisible() })
			}
			tty, err := os.OpenFile(serial.path, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer tty.Close()
			tty.SetReadDeadline(time.Now().Add(patience))
			buf := make([]byte, 16)
			n, err := tty.Read(buf)
			if got := string(buf[:n]); got != "next\n" {
				t.Errorf("the next reader gets %q, %v; want %q", got, err, "next\n")
			}
		})
	}
}

// What was typed before a screen is shown does not choose on it.
func TestRunDiscardsEarlierKeys(t *testing.T) {
	set, vga, _ := room(t)
	vga.send("\r\r\r\n")
	ended := run(t.Context(), set, chooser(), nil)
	vga.see("First system")
	vga.send("j\r")
	if got := wait(t, ended).model.(menu.Chooser).Answer().System; got != "two" {
		t.Errorf("chose %q, want two", got)
	}
}

func TestRunDeadConsole(t *testing.T) {
	dead := newTerminal(t, "ttyS1", 80, 24, false)
	serial := newTerminal(t, "ttyS0", 80, 24, true)
	set := newSet(t, dead.console(vgaLook), serial.console(serialLook))
	for i := range 20000 { // more than the pty and the queue hold
		fmt.Fprintf(set, "line %d of the log, which nobody reads over there\n", i)
	}
	events := make(chan tea.Msg)
	ended := run(t.Context(), set, menu.NewTransfer(menu.Place{}, "Debian"), events)
	for done := range int64(200) {
		events <- menu.TransferMsg{Transfer: report.Transfer{Size: 200, Done: done}}
	}
	serial.see("99 %")
	serial.send("c")
	serial.see("Press c again")
	serial.send("c")
	if o := wait(t, ended); o.console != "ttyS0" || o.model.(menu.Transfer).Answer().Action != decision.Choose {
		t.Errorf("%+v", o)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := set.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Drain with a dead console: %v", err)
	}
}

// A console that comes back after it was stuck shows a whole screen.
func TestRunStuckConsoleCatchesUp(t *testing.T) {
	slow := newTerminal(t, "ttyS1", 80, 24, false)
	set := newSet(t, slow.console(serialLook))
	events := make(chan tea.Msg)
	ended := run(t.Context(), set, menu.NewTransfer(menu.Place{}, "Debian"), events)
	for i := range int64(1000) {
		events <- menu.TransferMsg{Transfer: report.Transfer{Size: 1000, Done: i}, Note: strings.Repeat(fmt.Sprint(i%10), 70)}
	}
	if queued := set.terminals[0].out.queued(); queued > 16<<10 {
		t.Errorf("%d bytes are queued for a console that reads nothing", queued)
	}
	stopped := make(chan struct{})
	go slow.read(stopped)
	defer func() {
		slow.master.SetReadDeadline(time.Unix(1, 0))
		<-stopped
	}()
	slow.await("the last state", func(screen string) bool {
		return strings.Contains(screen, "99 %") && strings.Contains(screen, "\n "+strings.Repeat("9", 70)) && strings.Contains(screen, "c cancel")
	})
	events <- menu.TransferDone{}
	wait(t, ended)
}

func TestRunContext(t *testing.T) {
	set, vga, serial := room(t)
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := run(ctx, set, chooser(), nil)
	vga.see("First system")
	serial.see("First system")
	cause := errors.New("enough")
	cancel(cause)
	o := wait(t, ended)
	if !errors.Is(o.err, cause) || o.console != "" || o.model.(menu.Chooser).Answer().Action != decision.None {
		t.Errorf("%+v", o)
	}
	if serial.modes().Lflag&unix.ICANON == 0 {
		t.Error("not in sane modes")
	}
	for deadline := time.Now().Add(patience); runtime.NumGoroutine() > before; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines before, %d after:\n%s", before, runtime.NumGoroutine(), stacks[:runtime.Stack(stacks, true)])
		}
	}
}

func TestRunOnlyOneAtATime(t *testing.T) {
	set, vga, _ := room(t)
	ended := run(t.Context(), set, chooser(), nil)
	vga.see("First system")
	if _, _, err := set.Run(t.Context(), chooser(), nil); err == nil {
		t.Error("a second screen was shown")
	}
	if err := set.Shell(t.Context(), "", []string{"/bin/true"}, nil); err == nil {
		t.Error("a shell was opened under a screen")
	}
	vga.send("\r")
	wait(t, ended)
}
