package input

import (
	"bufio"
	"context"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/screen/rfb"
	"github.com/boottorrent/boottorrent/internal/need"
)

// qcodes are the names that QEMU has (QKeyCode in qapi/ui.json) for keys, by their codes (linux/input-event-codes.h).
var qcodes = map[uint16]string{
	1: "esc", 2: "1", 11: "0", 12: "minus", 13: "equal", 14: "backspace", 15: "tab", 16: "q", 28: "ret", 29: "ctrl", 30: "a", 39: "semicolon",
	40: "apostrophe", 41: "grave_accent", 42: "shift", 43: "backslash", 44: "z", 53: "slash", 54: "shift_r", 55: "kp_multiply", 56: "alt",
	57: "spc", 58: "caps_lock", 59: "f1", 68: "f10", 69: "num_lock", 70: "scroll_lock", 71: "kp_7", 82: "kp_0", 83: "kp_decimal", 86: "less",
	87: "f11", 88: "f12", 96: "kp_enter", 97: "ctrl_r", 98: "kp_divide", 100: "alt_r", 102: "home", 103: "up", 104: "pgup", 105: "left",
	106: "right", 107: "end", 108: "down", 109: "pgdn", 110: "insert", 111: "delete", 113: "audiomute", 119: "pause", 125: "meta_l",
	126: "meta_r", 127: "compose",
}

// QEMU, told of each key over VNC as the viewer does, understands the key that it is.
func TestScancodesAreQEMUs(t *testing.T) {
	qemu := need.Command(t, "qemu-system-x86_64", "qemu-system-x86")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	socket := filepath.Join(t.TempDir(), "vnc")
	cmd := exec.CommandContext(ctx, qemu, "-accel", "tcg", "-m", "16", "-display", "none", "-net", "none", "-vnc", "unix:"+socket,
		"-trace", "input_event_key_qcode")
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); _ = cmd.Wait() }()
	client, err := rfb.Dial(ctx, socket, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	extended := make(chan struct{})
	ran := make(chan error, 1)
	go func() { ran <- client.Run(&seen{extended: extended}) }()
	select {
	case <-extended:
	case err := <-ran:
		t.Fatal(err)
	}
	lines := bufio.NewScanner(said)
	for code, want := range qcodes {
		client.Key(scancode(code), 0, true)
		client.Key(scancode(code), 0, false)
		if got := pressed(lines); got != want {
			t.Errorf("the key %d is %q to QEMU, not %s", code, got, want)
		}
	}
	_ = client.Close()
	<-ran
}

// traced is what QEMU traces of a key that goes down (ui/trace-events).
var traced = regexp.MustCompile(`input_event_key_qcode .*key qcode (\S+), down 1`)

// pressed is QEMU's name for the next key that it hears of; empty if it ends before.
func pressed(lines *bufio.Scanner) string {
	for lines.Scan() {
		if m := traced.FindStringSubmatch(lines.Text()); m != nil {
			return m[1]
		}
	}
	return ""
}

// seen waits for the first picture: before it, QEMU says which keys it takes.
type seen struct {
	extended chan struct{}
	closed   bool
}

func (s *seen) Resize(int, int) error { return nil }
func (s *seen) Pixels(int, int, int, int, []byte) {
	if !s.closed {
		s.closed = true
		close(s.extended)
	}
}
func (s *seen) Cursor(int, int, int, int, []byte, []byte) {}
func (s *seen) Lights(rfb.Lights)                         {}
func (s *seen) Absolute(bool)                             {}
