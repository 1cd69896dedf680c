package input

// Keysyms of X11 (X11/keysymdef.h) for a US keyboard. They are for what takes no scan codes: another VNC server than
// QEMU's, or QEMU's own text consoles. A keysym of Latin-1 is the character.

// plain and shifted are the characters of the key codes 2 to 57; a space is no character, but for the space bar.
const (
	firstCharacter = 2
	plain          = "1234567890-=  qwertyuiop[]  asdfghjkl;'` \\zxcvbnm,./ *  "
	shifted        = "!@#$%^&*()_+  QWERTYUIOP{}  ASDFGHJKL:\"~ |ZXCVBNM<>? *  "
	codeSpace      = 57
)

// special are the keysyms of the other keys.
var special = map[uint16]uint32{
	1: 0xff1b, 14: 0xff08, 15: 0xff09, 28: 0xff0d, // Escape, BackSpace, Tab, Return
	29: 0xffe3, 42: 0xffe1, 54: 0xffe2, 56: 0xffe9, 97: 0xffe4, 100: 0xffea, // Control_L, Shift_L, Shift_R, Alt_L, Control_R, Alt_R
	58: 0xffe5, 69: 0xff7f, 70: 0xff14, // Caps_Lock, Num_Lock, Scroll_Lock
	55: 0xffaa, 74: 0xffad, 78: 0xffab, 83: 0xffae, 96: 0xff8d, 98: 0xffaf, // KP_Multiply, Subtract, Add, Decimal, Enter, Divide
	71: 0xffb7, 72: 0xffb8, 73: 0xffb9, 75: 0xffb4, 76: 0xffb5, 77: 0xffb6, // KP_7, 8, 9, 4, 5, 6
	79: 0xffb1, 80: 0xffb2, 81: 0xffb3, 82: 0xffb0, // KP_1, 2, 3, 0
	86: '<', 87: 0xffc8, 88: 0xffc9, 99: 0xff61, 119: 0xff13, // less, F11, F12, Print, Pause
	102: 0xff50, 103: 0xff52, 104: 0xff55, 105: 0xff51, 106: 0xff53, // Home, Up, Page_Up, Left, Right
	107: 0xff57, 108: 0xff54, 109: 0xff56, 110: 0xff63, 111: 0xffff, // End, Down, Page_Down, Insert, Delete
	125: 0xffeb, 126: 0xffec, 127: 0xff67, // Super_L, Super_R, Menu
}

// keysym is the keysym of a key, 0 if it has none.
func keysym(code uint16, shift bool) uint32 {
	if s, ok := special[code]; ok {
		return s
	}
	if code >= codeF1 && code <= codeF10 {
		return 0xffbe + uint32(code-codeF1)
	}
	i := int(code) - firstCharacter
	if i < 0 || i >= len(plain) || plain[i] == ' ' && code != codeSpace {
		return 0
	}
	if shift {
		return uint32(shifted[i])
	}
	return uint32(plain[i])
}
