package launch

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/boottorrent/boottorrent/internal/report"
)

// tail returns the last lines of what a program wrote to a terminal, as text for [report.Exit]: without escape sequences
// (ECMA-48) and control characters, with invalid UTF-8 mended, without empty lines. Of a line that was written over again
// and again, as progress bars are, the last state is taken.
func tail(output []byte) []string {
	var lines []string
	rest := plain(output)
	for len(lines) < report.ExitLines && rest != "" {
		var last string
		if i := strings.LastIndexByte(rest, '\n'); i >= 0 {
			rest, last = rest[:i], rest[i+1:]
		} else {
			rest, last = "", rest
		}
		if last = shorten(strings.TrimRight(last, " ")); last != "" {
			lines = append([]string{last}, lines...)
		}
	}
	return lines
}

// shorten cuts a line to report.ExitWidth bytes.
func shorten(line string) string {
	const dots = "…"
	if len(line) <= report.ExitWidth {
		return line
	}
	cut := report.ExitWidth - len(dots)
	for !utf8.RuneStart(line[cut]) {
		cut--
	}
	return line[:cut] + dots
}

// plain is the text of an output: lines that end in \n, nothing else that is not printable.
func plain(output []byte) string {
	var done strings.Builder
	var line []rune
	over := false // a carriage return: the next character begins the line anew
	for len(output) > 0 {
		if n := sequence(output); n > 0 {
			output = output[n:]
			continue
		}
		r, n := utf8.DecodeRune(output)
		output = output[n:]
		switch {
		case r == '\n':
			done.WriteString(string(line) + "\n")
			line, over = line[:0], false
		case r == '\r':
			over = true
		case r == '\b':
			line = line[:max(0, len(line)-1)]
		default:
			if r == '\t' {
				r = ' '
			}
			if !unicode.IsPrint(r) {
				continue
			}
			if over {
				line, over = line[:0], false
			}
			line = append(line, r)
		}
	}
	return done.String() + string(line)
}

// sequence returns the length of the escape sequence that b begins with, 0 if there is none. One that is cut off is as
// long as b.
func sequence(b []byte) int {
	if len(b) == 0 || b[0] != 0x1b {
		return 0
	}
	if len(b) == 1 {
		return 1
	}
	switch b[1] {
	case '[': // CSI: parameters and intermediates up to a final byte
		return until(b, 2, func(c byte) bool { return c < 0x20 || c >= 0x40 })
	case ']', 'P', 'X', '^', '_': // OSC, DCS, SOS, PM, APC: up to ST; BEL ends them too
		for i := 2; i < len(b); i++ {
			switch {
			case b[i] == 0x07:
				return i + 1
			case b[i] == 0x1b && i+1 < len(b) && b[i+1] == '\\':
				return i + 2
			case b[i] == '\n' || b[i] == 0x1b: // broken: what follows is text again
				return i
			}
		}
		return len(b)
	}
	// Intermediates up to a final byte: ESC ( B, ESC 7, ESC c …
	return until(b, 1, func(c byte) bool { return c < 0x20 || c > 0x2f })
}

// until returns the length up to and with the first byte from position i on that is last. A control character, which is not
// part of a sequence, ends it before.
func until(b []byte, i int, last func(byte) bool) int {
	for ; i < len(b); i++ {
		if last(b[i]) {
			if b[i] < 0x20 || b[i] > 0x7e {
				return i
			}
			return i + 1
		}
	}
	return len(b)
}
