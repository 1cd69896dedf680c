package image

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/templates/ipxe"
)

func TestCmdline(t *testing.T) {
	c := Cmdline{Consoles: []string{"ttyS0,115200", "tty0"}, Extra: `nomodeset dyndbg="file a.c +p; file b.c +p"`}
	want := `loglevel=5 panic=30 no5lvl console=ttyS0,115200 console=tty0 nomodeset dyndbg="file a.c +p; file b.c +p"`
	if got := c.String(); got != want {
		t.Errorf("the command line is\n%s, want\n%s", got, want)
	}
	if err := c.Check(); err != nil {
		t.Error(err)
	}
}

func TestAsksForMode(t *testing.T) {
	for _, c := range []struct {
		Cmdline
		want bool
	}{
		{Cmdline{}, false}, {Cmdline{Graphics: true}, true}, {Cmdline{Graphics: true, Extra: "quiet vga=normal"}, false},
		{Cmdline{Graphics: true, Extra: `a="vga=1" nvga=2`}, true},
	} {
		if got := c.AsksForMode(); got != c.want {
			t.Errorf("%+v: %v", c.Cmdline, got)
		}
	}
}

// Each is taken for something else by one of the programs that hand a command line on.
func TestCheckRefuses(t *testing.T) {
	for extra, want := range map[string]string{
		"quiet # x":                     "comment",
		"quiet #x":                      "comment",
		"a || b":                        "|| for the end",
		"a && b":                        "&& for the end",
		`dyndbg="file a +p ; file b"`:   "; for the end",
		"a=${net0/mac}":                 "${",
		"it's":                          `before each '`,
		`a\b`:                           `before each '`,
		`quiet \`:                       `\`,
		"quiet\nshell":                  "control character",
		"a\tb":                          "control character",
		"root=LABEL=Büro":               "not in ASCII",
		`a="b`:                          "not closed",
		"quiet -- single":               "init",
		"initrd=other.img":              "another initramfs",
		"bt.medium=12345678":            "mkimage's",
		"a=" + strings.Repeat("x", 2e3): "2047 bytes",
	} {
		err := Cmdline{Extra: extra}.Check()
		var known *CmdlineError
		if !errors.As(err, &known) || !strings.Contains(err.Error(), want) || known.Do == "" {
			t.Errorf("%.40q: %v, want %q", extra, err, want)
		}
	}
	if err := (Cmdline{Consoles: []string{"ttyS0,${x}"}}).Check(); err == nil {
		t.Error("a console may not have ${x} in it")
	}
}

func TestCheckTakes(t *testing.T) {
	for _, extra := range []string{
		"", "quiet", "a=b;c=d", "x#y", "a=$HOME {b}", `systemd.mask=dev-disk-by\x2dlabel-x.swap`, `b\xC3\xbc`, "a--b --x", "a||b",
		`dyndbg="file a.c +p; file b.c +p"`, `"a b=c d"`, "ip=::::node7:eth0:dhcp", "memmap=4G!12G", "a=*?[x]~",
	} {
		if err := (Cmdline{Extra: extra}).Check(); err != nil {
			t.Errorf("%s: %v", extra, err)
		}
	}
}

// The program that asks the graphics card asks for the mode that the kernel is told: vga= is 0x200 above VESA's number.
func TestVESAAsksForTheMode(t *testing.T) {
	mode, err := strconv.ParseUint(strings.TrimPrefix(Graphics, "vga="), 0, 16)
	if err != nil {
		t.Fatal(err)
	}
	if ask := []byte{0xb9, byte(mode), byte((mode - 0x200) >> 8)}; !bytes.Contains(ipxe.VESA, ask) { // mov cx,mode
		t.Errorf("VESA has no % x for %s", ask, Graphics)
	}
}
