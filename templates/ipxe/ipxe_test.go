package ipxe

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestScriptGolden(t *testing.T) {
	for name, p := range map[string]Params{
		"full": {
			Base: "http://10.0.0.1:8080",
			Site: "Room 12 && friends # ${netX/mac} ;",
			Args: []string{"bt.seeder=http://10.0.0.1:8080", "console=tty0", "console=ttyS0,115200", "  quiet  loglevel=3 "},
		},
		"minimal": {Base: "http://seeder"},
		"arm64": {
			Base: "http://seeder", Kernel: "/boot/aa/vmlinuz", Initrd: "/boot/bb/initramfs.img", Path: "/boot/arm64/boot.ipxe",
			Shim: "/boot/shimaa64.efi",
		},
		"ask":    {Base: "http://seeder", Ask: true},
		"disk":   {Base: "http://seeder", Disk: true, Graphics: "vga=0x318"},
		"hidden": {Base: "http://seeder", Disk: true, Wait: 5},
		"helper": {
			Base: "http://seeder", Kernel: "/boot/aa/vmlinuz", Initrd: "/boot/bb/initramfs.img", Helper: "10.0.0.7:6882", Stall: 4000, Loaded: "/boot/loaded",
			Args: []string{"quiet"},
		},
		"loaded":   {Base: "http://seeder", Loaded: "/boot/loaded"},
		"graphics": {Base: "http://seeder", Graphics: "vga=0x318", Args: []string{"quiet"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Script(p)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name, got)
		})
	}
}

// golden compares a script with the file of that name.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name+".ipxe")
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
}

func TestWaitGolden(t *testing.T) {
	for name, told := range map[string]bool{"wait": false, "wait-told": true} {
		got, err := Wait("http://10.0.0.1:8080", "/boot/boot.ipxe", 12, 3, told)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name, got)
	}
	for _, wrong := range []func() ([]byte, error){
		func() ([]byte, error) { return Wait("ftp://x", "/boot/boot.ipxe", 1, 1, false) },
		func() ([]byte, error) { return Wait("http://x", "/boot/x; reboot", 1, 1, false) },
		func() ([]byte, error) { return Wait("http://x", "/boot/boot.ipxe", 1, 0, false) },
	} {
		if script, err := wrong(); err == nil {
			t.Errorf("made\n%s", script)
		}
	}
}

func TestScriptRefuses(t *testing.T) {
	good := "http://10.0.0.1:8080"
	for name, c := range map[string]struct {
		p    Params
		want string
	}{
		"newline in an argument":               {Params{Base: good, Args: []string{"quiet\nshell"}}, "kernel argument"},
		"another command in a helper":          {Params{Base: good, Helper: "10.0.0.1:80; shell", Stall: 1}, "helper"},
		"a helper that may be silent for ever": {Params{Base: good, Helper: "10.0.0.1:80"}, "helper"},
		"newline in a path":                    {Params{Base: good, Kernel: "/boot/x\nshell"}, "path"},
		"newline in the shim":                  {Params{Base: good, Shim: "/shim\nshell"}, "path"},
		"setting in a path":                    {Params{Base: good, Initrd: "/${x}"}, "path"},
		"newline in the site":                  {Params{Base: good, Site: "a\nshell"}, "site name"},
		"newline in the base":                  {Params{Base: good + "\nshell"}, "base URL"},
		"command separator":                    {Params{Base: good, Args: []string{"quiet || shell"}}, `"||"`},
		"comment":                              {Params{Base: good, Args: []string{"quiet #x"}}, `"#x"`},
		"two words of graphics":                {Params{Base: good, Graphics: "vga=1 shell"}, "want one word"},
		"iPXE setting":                         {Params{Base: good, Args: []string{"a=${netX/ip}"}}, "setting of its own"},
		"setting in the base":                  {Params{Base: "http://${next-server}"}, "base URL"},
		"no base":                              {Params{}, "base URL"},
		"base with a slash":                    {Params{Base: good + "/"}, "base URL"},
		"base of another scheme":               {Params{Base: "tftp://10.0.0.1"}, "base URL"},
		"base with a space in it":              {Params{Base: "http://a b"}, "base URL"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Script(c.p)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q; script:\n%s", err, c.want, got)
			}
		})
	}
}

// Every failure must lead somewhere: a script that ends returns to the firmware without a word.
func TestScriptHasEveryLabel(t *testing.T) {
	got, err := Script(Params{Base: "http://10.0.0.1", Graphics: "vga=0x318"})
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string]bool{}
	for line := range strings.Lines(string(got)) {
		if l, ok := strings.CutPrefix(line, ":"); ok {
			labels[strings.TrimSpace(l)] = true
		}
	}
	words := strings.Fields(string(got))
	for i, w := range words {
		if w == "goto" && !labels[words[i+1]] {
			t.Errorf("goto %s: no such label", words[i+1])
		}
	}
	if len(labels) < 5 {
		t.Errorf("found only the labels %v", labels)
	}
}
