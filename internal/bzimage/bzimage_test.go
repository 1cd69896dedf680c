package bzimage

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
)

// header is a kernel's, with some bytes changed.
func header(change map[int]uint32) []byte {
	b := make([]byte, 0x400)
	put := func(at int, v uint32) { binary.LittleEndian.PutUint32(b[at:], v) }
	copy(b[0x1fe:], "\x55\xaa")
	copy(b[0x202:], "HdrS\x0f\x02")
	b[0x211] = 1
	b[0x236] = 3
	put(0x238, 2047)
	put(0x260, 50<<20)
	copy(b[0x300:], "6.1.0-13-amd64 (debian) #1 SMP")
	binary.LittleEndian.PutUint16(b[0x20e:], 0x100)
	for at, v := range change {
		b[at] = byte(v)
	}
	return b
}

func TestParse(t *testing.T) {
	b := header(nil)
	h, err := Parse(b)
	if err != nil || h.Arch != "amd64" || h.Protocol != 0x20f || h.MaxCmdline != 2047 || h.InitSize != 50<<20 || h.Kexec() != nil {
		t.Errorf("%+v, %v, kexec: %v", h, err, h.Kexec())
	}
	if got := h.Release(bytes.NewReader(b)); got != "6.1.0-13-amd64" {
		t.Errorf("release %q", got)
	}
	arm := append(make([]byte, 0x38), "ARM\x64"...)
	if h, err := Parse(arm); err != nil || h.Arch != "arm64" || h.Kexec() != nil || h.Release(bytes.NewReader(arm)) != "" {
		t.Errorf("arm64: %+v, %v", h, err)
	}
	for _, none := range [][]byte{nil, []byte("MZ"), b[:0x200], make([]byte, 0x400)} {
		if _, err := Parse(none); err == nil {
			t.Errorf("%d bytes are a kernel", len(none))
		}
	}
}

func TestKexec(t *testing.T) {
	for want, change := range map[string]map[int]uint32{
		"2.11, from before Linux 3.8": {0x206: 0x0b},
		"zImage":                      {0x211: 0},
		"32-bit":                      {0x236: 2},
		"CONFIG_RELOCATABLE":          {0x236: 1},
		"no command line":             {0x238: 0, 0x239: 0},
	} {
		h, err := Parse(header(change))
		if err != nil || h.Kexec() == nil || !strings.Contains(h.Kexec().Error(), want) {
			t.Errorf("%v, %v, want %s", err, h.Kexec(), want)
		}
	}
	if h, _ := Parse(header(map[int]uint32{0x206: 5})); h.MaxCmdline != 255 {
		t.Errorf("protocol 2.05 takes %d bytes", h.MaxCmdline)
	}
}

func TestOlder(t *testing.T) {
	for release, want := range map[string]bool{
		"5.10.0-8-amd64": true, "4.19.0": true, "5.14.0": false, "5.14-rc1": false, "6.1.0": false, "": false, "custom": false,
	} {
		if got := Older(release, 5, 14); got != want {
			t.Errorf("%s: %v", release, got)
		}
	}
}
