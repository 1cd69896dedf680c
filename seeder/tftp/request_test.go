package tftp

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/seeder/bootname"
)

func TestParseRequest(t *testing.T) {
	const file = "\x00\x01f\x00octet\x00"
	for name, c := range map[string]struct {
		packet string
		// want is name, block size, window, timeout and the option acknowledgement for a file of 1234 bytes.
		want string
	}{
		"plain":               {file, `f 512 1 1s ""`},
		"mode in capitals":    {"\x00\x01f\x00OCTET\x00", `f 512 1 1s ""`},
		"all options":         {file + "tsize\x000\x00blksize\x001024\x00windowsize\x008\x00timeout\x003\x00", `f 1024 8 3s "tsize\x001234\x00blksize\x001024\x00windowsize\x008\x00timeout\x003\x00"`},
		"options in capitals": {file + "BLKSIZE\x00700\x00", `f 700 1 1s "blksize\x00700\x00"`},
		"too much is reduced": {file + "blksize\x0065464\x00windowsize\x0065535\x00", `f 1468 16 1s "blksize\x001468\x00windowsize\x0016\x00"`},
		"timeout too long":    {file + "timeout\x00255\x00", `f 512 1 1s ""`},
		"longest timeout":     {file + "timeout\x0010\x00", `f 512 1 10s "timeout\x0010\x00"`},
		"leading zeroes":      {file + "blksize\x0001024\x00", `f 1024 1 1s "blksize\x001024\x00"`},
		"hexadecimal, signs":  {file + "blksize\x000x400\x00tsize\x00+0\x00windowsize\x00 8\x00", `f 512 1 1s ""`},
		"mixed case":          {file + "BlkSize\x00700\x00blksize\x00800\x00", `f 700 1 1s "blksize\x00700\x00"`},
		"out of range":        {file + "blksize\x007\x00windowsize\x000\x00timeout\x00256\x00", `f 512 1 1s ""`},
		"no numbers":          {file + "blksize\x00x\x00tsize\x00-1\x00windowsize\x00\x00", `f 512 1 1s ""`},
		"unknown option":      {file + "multicast\x00\x00tsize\x000\x00", `f 512 1 1s "tsize\x001234\x00"`},
		"twice the same":      {file + "blksize\x001000\x00blksize\x00600\x00", `f 1000 1 1s "blksize\x001000\x00"`},
		"option without end":  {file + "tsize\x000\x00blksize\x001000", `f 512 1 1s "tsize\x001234\x00"`},
		"padding behind":      {file + "\x00\x00\x00", `f 512 1 1s ""`},

		"write":           {"\x00\x02f\x00octet\x00", "2: this server is read-only"},
		"netascii":        {"\x00\x01f\x00netascii\x00", `4: transfer mode "netascii": only octet (binary) is served`},
		"opcode only":     {"\x00\x01", "4: read request without file name or mode"},
		"no end":          {"\x00\x01f\x00octet", "4: read request without file name or mode"},
		"no name":         {"\x00\x01\x00octet\x00", "4: read request without file name or mode"},
		"unknown opcode":  {"\x01\x01f\x00octet\x00", "4: not a TFTP read request"},
		"option ack":      {"\x00\x06", "4: not a TFTP read request"},
		"empty":           {"", "ignored"},
		"one byte":        {"\x00", "ignored"},
		"acknowledgement": {"\x00\x04\x00\x01", "ignored"},
		"data":            {"\x00\x03\x00\x01x", "ignored"},
		"error":           {"\x00\x05\x00\x00x\x00", "ignored"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := parseRequest([]byte(c.packet))
			refused := (*refusal)(nil)
			var got string
			switch {
			case errors.As(err, &refused):
				got = fmt.Sprintf("%d: %s", refused.code, refused.text)
			case errors.Is(err, errIgnore):
				got = "ignored"
			default:
				oack := strings.TrimPrefix(string(r.optionAck(1234)), "\x00\x06")
				got = fmt.Sprintf("%s %d %d %s %q", r.name, r.blockSize, r.window, r.timeout, oack)
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// Blocks fit the path, where the client lets their size be chosen.
func TestBlocksFitThePath(t *testing.T) {
	const file = "\x00\x01f\x00octet\x00"
	for packet, want := range map[string]map[int]int{
		file + "blksize\x0065464\x00": {1500: 1468, 1400: 1368, 576: 544, 65536: 1468, 20: 1468},
		file + "blksize\x00512\x00":   {1500: 512, 1400: 512, 500: 468},
		file:                          {1500: 512, 500: 512},
	} {
		for mtu, size := range want {
			r, err := parseRequest([]byte(packet))
			if err != nil {
				t.Fatal(err)
			}
			r.fit(mtu)
			acked := strings.Contains(string(r.optionAck(1)), fmt.Sprintf("blksize\x00%d\x00", size))
			if r.blockSize != size || acked != strings.Contains(packet, "blksize") {
				t.Errorf("%q at %d: %d, acknowledged %q", packet, mtu, r.blockSize, r.optionAck(1))
			}
		}
	}
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte("\x00\x01/Snponly.EFI\x00octet\x00tsize\x000\x00blksize\x001432\x00windowsize\x004\x00"))
	f.Add([]byte("\x00\x01"))
	f.Add([]byte("\x00\x04\x00\x01"))
	f.Add([]byte("\x00\x05\x00\x08aborted\x00"))
	served := map[string]string{"snponly.efi": "/nonexistent/snponly.efi"}
	f.Fuzz(func(t *testing.T, packet []byte) {
		_, _ = parseAck(packet)
		r, err := parseRequest(packet)
		if err != nil {
			return
		}
		if r.blockSize < minBlockSize || r.blockSize > maxBlockSize || r.window < 1 || r.window > maxWindow || r.timeout <= 0 {
			t.Errorf("agreed to %+v", r)
		}
		if len(r.optionAck(1<<62)) > 512 {
			t.Errorf("the acknowledgement has %d bytes", len(r.optionAck(1<<62)))
		}
		// Whatever is asked for, no path is opened but the one given.
		if name, _ := bootname.Find(served, r.name, ""); name != "" && name != "snponly.efi" {
			t.Errorf("%q stands for %q", r.name, name)
		}
	})
}
