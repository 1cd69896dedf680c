package dhcpwire

import (
	"bytes"
	"errors"
	"net"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// message is a message with these bytes as options.
func message(options ...byte) []byte {
	b := make([]byte, optionsAt, optionsAt+len(options))
	copy(b, []byte{2, 1, 6, 0, 1, 2, 3, 4})
	copy(b[28:], []byte{0x52, 0x54, 0, 0x12, 0x34, 0x56})
	copy(b[snameAt:], "server")
	copy(b[fileAt:], "undionly.kpxe")
	copy(b[cookieAt:], cookie)
	return append(b, options...)
}

func TestRead(t *testing.T) {
	ack := []byte{53, 1, 5}
	with := func(more ...byte) []byte { return append(bytes.Clone(ack), more...) }
	for name, tt := range map[string]struct {
		options []byte
		mask    string // of option 1, hexadecimal
	}{
		"with END":                {with(1, 4, 255, 255, 255, 0, end), "ffffff00"},
		"without END":             {with(1, 4, 255, 255, 255, 0), "ffffff00"},
		"zeroes in place of END":  {with(1, 4, 255, 255, 255, 0, 0, 0, 0), "ffffff00"},
		"padding between":         {with(0, 0, 1, 4, 255, 255, 255, 0, end), "ffffff00"},
		"behind END nothing":      {with(end, 1, 4, 255, 255, 255, 0), ""},
		"in two parts":            {with(1, 2, 255, 255, 1, 2, 255, 0, end), "ffffff00"},
		"the last one is cut off": {with(1, 4, 255, 255, 255, 0, 3, 4, 10), "ffffff00"},
		"only a code is left":     {with(1, 4, 255, 255, 255, 0, 3), "ffffff00"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Read(message(tt.options...))
			if err != nil {
				t.Fatal(err)
			}
			if p.MessageType() != dhcpv4.MessageTypeAck || p.BootFileName != "undionly.kpxe" || p.ServerHostName != "server" ||
				p.ClientHWAddr.String() != "52:54:00:12:34:56" || p.Options.Has(dhcpv4.OptionRouter) {
				t.Errorf("read %s", p.Summary())
			}
			mask := p.SubnetMask()
			if got := mask.String(); tt.mask == "" && mask != nil || tt.mask != "" && got != tt.mask {
				t.Errorf("mask %s, want %s", got, tt.mask)
			}
		})
	}
}

func TestReadOverload(t *testing.T) {
	inFile := []byte{1, 4, 255, 255, 255, 0, 67, 4, 'b', 'o', end}
	inSname := []byte{67, 2, 'o', 't', 3, 4, 10, 0, 0, 1} // up to the field's end, without END
	inFile[7] = 2                                         // the boot file's name is in both parts
	for value, want := range map[byte]struct{ file, sname bool }{
		1: {true, false}, 2: {false, true}, 3: {true, true}, 0: {false, false},
	} {
		b := message(53, 1, 5, 52, 1, value, end)
		copy(b[fileAt:cookieAt], make([]byte, cookieAt-fileAt))
		copy(b[fileAt:], inFile)
		copy(b[snameAt:fileAt], make([]byte, fileAt-snameAt))
		copy(b[snameAt:], inSname)
		p, err := Read(b)
		if err != nil {
			t.Fatal(err)
		}
		boot := ""
		if want.file {
			boot += "bo"
		}
		if want.sname {
			boot += "ot"
		}
		if (p.SubnetMask() != nil) != want.file || (len(p.Router()) == 1 && p.Router()[0].Equal(net.IP{10, 0, 0, 1})) != want.sname ||
			p.BootFileNameOption() != boot || p.Options.Has(dhcpv4.OptionOptionOverload) {
			t.Errorf("overload %d: read %s", value, p.Summary())
		}
		if want.file && p.BootFileName != "" || want.sname && p.ServerHostName != "" {
			t.Errorf("overload %d: options are taken for text: %q, %q", value, p.BootFileName, p.ServerHostName)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	bootp := message()
	copy(bootp[cookieAt:], make([]byte, 4))
	for name, b := range map[string][]byte{"nothing": nil, "half a message": message()[:200], "BOOTP without options": bootp} {
		if p, err := Read(b); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v, %v", name, p, err)
		}
	}
}

// Whatever is read is written so that the library reads the same.
func FuzzRead(f *testing.F) {
	f.Add(message(53, 1, 5, 1, 4, 255, 255, 255, 0, end))
	f.Add(message(53, 1, 5, 52, 1, 3))
	f.Add(message(53, 1, 5, 3, 4, 10))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Read(b)
		if err != nil {
			return
		}
		again, err := Read(p.ToBytes())
		if err != nil {
			t.Fatalf("what was read can't be read again: %v", err)
		}
		for code, value := range p.Options {
			if got := again.Options[code]; !bytes.Equal(got, value) {
				t.Errorf("option %d is %x, and then %x", code, value, got)
			}
		}
	})
}
