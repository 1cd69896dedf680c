// Package dhcpwire reads DHCP messages (RFC 2131) as machines send them, which is not always as the RFC wants them.
//
// In goes a UDP payload, out comes a message of github.com/insomniacslk/dhcp. That library's own reader refuses a message
// without the END option and leaves overloaded fields alone. Known of clients and servers, and read here:
//
//   - The END option (255) is missing, or zeroes stand in its place up to the end.
//   - Options stand in the fields file and sname (option 52, overload); then these fields hold no text.
//   - An option is given more than once: the parts belong together (RFC 3396).
//   - The last option is cut off: it is left out, what stands before it counts.
package dhcpwire

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// Offsets in a message (RFC 2131, figure 1).
const (
	snameAt   = 44
	fileAt    = 108
	cookieAt  = 236
	optionsAt = 240
)

var cookie = []byte{99, 130, 83, 99}

// Values of the option overload (RFC 2132, 9.3), which are bits.
const (
	overloadFile  = 1
	overloadSname = 2
)

const (
	pad = 0
	end = 255
)

// ErrFormat says that bytes are no DHCP message.
var ErrFormat = errors.New("no DHCP message")

// Read reads a message. The error wraps [ErrFormat].
func Read(b []byte) (*dhcpv4.DHCPv4, error) {
	if len(b) < optionsAt || !bytes.Equal(b[cookieAt:optionsAt], cookie) {
		return nil, fmt.Errorf("%w: it is %d bytes long or lacks the magic cookie", ErrFormat, len(b))
	}
	p, err := dhcpv4.FromBytes(append(bytes.Clone(b[:optionsAt]), end))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	p.Options = dhcpv4.Options{}
	read(p.Options, b[optionsAt:])
	overload := p.Options.Get(dhcpv4.OptionOptionOverload)
	defer p.Options.Del(dhcpv4.OptionOptionOverload) // also one in the fields, where it means nothing
	if len(overload) != 1 {
		return p, nil
	}
	// RFC 2131, 4.1: file comes first.
	if overload[0]&overloadFile != 0 {
		p.BootFileName = ""
		read(p.Options, b[fileAt:cookieAt])
	}
	if overload[0]&overloadSname != 0 {
		p.ServerHostName = ""
		read(p.Options, b[snameAt:fileAt])
	}
	return p, nil
}

// read adds the options of one field. An option that stands in several parts is joined.
func read(options dhcpv4.Options, field []byte) {
	for len(field) > 0 && field[0] != end {
		if field[0] == pad {
			field = field[1:]
			continue
		}
		if len(field) < 2 || len(field) < 2+int(field[1]) {
			return
		}
		code, length := field[0], int(field[1])
		options[code] = append(options[code], field[2:2+length]...)
		field = field[2+length:]
	}
}
