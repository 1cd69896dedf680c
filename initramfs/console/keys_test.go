package console

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/initramfs/decision"
	"github.com/boottorrent/boottorrent/initramfs/menu"
)

// keysOf feeds bytes to a scanner, with a pause at each |, and returns the keys, one space between.
func keysOf(typed string) string {
	var s scanner
	var keys []string
	add := func(key []byte) {
		if key != nil {
			keys = append(keys, string(key))
		}
	}
	for _, b := range []byte(typed + "|") {
		if b == '|' {
			add(s.pause())
		} else {
			add(s.add(b))
		}
	}
	return strings.Join(keys, " ")
}

func TestWhatIsAKey(t *testing.T) {
	for name, tt := range map[string]struct{ typed, want string }{
		"letters":                    {"aZ/?", "a Z / ?"},
		"beyond ASCII":               {"ä€", "ä €"},
		"Enter, Backspace, Tab":      {"\r\n\x7f\t", "\r \n \x7f \t"},
		"Ctrl with a letter in use":  {"\x03\x0c\x0e", "\x03 \x0c \x0e"},
		"Esc alone":                  {"\x1b|", "\x1b"},
		"Esc twice":                  {"\x1b|\x1b|", "\x1b \x1b"},
		"Alt and a letter":           {"\x1bx", "\x1bx"},
		"arrows":                     {"\x1b[A\x1bOB\x1b[1;5C", "\x1b[A \x1bOB \x1b[1;5C"},
		"Home, PgDn, Delete":         {"\x1b[H\x1b[6~\x1b[3~", "\x1b[H \x1b[6~ \x1b[3~"},
		"function keys":              {"\x1bOP\x1b[15~\x1b[[A", "\x1bOP \x1b[15~ \x1b[[A"},
		"Shift and Tab":              {"\x1b[Z", "\x1b[Z"},
		"NUL, a BREAK":               {"\x00\x00", ""},
		"CR NUL as telnet sends it":  {"\r\x00", "\r"},
		"^S, ^Q":                     {"\x13\x11", ""},
		"controls of protocols":      {"\x05\x15\x16\x18\x1a\x1c", ""},
		"noise above ASCII":          {"\xff\xfe\x80\xc0\xf8", ""},
		"half a character":           {"\xc3|", ""},
		"half a character, a key":    {"\xc3a", "a"},
		"half a character, another":  {"\xe2\x82ä", "ä"},
		"C1 controls":                {"\xc2\x9bA", "A"},
		"the replacement character":  {"\xef\xbf\xbd", ""},
		"a sequence that ends early": {"\x1b[|", ""},
		"another one":                {"\x1b[1;|", ""},
		"and one that ends at once":  {"\x1bO|", ""},
		"early, then Enter":          {"\x1b[1\r", "\r"},
		"early, then an arrow":       {"\x1b[\x1b[A", "\x1b[A"},
		"a cursor position":          {"\x1b[24;80R", ""},
		"device attributes":          {"\x1b[?62;c\x1b[>0;276;0c", ""},
		"status":                     {"\x1b[0n", ""},
		"window":                     {"\x1b[8;24;80t", ""},
		"focus":                      {"\x1b[I\x1b[O", ""},
		"the mouse":                  {"\x1b[M !!\x1b[<0;10;10M\x1b[<0;10;10m", ""},
		"a paste is what is in it":   {"\x1b[200~ab\x1b[201~", "a b"},
		"modes":                      {"\x1b[?2026;2$y", ""},
		"colours, by BEL":            {"\x1b]11;rgb:0000/0000/0000\ax", "x"},
		"colours, by ST":             {"\x1b]11;rgb:0000/0000/0000\x1b\\x", "x"},
		"termcap":                    {"\x1bP1+r544e=787465726d\x1b\\x", "x"},
		"an application's string":    {"\x1b_Gi=1;OK\x1b\\x", "x"},
		"a string that never ends":   {"\x1b]" + strings.Repeat("x", maxString-2) + "y", "y"},
		"a sequence that never ends": {"\x1b[" + strings.Repeat("1", maxSequence-2) + "y", "y"},
		"a string that ends early":   {"\x1b]11;|x", "x"},
		"keys of another protocol":   {"\x1b[97u\x1b[?1u", ""},
		"an unknown sequence":        {"\x1b[5X\x1b[1 q", ""},
		"Alt and noise":              {"\x1b\x00\x1b\xff", ""},
		"Alt and half a character":   {"\x1b\xc3|", ""},
		"a function key with Shift":  {"\x1b[1;2P", "\x1b[1;2P"},
	} {
		if got := keysOf(tt.typed); got != tt.want {
			t.Errorf("%s: %q are the keys %q, want %q", name, tt.typed, got, tt.want)
		}
	}
}

func TestIsResult(t *testing.T) {
	for line, want := range map[string]bool{"RING": true, "NO CARRIER": true, "CONNECT 9600/V32": true, "OK": true, "": false, "ring": false, "r": false} {
		if isResult(line) != want {
			t.Errorf("isResult(%q) is %v", line, !want)
		}
	}
}

// Noise, answers of a terminal and a modem at the other end stop no countdown and choose nothing.
func TestRunHearsOnlyKeys(t *testing.T) {
	set, _, serial := room(t)
	items := []menu.Item{{Name: "a", Title: "First"}, {Name: "b", Title: "Second"}}
	ended := run(t.Context(), set, menu.NewChooser(menu.ChooserConfig{Items: items, Default: "a", Timeout: 2}), nil)
	serial.see("> First")
	serial.send("\x00\x13\x11\xff\x1b[24;80R\x1b]11;rgb:0/0/0\a\r\nRING\r\n\r\nNO CARRIER\r\n\x1b[")
	want := decision.Decision{Action: decision.Start, System: "a"}
	if got := wait(t, ended).model.(menu.Chooser).Answer(); got != want {
		t.Errorf("%+v, want %+v: the countdown's", got, want)
	}
}

// CR LF, as some telnet clients send, is one Enter, and what comes close behind an Enter is heard: here a filter that Enter ends
// by choosing.
func TestRunHearsBehindEnter(t *testing.T) {
	set, _, serial := room(t)
	check := func(text string) error {
		if text == "" {
			return errors.New("nothing was typed")
		}
		return nil
	}
	ended := run(t.Context(), set, menu.NewAddress(menu.Place{}, "", check), nil)
	serial.see("Where is the seeder?")
	serial.send("\r\n10.0\r") // Enter is refused, the rest is the address
	if got := wait(t, ended).model.(menu.Address).Answer(); got != "10.0" {
		t.Errorf("typed %q", got)
	}
}

// FuzzScanner: whatever comes, a key is one, and what is awaited has an end.
func FuzzScanner(f *testing.F) {
	for _, seed := range []string{"\x1b[A\x1bOB", "\x1b]11;x\a", "\x1b\x1b[[A", "\xc3\xa4\xe2", "\x1b[M !!", "\x1bP\x1b\\"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var s scanner
		for _, c := range b {
			if key := s.add(c); key != nil && (!isKey(key) || key[0] == 0) {
				t.Errorf("%q is no key", key)
			}
			if len(s.seq) >= maxString {
				t.Errorf("%d bytes are awaited", len(s.seq))
			}
		}
		if s.pause(); s.begun() {
			t.Error("a pause leaves something behind")
		}
	})
}

// A BREAK, and what comes broken, never gets as far as the reader.
func TestModesIgnoreBreaks(t *testing.T) {
	for name, modes := range map[string]func(*unix.Termios){"raw": raw, "sane": sane} {
		var m unix.Termios
		modes(&m)
		if m.Iflag&unix.IGNBRK == 0 || m.Iflag&unix.IGNPAR == 0 || m.Iflag&(unix.BRKINT|unix.PARMRK) != 0 {
			t.Errorf("%s: %o", name, m.Iflag)
		}
	}
}
