// Package pifiles makes the two texts that the firmware of Raspberry Pi 4 and 5 reads: config.txt says which kernel and initramfs to load,
// cmdline.txt has the kernel's command line.
package pifiles

import (
	"bytes"
	_ "embed"
	"strings"
	"text/template"
)

// Names of the texts, by which the firmware asks for them.
const (
	ConfigFile  = "config.txt"
	CmdlineFile = "cmdline.txt"
)

//go:embed config.txt
var text string

var config = template.Must(template.New(ConfigFile).Option("missingkey=error").Parse(text))

// Config is config.txt for a kernel and an initramfs with these names in the same folder.
func Config(kernel, initramfs string) ([]byte, error) {
	var b bytes.Buffer
	err := config.Execute(&b, struct{ Kernel, Initramfs string }{kernel, initramfs})
	return b.Bytes(), err
}

// consoles are the serial lines of a Pi 4 (pins 8 and 10) and a Pi 5 (the connector between the HDMI sockets), as Linux calls them. A
// kernel without such a line goes on without it.
var consoles = []string{"ttyS1,115200", "ttyAMA10,115200"}

// Cmdline is cmdline.txt, one line: phase 1's command line, and a Pi's serial consoles in front of it, so that another console that the
// site names stays the last, which is /dev/console.
func Cmdline(cmdline string) []byte {
	var words []string
	for _, c := range consoles {
		words = append(words, "console="+c)
	}
	return []byte(strings.Join(append(words, strings.TrimSpace(cmdline)), " ") + "\n")
}
