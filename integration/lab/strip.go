package lab

// stripper takes terminal control out of a stream: carriage returns and the other control characters except newline
// and tab, and escape sequences as ECMA-48 (ISO 6429) frames them. A sequence may be cut anywhere between two writes.
type stripper struct {
	state stripState
}

type stripState int

const (
	inText   stripState = iota
	inEscape            // after ESC
	inCSI               // after ESC [, until a byte from @ to ~
	inString            // after ESC ] P X ^ or _, until BEL or ESC \
	inStringEscape
)

// append appends what is text in p.
func (s *stripper) append(text, p []byte) []byte {
	for _, c := range p {
		if s.state == inText && (c >= ' ' && c != 0x7f || c == '\n' || c == '\t') {
			text = append(text, c)
		}
		s.state = s.next(c)
	}
	return text
}

func (s *stripper) next(c byte) stripState {
	switch s.state {
	case inText:
		if c == 0x1b {
			return inEscape
		}
		return inText
	case inEscape:
		switch {
		case c == '[':
			return inCSI
		case c == ']' || c == 'P' || c == 'X' || c == '^' || c == '_':
			return inString
		case c == 0x1b || c >= ' ' && c <= '/': // an intermediate byte: ESC ( B
			return inEscape
		}
		return inText
	case inCSI:
		switch {
		case c == 0x1b:
			return inEscape
		case c >= '@' && c <= '~':
			return inText
		}
		return inCSI
	case inString:
		switch c {
		case 0x07:
			return inText
		case 0x1b:
			return inStringEscape
		}
		return inString
	}
	// inStringEscape: ESC \ ends the string, and so does any other sequence.
	if c == '\\' {
		return inText
	}
	return (&stripper{inEscape}).next(c)
}
