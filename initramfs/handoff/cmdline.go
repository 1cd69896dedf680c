package handoff

import (
	"fmt"
	"net"
	"runtime"
	"strings"

	"github.com/boottorrent/boottorrent/initramfs/config"
	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/image"
)

// Words are what the node adds to the kernel command line of a system. They are enough to go on with where what is handed on can't
// be read. The address is not among them: a kernel with CONFIG_IP_PNP and the system's network manager would follow ip=, too.
type Words struct {
	// System is the name of the system, Seeder the base URL of the seeder, MAC the address of the network card in use.
	System, Seeder string
	MAC            net.HardwareAddr
	// Consoles are values of console=, for a command line that names none.
	Consoles []string
	Debug    bool
	// Seen is the highest counter of a catalog that the node has taken.
	Seen uint64
}

// Cmdline returns the kernel command line for a system's own kernel: own is what the system wants, with the placeholders filled in. The
// words of phase 1 are added but for those that own decides itself.
func Cmdline(own string, w Words) (string, error) {
	before, _ := config.CutInit(own)
	has := names(before)
	add := []string{"bt.system=" + quoted(w.System), "bt.timeout=0", "bt.seeder=" + w.Seeder}
	if len(w.MAC) > 0 {
		add = append(add, "BOOTIF=01-"+strings.ReplaceAll(w.MAC.String(), ":", "-"))
	}
	if word := config.SeenWord(w.Seen); word != "" {
		add = append(add, word)
	}
	if w.Debug {
		add = append(add, "bt.debug")
	}
	for _, word := range image.Always(arch.Arch(runtime.GOARCH)) {
		if name, _, _ := strings.Cut(word, "="); !has[name] && !(name == "loglevel" && (has["quiet"] || has["debug"] || has["ignore_loglevel"])) {
			add = append(add, word)
		}
	}
	if !has["console"] {
		for _, console := range w.Consoles {
			add = append(add, "console="+console)
		}
	}
	line := config.Add(own, strings.Join(add, " "))
	if len(line) > catalog.MaxCmdline {
		return "", fmt.Errorf("the kernel command line of %s has %d bytes with what phase 1 adds, and a kernel takes %d; shorten cmdline: in its config.yaml",
			w.System, len(line), catalog.MaxCmdline)
	}
	return line, nil
}

// names are those of the parameters in a command line.
func names(line string) map[string]bool {
	found := map[string]bool{}
	for _, word := range config.Words(line) {
		name, _, _ := strings.Cut(word, "=")
		found[name] = true
	}
	return found
}

// quoted is a value as the kernel reads it, with quotes where there is white space in it.
func quoted(value string) string {
	if strings.ContainsAny(value, " \t") {
		return `"` + value + `"`
	}
	return value
}
