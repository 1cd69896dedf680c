package grub

import (
	"bytes"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

var server = netip.MustParseAddr("10.0.0.1")

var both = Params{
	Server: server, Base: "http://10.0.0.1:8080", Site: "Room 12's $machines; && `friends` # \"x\"",
	Targets: []Target{
		{
			CPU: "x86_64", Kernel: "/boot/aa11/vmlinuz", Initrd: "/boot/bb22/initramfs.img",
			Cmdline: `bt.seeder=http://10.0.0.1:8080 console=ttyS0,115200  console=tty0 dyndbg="file a.c +p; file b.c +p" a=$HOME {b} x=*?~`,
		},
		{CPU: "arm64", Kernel: "/boot/cc33/vmlinuz", Initrd: "/boot/dd44/initramfs.img", Cmdline: "bt.seeder=http://10.0.0.1:8080 quiet"},
	},
}

func TestScriptGolden(t *testing.T) {
	for name, p := range map[string]Params{
		"both": both,
		"ask":  {Server: server, Base: "http://10.0.0.1:8080", Ask: true, Targets: both.Targets[1:]},
		"none": {Server: server, Base: "http://10.0.0.1:8080"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Script(p)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", name+".cfg")
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("differs from %s (go test -update writes it anew):\n%s", file, got)
			}
		})
	}
}

func TestScriptRefuses(t *testing.T) {
	target := func(change func(*Target)) Params {
		p := both
		one := both.Targets[0]
		change(&one)
		p.Targets = []Target{one}
		return p
	}
	for name, c := range map[string]struct {
		p    Params
		want string
	}{
		"no address":                        {Params{Base: "http://x"}, "IPv4 address"},
		"newline in the site":               {Params{Server: server, Site: "a\nreboot"}, "site name"},
		"newline in the base":               {Params{Server: server, Base: "http://x\nreboot"}, "base URL"},
		"newline in the kernel's arguments": {target(func(t *Target) { t.Cmdline = "quiet\nreboot" }), "command line"},
		"another command in a path":         {target(func(t *Target) { t.Kernel = "/boot/x; reboot" }), "path"},
		"variable in a path":                {target(func(t *Target) { t.Initrd = "/$x" }), "path"},
		"a folder above":                    {target(func(t *Target) { t.Initrd = "../initramfs.img" }), "path"},
		"another command for a processor":   {target(func(t *Target) { t.CPU = "x86_64 ]; reboot" }), "architecture"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Script(c.p)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q; script:\n%s", err, c.want, got)
			}
		})
	}
}

func TestWords(t *testing.T) {
	for cmdline, want := range map[string]string{
		"":                             "",
		"quiet  loglevel=3":            "'quiet' 'loglevel=3'",
		`a="b c" d`:                    "'a=b c' 'd'",
		"a=$x; b":                      "'a=$x;' 'b'",
		"it's":                         `'it'\''s'`,
		`dyndbg="file a +p; file b" z`: "'dyndbg=file a +p; file b' 'z'",
	} {
		if got := Words(cmdline); got != want {
			t.Errorf("%q: %s, want %s", cmdline, got, want)
		}
	}
}

func TestMachine(t *testing.T) {
	for want, got := range map[string][]byte{"set disk=\n": Machine(false, 3), "set disk=0\n": Machine(true, 0), "set disk=5\n": Machine(true, 5)} {
		if string(got) != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
