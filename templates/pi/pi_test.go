package pifiles

import (
	"strings"
	"testing"
)

// What stands behind the 98th character of a line the firmware does not read (Raspberry Pi's documentation, config.txt).
func TestConfig(t *testing.T) {
	config, err := Config("vmlinuz", "initramfs.img")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(config)) {
		if len(line) > 98 {
			t.Errorf("a line has %d characters: %s", len(line), line)
		}
	}
	for _, want := range []string{"\narm_64bit=1\n", "\nkernel=vmlinuz\n", "\ninitramfs initramfs.img followkernel\n"} {
		if !strings.Contains(string(config), want) {
			t.Errorf("%q is not in\n%s", want, config)
		}
	}
}

// The command line is one line, and the console that the site names last stays the last.
func TestCmdline(t *testing.T) {
	if got := string(Cmdline(" loglevel=5 console=tty0\n")); got != "console=ttyS1,115200 console=ttyAMA10,115200 loglevel=5 console=tty0\n" {
		t.Errorf("%q", got)
	}
}
