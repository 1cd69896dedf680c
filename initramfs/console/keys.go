package console

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What counts as a key. A terminal, and the wire to it, send bytes for which nobody pressed anything: noise, a BREAK, answers to
// questions, reports of the mouse. A key stops countdowns and starts systems, so it is one of these and nothing else:
//
//   - a printable character, whole and right UTF-8;
//   - Enter (CR, LF, or CR LF as telnet sends it), Tab, Backspace, Esc, and Ctrl with a letter of controlKeys;
//   - Alt with one of those: Esc and the character within sequenceTime;
//   - a control sequence that terminals send for a key (ECMA-48, 5.4; ctlseqs of xterm, "Special Keys"): ESC [ … with one of
//     keyFinals at its end, ESC O and a letter, the Linux console's ESC [ [ A to E.
//
// So these are no keys: NUL, which is also what a BREAK or a line that is pulled out reads as; XON and XOFF (^Q, ^S); ENQ,
// NAK and other controls of protocols; halves of characters; sequences that end before they are complete; cursor positions
// (ESC [ … R), device attributes (c), status (n), window reports (t), focus (I, O), mouse (M, m, <), the marks around a paste
// (200~, 201~); the strings OSC, DCS, APC, PM and SOS up to their ends; and a modem's result codes between line ends.
const (
	controlKeys = "\x01\x02\x03\x04\x06\x08\t\n\x0b\x0c\r\x0e\x10\x17\x1b\x7f"
	keyFinals   = "ABCDEFGHPQSZ~"
)

// resultCodes are what modems say by themselves, between line ends (ITU-T V.250, 5.7.1). CONNECT is followed by a speed.
var resultCodes = []string{"OK", "CONNECT", "RING", "NO CARRIER", "ERROR", "NO DIALTONE", "NO DIAL TONE", "BUSY", "NO ANSWER"}

// isResult is whether a line is a modem's result code.
func isResult(line string) bool {
	return slices.Contains(resultCodes, line) || strings.HasPrefix(line, "CONNECT ")
}

// Bounds of what a sequence may be long, in bytes. A string of more is dropped up to its end.
const maxSequence, maxString, maxResult = 32, 4096, 40

// scanner takes a terminal's bytes apart. Its zero value is ready.
type scanner struct{ seq []byte }

// add takes a byte and returns the key that it completes; nil if it completes none.
func (s *scanner) add(b byte) []byte {
	if s.broken(b) {
		s.seq = s.seq[:0] // what was begun is no key; b begins anew
	}
	s.seq = append(s.seq, b)
	if !complete(s.seq) {
		if len(s.seq) >= maxString || len(s.seq) >= maxSequence && !isString(s.seq) {
			s.seq = s.seq[:0]
		}
		return nil
	}
	key := slices.Clone(s.seq)
	s.seq = s.seq[:0]
	if !isKey(key) {
		return nil
	}
	return key
}

// begun is whether more bytes are awaited.
func (s *scanner) begun() bool { return len(s.seq) > 0 }

// pause is to be called when nothing more came within sequenceTime. It returns Esc if that is what came, alone.
func (s *scanner) pause() []byte {
	alone := len(s.seq) == 1 && s.seq[0] == esc
	s.seq = s.seq[:0]
	if alone {
		return []byte{esc}
	}
	return nil
}

const esc = '\x1b'

// broken is whether a byte can't belong to what was begun: a control character ends a control sequence (ECMA-48, 5.4.1), ASCII a
// character of more bytes.
func (s *scanner) broken(b byte) bool {
	switch {
	case len(s.seq) == 0 || isString(s.seq):
		return false
	case s.seq[0] != esc:
		return utf8.RuneStart(b)
	}
	return len(s.seq) > 1 && (b < 0x20 || b >= 0x7f && s.seq[len(s.seq)-1] < utf8.RuneSelf)
}

// isString is whether a sequence begins a string that ends with ST or BEL (ECMA-48, 5.6; xterm's OSC).
func isString(seq []byte) bool {
	return len(seq) > 1 && seq[0] == esc && strings.IndexByte("]P_^X", seq[1]) >= 0
}

// complete is whether b is all of a character or sequence.
func complete(b []byte) bool {
	if b[0] != esc {
		return b[0] < utf8.RuneSelf || !utf8.RuneStart(b[0]) || utf8.FullRune(b)
	}
	if len(b) < 2 {
		return false
	}
	if isString(b) {
		last := b[len(b)-1]
		return last == '\a' || last == '\\' && len(b) > 3 && b[len(b)-2] == esc
	}
	switch b[1] {
	case '[':
		if len(b) == 3 && b[2] == '[' {
			return false
		}
		if string(b[:min(len(b), 3)]) == "\x1b[M" {
			return len(b) == 6 // xterm's mouse: three bytes follow
		}
		return len(b) > 2 && b[len(b)-1] >= 0x40 && b[len(b)-1] <= 0x7e
	case 'O':
		return len(b) > 2
	}
	return complete(b[1:])
}

// isKey is whether a complete character or sequence is a key.
func isKey(b []byte) bool {
	if b[0] != esc || len(b) == 1 {
		return isCharacter(b)
	}
	switch {
	case isString(b):
		return false
	case b[1] == '[':
		return isKeySequence(b)
	case b[1] == 'O':
		return len(b) == 3 && (b[2] >= 'A' && b[2] <= 'Z' || b[2] >= 'j' && b[2] <= 'y')
	}
	return isKey(b[1:])
}

func isCharacter(b []byte) bool {
	if len(b) == 1 && b[0] < utf8.RuneSelf && (b[0] < ' ' || b[0] == 0x7f) {
		return strings.IndexByte(controlKeys, b[0]) >= 0
	}
	r, size := utf8.DecodeRune(b)
	return size == len(b) && r != utf8.RuneError && unicode.IsPrint(r)
}

// isKeySequence is whether a control sequence is a key's.
func isKeySequence(b []byte) bool {
	parameters, final := string(b[2:len(b)-1]), b[len(b)-1]
	if parameters == "[" { // the Linux console's F1 to F5
		return final >= 'A' && final <= 'E'
	}
	if strings.IndexByte(keyFinals, final) < 0 || strings.Trim(parameters, "0123456789;") != "" {
		return false
	}
	return final != '~' || parameters != "" && !strings.HasPrefix(parameters, "200") && !strings.HasPrefix(parameters, "201")
}
