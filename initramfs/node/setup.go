package node

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/config"
	"github.com/boottorrent/boottorrent/initramfs/console"
	"github.com/boottorrent/boottorrent/initramfs/report"
	"github.com/boottorrent/boottorrent/internal/sitepart"
)

// systemsDir is the tmpfs that init mounted for what is fetched.
const systemsDir = "/systems"

// Setup opens every active console, reads the kernel command line and the image's site part, and returns a node.
// A mistake on the command line is said and otherwise ignored.
func Setup() (*Node, error) {
	names, err := console.Active()
	if err != nil {
		return nil, err
	}
	consoles, err := console.Open(names)
	if err != nil {
		return nil, err
	}
	cmdline, warnings, err := config.ReadCmdline()
	if err != nil {
		return nil, err
	}
	log := logTo(consoles)
	for _, w := range warnings {
		log("kernel command line: %s", w)
	}
	image, err := config.ReadImage(sitepart.Path)
	if err != nil {
		return nil, err
	}
	return New(Config{
		Consoles: consoles, Log: log, Cmdline: cmdline, Image: image, Report: report.New(time.Now), Systems: systemsDir,
	})
}

// logTo returns a log that writes lines to every console and to the kernel ring, where dmesg finds them.
func logTo(consoles io.Writer) func(format string, args ...any) {
	ring, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0)
	if err != nil {
		ring = nil
	}
	return func(format string, args ...any) {
		line := strings.TrimRight(fmt.Sprintf(format, args...), "\n") + "\n"
		fmt.Fprint(consoles, line)
		if ring != nil {
			fmt.Fprint(ring, "<6>boottorrent: "+line)
		}
	}
}
