package node

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/config"
	"github.com/boottorrent/boottorrent/initramfs/console"
	"github.com/boottorrent/boottorrent/initramfs/handoff"
	"github.com/boottorrent/boottorrent/initramfs/hardware"
	"github.com/boottorrent/boottorrent/initramfs/kmsg"
	"github.com/boottorrent/boottorrent/initramfs/remote"
	"github.com/boottorrent/boottorrent/initramfs/report"
	"github.com/boottorrent/boottorrent/initramfs/stay"
	"github.com/boottorrent/boottorrent/internal/sitepart"
)

const (
	// systemsDir is the tmpfs that init mounted for what is fetched.
	systemsDir = "/systems"
	// statePath is on a tmpfs too, so what it says is of this boot.
	statePath = "/run/boottorrent/state.json"
	// helpDir is on /tmp, a tmpfs that takes a quarter of the memory.
	helpDir = "/tmp/phase1"
	// torrentPort is BitTorrent's usual one.
	torrentPort = 6881
)

// Setup reads the kernel command line and the image's site part, opens every active console, and returns a node.
func Setup() (*Node, error) {
	n, err := setup(everyConsole)
	if err == nil {
		n.Shipper = newShipper(n.Report, n.Log)
	}
	if err == nil && n.Shipper != nil && n.handed != nil {
		n.Shipper.Continue(n.handed.Logged)
	}
	return n, err
}

// SetupByHand is Setup for a single step in a shell, with the consoles that open opens.
func SetupByHand(open func() (*console.Set, error)) (*Node, error) {
	n, err := setup(open)
	if err == nil {
		n.ByHand, n.handed, n.link.known = true, nil, nil
		n.lock = newLock(nil) // whoever is in a shell has passed it
	}
	return n, err
}

func everyConsole() (*console.Set, error) {
	names, err := console.Active()
	if err != nil {
		return nil, err
	}
	return console.Open(names)
}

// setup returns a node with the consoles that open opens.
func setup(open func() (*console.Set, error)) (*Node, error) {
	image, err := config.ReadImage(sitepart.Path)
	if err != nil {
		return nil, err
	}
	cmdline, warnings, err := config.ReadCmdline()
	if err != nil {
		return nil, err
	}
	consoles, err := open()
	if err != nil {
		return nil, err
	}
	cfg := Config{
		Consoles: consoles, Log: logTo(consoles), Cmdline: cmdline, Warnings: warnings, Image: image, Facts: hardware.ReadFacts(), Secure: hardware.ReadSecureBoot(),
		Report: report.New(time.Now), Systems: systemsDir, Port: torrentPort, State: statePath,
		KeysFile: remote.KeysFile, RootDir: "/", PlanFile: stay.PlanFile, HelpDir: helpDir,
	}
	received, problems := readHandoff(handoff.Dir, image)
	cfg.Warnings = append(cfg.Warnings, problems...)
	if received != nil {
		if cfg, err = takeUp(cfg, received); err != nil {
			cfg.Log("the SSH server will have another host key: %v", err)
		}
	}
	return New(cfg)
}

// logTo returns a log that writes lines to every console and to the kernel's log, where dmesg finds them. They go there as
// debug messages, so that the kernel does not print on the consoles once more what is there already.
func logTo(consoles io.Writer) func(format string, args ...any) {
	kernel, err := kmsg.Open()
	if err != nil {
		fmt.Fprintln(consoles, "dmesg will not have these messages:", err)
	}
	return func(format string, args ...any) {
		line := strings.TrimRight(fmt.Sprintf(format, args...), "\n") + "\n"
		fmt.Fprint(consoles, line)
		kernel.Print(kmsg.Debug, line)
	}
}
